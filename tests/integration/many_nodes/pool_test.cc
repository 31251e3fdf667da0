// Jobs whose nodes nobody names: those of rex's own pool. Nodes are invented here and share this
// machine's cores, so that what is tested is what does not depend on loads; tests/cluster/load_test
// has nodes with cores of their own.
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class PoolTest : public NodesTest {
 protected:
  CommandOptions WithPool(const std::string& pool) {
    std::filesystem::create_directories(left().work_dir() + "/config/rex");
    WriteFile("config/rex/nodes", pool);
    CommandOptions options;
    options.set_env["XDG_CONFIG_HOME"] = left().work_dir() + "/config";
    return options;
  }
  CommandResult Launch(const std::string& pool, std::vector<std::string> args) {
    args.insert(args.begin(), {"--ssh", FakeSsh()});
    return Rex(args, WithPool(pool));
  }
};

TEST_F(PoolTest, RanksFillItsSlots) {
  const CommandResult result = Launch("good1 slots=2\ngood2 slots=2\ngood3 slots=2\n",
                                      {"-n", "6", "--verbose", "sh", "-c", "echo $PMIX_RANK"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
  for (const char* node : {"good1", "good2", "good3"}) {
    EXPECT_EQ(CountOf(result.err, std::string("on node ") + node + ": pid"), 2U) << result;
  }
}

TEST_F(PoolTest, MpiRunsOverIt) {
  const CommandResult result = Launch("good1 slots=1\ngood2 slots=1\ngood3 slots=1\n",
                                      {"-n", "2", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 2U) << result;
}

TEST_F(PoolTest, ANodeThatDoesNotStartIsDoneWithout) {
  const CommandResult result =
      Launch("refuse1 slots=4\ngood1 slots=2\n", {"-n", "2", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 2U) << result;
  EXPECT_TRUE(StderrNames(result, {"node refuse1 is left out"}));
}

TEST_F(PoolTest, WithoutSlotsEnoughTheJobIsRefused) {
  const CommandResult result =
      Launch("refuse1 slots=4\ngood1 slots=2\n", {"-n", "3", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"3 ranks, but 2 slots"}));
}

TEST_F(PoolTest, ANodeThatHangsIsNotWaitedForWhereOthersAreEnough) {
  const CommandResult result =
      Launch("hang1 slots=4\ngood1 slots=2\n", {"-n", "2", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 2U) << result;
  EXPECT_TRUE(StderrNames(result, {"left out", "the others are enough: hang1 (ssh"}));
}

TEST_F(PoolTest, ANodeThatIsNeededIsWaitedFor) {
  const CommandResult result =
      Launch("slow1 slots=2\ngood1 slots=2\n", {"-n", "4", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 4U) << result;
}

TEST_F(PoolTest, NamedNodesMustStart) {
  const CommandResult result = Launch("good1\n", {"--host", "refuse1,good1", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
}

TEST_F(PoolTest, WithoutAnyNodeThereIsNoJob) {
  const CommandResult result = Launch("refuse1\nrefuse2\n", {"-n", "1", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
}

TEST_F(PoolTest, UnneededNodesAreLetGoAndTheJobGoesOn) {
  auto job = StartRex(
      {"--ssh", FakeSsh(), "-n", "1", "sh", "-c", "echo ready; read line; echo $line"}, [&] {
        CommandOptions options = WithPool("good1 slots=1\ngood2 slots=1\ngood3 slots=1\n");
        options.stdin_kind = StdinKind::kPipe;
        return options;
      }());
  ASSERT_TRUE(job->WaitForText("ready")) << job->Snapshot();
  const pid_t head = FindDaemon(*job, "rexd-agent");
  ASSERT_GT(head, 0);
  EXPECT_TRUE(
      job->WaitUntil([&] { return DescendantsNamed(head, "rexd-agent").size() == 1; }, seconds(10)))
      << DescendantsNamed(head, "rexd-agent").size() << " agents";
  job->Write("still there\n");
  job->CloseStdin();
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "still there"));
}

TEST_F(PoolTest, TheAllocationShowsALoadForEveryNode) {
  const CommandResult result =
      Launch("good1 slots=3\ngood2 slots=1\n",
             {"-n", "1", "--display", "allocation", "--json", "--do-not-launch", "true"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const size_t begin = result.err.find("{\"nodes\"");
  ASSERT_NE(begin, std::string::npos) << result;
  const auto json = nlohmann::json::parse(result.err.substr(begin), nullptr, false);
  ASSERT_TRUE(json.is_object()) << result;
  ASSERT_EQ(json["nodes"].size(), 2U);
  for (const auto& node : json["nodes"]) {
    EXPECT_TRUE(node["load"]["per_core"].is_number()) << node.dump();
    EXPECT_EQ(node["load"]["ranks"], 0);
    EXPECT_TRUE(node["load"]["age_ms"].is_number()) << node.dump();
  }
}

TEST_F(PoolTest, ThisMachineAloneHasALoadToo) {
  const CommandResult result =
      Rex({"-n", "1", "--display", "allocation", "--do-not-launch", "true"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"state=UP load=", "ranks=0", "foreign=", "cores=", "age="}));
}

TEST_F(PoolTest, MappingByLoadDealsOutWhereNodesAreAlike) {
  const CommandResult result = Rex({"--virtual-nodes", "2:4", "--map-by", "load", "-n", "4",
                                    "--oversubscribe", "--verbose", "true"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"mapped by load", "on node node1", "on node node2"}));
}

TEST_F(PoolTest, AHighMaxLoadLetsEverythingRun) {
  const CommandResult result = Rex({"--max-load", "10000", "-n", "1", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "rank\n");
}

}  // namespace
}  // namespace rex::testing
