// Loads of real nodes, each with a core and pids of its own: jobs go where there is room.
#include <signal.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class LoadTest : public NodesTest {
 protected:
  // One-core nodes, and a pool that names them all, with so many slots each.
  ::testing::AssertionResult StartPool(int nodes, int slots) {
    std::string pool;
    for (int i = 1; i <= nodes; ++i) {
      pool += "n" + std::to_string(i) + " slots=" + std::to_string(slots) + "\n";
    }
    std::filesystem::create_directories(left().work_dir() + "/config/rex");
    WriteFile("config/rex/nodes", pool);
    return StartNodes({.nodes = nodes, .cores_per_node = 1});
  }
  CommandOptions WithPool(std::map<std::string, std::string> env = {}) {
    CommandOptions options;
    options.set_env = std::move(env);
    options.set_env["XDG_CONFIG_HOME"] = left().work_dir() + "/config";
    options.cwd = left().work_dir();
    return options;
  }
  CommandResult RexInPool(const std::vector<std::string>& args) {
    return RexOnHead(args, WithPool());
  }
  // Something that is not rex's uses the node's core.
  void Burn(const std::string& node) {
    const std::string script =
        "echo $$ > /run/lock/burner; echo burning; exec " + TestProgram() + " spin 600000";
    burners_[node] = StartIn(node, {"/bin/sh", "-c", script});
    ASSERT_TRUE(burners_[node]->WaitForText("burning")) << burners_[node]->Snapshot();
  }
  void Quench(const std::string& node) {
    Shell(node, "kill -KILL $(cat /run/lock/burner); rm /run/lock/burner");
    burners_.at(node)->Wait(seconds(20));
    burners_.erase(node);
  }
  void TearDown() override {
    while (!burners_.empty()) Quench(burners_.begin()->first);
    NodesTest::TearDown();
  }
  // A program in the directory where jobs are started, which says where it runs.
  void WriteApp() { WriteFile("app", "#!/bin/sh\nexec hostname\n", 0755); }

  std::map<std::string, std::unique_ptr<RunningCommand>> burners_;
};

TEST_F(LoadTest, TwelveRanksRunOnTheLightestNodesOfThePool) {
  ASSERT_TRUE(StartPool(5, 4));
  WriteApp();
  Burn("n1");
  Burn("n4");
  const CommandResult result = RexInPool({"-n", "12", "./app"});
  ASSERT_TRUE(ExitedWith(result, 0));
  for (const char* node : {"n2", "n3", "n5"}) {
    EXPECT_EQ(CountOf(result.out, std::string(node) + "\n"), 4U) << result;
  }
}

TEST_F(LoadTest, JobsLandOnTheIdleNode) {
  ASSERT_TRUE(StartPool(2, 1));
  WriteApp();
  Burn("n1");
  for (int i = 0; i < 5; ++i) {
    const CommandResult result = RexInPool({"-n", "1", "./app"});
    EXPECT_EQ(result.out, "n2\n") << result;
  }
  // Named, they stay in the order of their names.
  EXPECT_EQ(RexInPool({"-n", "1", "--host", "n1,n2", "./app"}).out, "n1\n");
  EXPECT_EQ(RexInPool({"-n", "1", "--map-by", "slot", "./app"}).out, "n1\n");
  EXPECT_EQ(RexInPool({"-n", "1", "--host", "n1,n2", "--map-by", "load", "./app"}).out, "n2\n");
}

// Each job sees those before it, which are not its own DVM's.
TEST_F(LoadTest, FourJobsFindTheFourNodesWithoutBurners) {
  ASSERT_TRUE(StartPool(8, 1));
  for (const char* node : {"n1", "n3", "n4", "n7"}) Burn(node);
  std::vector<std::unique_ptr<RunningCommand>> jobs;
  std::set<std::string> nodes;
  for (int i = 0; i < 4; ++i) {
    jobs.push_back(StartReady({"-n", "1", "sh", "-c",
                               "echo on $(hostname) ready; exec " + TestProgram() + " spin 600000"},
                              "ready", 1, WithPool()));
    const std::string out = jobs.back()->out();
    nodes.insert(out.substr(3, 2));
  }
  EXPECT_EQ(nodes, (std::set<std::string>{"n2", "n5", "n6", "n8"}));
  for (auto& job : jobs) job->Signal(SIGINT);
  for (auto& job : jobs) EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 130));
}

TEST_F(LoadTest, NodesWithoutRanksAreLetGo) {
  ASSERT_TRUE(StartPool(3, 1));
  Burn("n1");
  auto job =
      StartReady({"-n", "1", "sh", "-c", "echo ready; exec sleep 600"}, "ready", 1, WithPool());
  for (const char* node : {"n1", "n3"}) {
    EXPECT_TRUE(Await([&] { return ListOn(node, "rexd-agent").empty(); }, seconds(10))) << node;
  }
  EXPECT_FALSE(ListOn("n2", "rexd-agent").empty());
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 130));
}

