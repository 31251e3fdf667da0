// --allow-missing-nodes: what can't be started is left out, and said.
#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class MissingNodesTest : public NodesTest {
 protected:
  CommandResult Launch(const std::string& hosts, std::vector<std::string> options,
                       bool allow = true) {
    std::vector<std::string> args = {"--ssh", FakeSsh(), "--host", hosts};
    if (allow) args.emplace_back("--allow-missing-nodes");
    args.insert(args.end(), options.begin(), options.end());
    return Rex(args);
  }
};

TEST_F(MissingNodesTest, TheJobRunsOnTheOthers) {
  const CommandResult result = Launch("good1:1,refuse1:1,good2:2", {"sh", "-c", "echo $PMIX_RANK"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"0", "1", "2"})) << result;
  EXPECT_TRUE(Contains(result.err, "node refuse1 is left out: ssh: connect to host refuse1"));
}

TEST_F(MissingNodesTest, MpiRunsOnTheOthers) {
  const CommandResult result = Launch("good1:1,refuse1:1,good2:1", {ProgramPath("mpi_hello")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 2U) << result;
}

TEST_F(MissingNodesTest, WithoutTheOptionOneMissingNodeIsTheEnd) {
  const CommandResult result = Launch("good1:1,refuse1:1", {"hostname"}, false);
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_EQ(result.out, "");
}

TEST_F(MissingNodesTest, MoreRanksThanSlotsAreStillRefused) {
  const CommandResult result = Launch("good1:1,refuse1:1", {"-n", "2", "hostname"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"refuse1 is left out", "2 ranks, but 1 slot"}));
  EXPECT_EQ(result.out, "");
}

TEST_F(MissingNodesTest, WithoutAnyNodeThereIsNoJob) {
  const CommandResult result = Launch("refuse1,refuse2", {"hostname"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_TRUE(StderrNames(result, {"node refuse1 could not be started", "refuse2"}));
}

TEST_F(MissingNodesTest, ASilentNodeCostsItsBound) {
  const CommandResult result = Launch("good1:1,hang1:1", {"--start-timeout", "1", "hostname"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 1U) << result;
  EXPECT_TRUE(Contains(result.err, "node hang1 is left out: ssh: no answer in 1 s"));
}

TEST_F(MissingNodesTest, RanksOnEachNodeAreThoseOfTheOthers) {
  const CommandResult result = Launch("good1:2,refuse1:2,good2:2", {"-N", "2", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 4U) << result;
}

TEST_F(MissingNodesTest, AProgramOfMissingNodesOnlyIsRefused) {
  const std::string ssh = FakeSsh();
  const CommandResult result =
      Rex({"--ssh", ssh, "--allow-missing-nodes", "--host", "good1", "-n", "1", "echo", "a", ":",
           "--host", "refuse1", "-n", "1", "echo", "b"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"none of the nodes of program 'echo'"}));
}

// Those that it was to start are not lost with it.
TEST_F(MissingNodesTest, AnInnerNodesChildrenAreStartedByTheHead) {
  const CommandResult result =
      Launch("refuse1:1,good2:1,good3:1,good4:1,good5:1", {"--tree", "two-level", "echo", "rank"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 4U) << result;
  EXPECT_EQ(CountOf(result.err, "is left out"), 1U) << result;
}

}  // namespace
}  // namespace rex::testing
