// A DVM that stays over real nodes, one of which is lost.
#include <nlohmann/json.hpp>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

class DvmOverNodesTest : public NodesTest {
 protected:
  CommandResult Ctl(const std::vector<std::string>& args) {
    std::vector<std::string> argv = {RexctlPath()};
    argv.insert(argv.end(), args.begin(), args.end());
    return RunIn("head", argv);
  }
  json Status() { return json::parse(Ctl({"status", "--json"}).out, nullptr, false); }
  void TearDown() override {
    Ctl({"stop"});
    NodesTest::TearDown();
  }
};

TEST_F(DvmOverNodesTest, ALostNodeEndsItsJobsByNameAndTheDvmGoesOn) {
  ASSERT_TRUE(StartNodes(3));
  const CommandResult started = Ctl({"start", "--host", Hosts(3, 2)});
  ASSERT_TRUE(ExitedWith(started, 0));
  const CommandResult all = RexOnHead({"--dvm", "default", "hostname"});
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_EQ(SortedLines(all.out), (std::vector<std::string>{"n1", "n1", "n2", "n2", "n3", "n3"}));
  const auto sleeper = [this](const std::string& node) {
    auto job =
        StartRexOnHead({"--dvm", "default", "--host", node, "-n", "1", ProgramPath("testprog"),
                        "then", "print", "awake", ",", "sleep", "600000"});
    EXPECT_TRUE(job->WaitForText("awake")) << job->Snapshot();
    return job;
  };
  auto there = sleeper("n2");
  auto other = sleeper("n1");
  ASSERT_TRUE(ExitedWith(cluster().Kill("n2"), 0));
  const CommandResult lost = there->Wait();
  EXPECT_TRUE(ExitedWith(lost, kExitNodeLost));
  EXPECT_TRUE(StderrNames(lost, {"node n2 was lost"}));
  EXPECT_FALSE(other->ended());
  EXPECT_EQ(Status()["nodes"][1]["state"], "lost");
  const CommandResult next =
      RexOnHead({"--dvm", "default", "-n", "2", "--map-by", "node", "hostname"});
  EXPECT_TRUE(ExitedWith(next, 0));
  EXPECT_EQ(SortedLines(next.out), (std::vector<std::string>{"n1", "n3"}));
  const CommandResult mpi =
      RexOnHead({"--dvm", "default", "-n", "2", "--map-by", "node", ProgramPath("mpi_ring")});
  EXPECT_TRUE(ExitedWith(mpi, 0));
  other->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(other->Wait(), kExitSignalBase + SIGTERM));
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
}

TEST_F(DvmOverNodesTest, ANodeThatDoesNotComeIsNamedAndNothingIsLeft) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().Cut("n2"), 0));
  const CommandResult started = Ctl({"start", "--host", Hosts(2), "--start-timeout", "3"});
  EXPECT_TRUE(ExitedWith(started, kExitNodeStart));
  EXPECT_TRUE(StderrNames(started, {"n2"}));
  EXPECT_TRUE(ExitedWith(Ctl({"status"}), 3));
}

}  // namespace
}  // namespace rex::testing
