// Real MPI programs over three nodes.
#include <set>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class NodesProgramsTest : public NodesTest {
 protected:
  void ExpectLine(const std::string& ranks, const std::vector<std::string>& words,
                  const std::string& line) {
    const CommandResult result = Rex(On("3", ranks, words));
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, line)) << result;
  }
};

TEST_F(NodesProgramsTest, Hello) {
  const CommandResult result = Rex(On("3", "6", {ProgramPath("mpi_hello")}));
  ASSERT_TRUE(ExitedWith(result, 0));
  const auto lines = SortedLines(result.out);
  ASSERT_EQ(lines.size(), 6U) << result;
  for (size_t rank = 0; rank < 6; ++rank) {
    EXPECT_TRUE(Contains(lines[rank], "hello rank=" + std::to_string(rank) + " size=6"));
  }
}

TEST_F(NodesProgramsTest, Ring) { ExpectLine("6", {ProgramPath("mpi_ring")}, "ring size=6"); }

TEST_F(NodesProgramsTest, Collectives) {
  ExpectLine("6", {ProgramPath("mpi_collectives"), "2"}, "collectives size=6 failures=0");
}

TEST_F(NodesProgramsTest, ParallelFiles) {
  ExpectLine("3", {ProgramPath("mpi_io"), left().work_dir() + "/data"}, "io size=3 wrong=0");
}

TEST_F(NodesProgramsTest, PublishAndLookUpAcrossNodes) {
  ExpectLine("3", {ProgramPath("mpi_publish")}, "publish size=3 wrong=0");
}

TEST_F(NodesProgramsTest, Mpi4py) {
  ExpectLine("3", {"/usr/bin/python3", ProgramPath("mpi4py_check.py")},
             "mpi4py rank=2 size=3 ok=1");
}

TEST_F(NodesProgramsTest, SeveralProgramsAreOneJob) {
  const CommandResult result =
      Rex({"--virtual-nodes", "3", "-n", "2", ProgramPath("mpi_hello"), ":", "-n", "2",
           ProgramPath("mpi_hello"), ":", "-n", "1", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "size=5"), 5U) << result;
}

// Each node tells its ranks their place: local ranks and sizes are the node's.
TEST_F(NodesProgramsTest, LocalRanksCountOnTheirNode) {
  const CommandResult result = Rex(On("3", "7",
                                      {"sh", "-c",
                                       "echo $OMPI_COMM_WORLD_RANK $OMPI_COMM_WORLD_LOCAL_RANK "
                                       "$OMPI_COMM_WORLD_LOCAL_SIZE"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"0 0 3", "1 0 2", "2 0 2", "3 1 3",
                                                               "4 1 2", "5 1 2", "6 2 3"}));
}

// As on one machine: what a node gives its ranks does not depend on the tree's shape.
TEST_F(NodesProgramsTest, ATwoLevelTreeRunsTheSame) {
  const CommandResult result =
      Rex({"--virtual-nodes", "7", "--tree=two-level", ProgramPath("mpi_ring")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "ring size=7"));
}

}  // namespace
}  // namespace rex::testing