TEST_F(LoadTest, TheAllocationShowsLoads) {
  ASSERT_TRUE(StartPool(2, 2));
  Burn("n2");
  const CommandResult result =
      RexInPool({"-n", "1", "--do-not-launch", "--display", "allocation", "--json", "true"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const size_t begin = result.err.find("{\"nodes\"");
  ASSERT_NE(begin, std::string::npos) << result;
  const auto json = nlohmann::json::parse(result.err.substr(begin), nullptr, false);
  ASSERT_TRUE(json.is_object()) << result;
  EXPECT_EQ(json["nodes"][0]["load"]["per_core"], 0.0);
  EXPECT_EQ(json["nodes"][1]["load"]["per_core"], 1.0);
  EXPECT_EQ(json["nodes"][1]["load"]["foreign"], 1);
  EXPECT_EQ(json["nodes"][1]["load"]["cores"], 1);
  EXPECT_EQ(json["nodes"][1]["slots"], 2);
  EXPECT_TRUE(
      Contains(RexInPool({"-n", "1", "--do-not-launch", "--display", "allocation", "true"}).err,
               "state=UP load=1.00 ranks=0 foreign=1 cores=1 age="));
}

TEST_F(LoadTest, ARefusalListsTheLoads) {
  ASSERT_TRUE(StartPool(2, 1));
  Burn("n1");
  const CommandResult result = RexInPool({"-n", "2", "--max-load", "0.5", "true"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"2 ranks, but 1 free slot on the 1 node with a load of at most "
                                   "0.50; the loads: n2 0.00, n1 1.00",
                                   "--wait"}));
  EXPECT_EQ(RexInPool({"-n", "1", "--host", "n1,n2", "--max-load", "0.5", "hostname"}).out, "n2\n");
}

TEST_F(LoadTest, AWaitHasABound) {
  ASSERT_TRUE(StartPool(1, 1));
  Burn("n1");
  const std::vector<std::string> args = {"-n", "1", "--max-load", "0.5", "--max-wait", "1", "true"};
  const CommandResult result = RexInPool(args);
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"waiting for at most 1 s: no node has a load of at most 0.50; "
                                   "the loads: n1 1.00",
                                   "waited for 1 s", "--max-wait"}));
  const CommandResult timed =
      RexInPool({"-n", "1", "--max-load", "0.5", "--wait", "--timeout", "2", "true"});
  EXPECT_TRUE(ExitedWith(timed, 118));
  EXPECT_TRUE(StderrNames(timed, {"less loaded nodes", "n1 1.00"}));
}

// With the kernel's triggers, where the node's user may set them, and with looks alone.
class WaitTest : public LoadTest, public ::testing::WithParamInterface<bool> {};

TEST_P(WaitTest, AJobBeginsWhenANodeIsFree) {
  ASSERT_TRUE(StartPool(2, 1));
  const bool triggers = GetParam();
  if (!triggers) Overlay("n2", "/proc/pressure/cpu", "some avg10=0.00\n");
  Burn("n1");
  Burn("n2");
  auto job = StartRexOnHead({"-n", "1", "--max-load", "0.5", "--wait", "hostname"},
                            WithPool({{"REX_LOG", "info"}}));
  ASSERT_TRUE(
      job->WaitForText("waiting for at most 600 s: no node has a load of at most 0.50; the "
                       "loads: n1 1.00, n2 1.00"))
      << job->Snapshot();
  Quench("n2");
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "n2\n") << result;
  EXPECT_EQ(CountOf(result.err, "load: no pressure trigger") > 0, !triggers) << result;
}

std::string NameOfKernel(const ::testing::TestParamInfo<bool>& kernel) {
  return kernel.param ? "WithTriggers" : "WithLooksAlone";
}
INSTANTIATE_TEST_SUITE_P(Kernels, WaitTest, ::testing::Bool(), NameOfKernel);

TEST_F(LoadTest, ALostNodeOfThePoolIsDoneWithout) {
  ASSERT_TRUE(StartPool(2, 1));
  Burn("n1");
  Burn("n2");
  auto job = StartRexOnHead({"-n", "1", "--max-load", "0.5", "--wait", "hostname"}, WithPool());
  ASSERT_TRUE(job->WaitForText("waiting for at most")) << job->Snapshot();
  ASSERT_TRUE(ExitedWith(cluster().Kill("n1"), 0));
  burners_.erase("n1");
  Quench("n2");
  const CommandResult result = job->Wait(seconds(40));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "n2\n") << result;
}

}  // namespace
}  // namespace rex::testing
