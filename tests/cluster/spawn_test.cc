// Programs that start programs over real nodes.
#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class SpawnOverNodesTest : public NodesTest {
 protected:
  CommandResult Spawn(const std::vector<std::string>& options,
                      const std::vector<std::string>& words) {
    std::vector<std::string> args = options;
    args.push_back(ProgramPath("mpi_spawn"));
    args.insert(args.end(), words.begin(), words.end());
    CommandOptions command;
    command.timeout = seconds(100);
    return RexOnHead(args, command);
  }
};

TEST_F(SpawnOverNodesTest, ParentsAndChildrenMeetAcrossNodes) {
  ASSERT_TRUE(StartNodes(4));
  const CommandResult result = Spawn({"--host", Hosts(4, 2), "-n", "2", "--map-by", "node"},
                                     {"-n", "6", "-R", "1", "-i", "map_by=node"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent size=2 remote=6 merged=8 sum=8"));
  EXPECT_TRUE(Contains(result.out, "child size=6 remote=2 merged=8 sum=8"));
}

TEST_F(SpawnOverNodesTest, InTwoLevelsFromAnyNode) {
  ASSERT_TRUE(StartNodes(6));
  const CommandResult result =
      Spawn({"--tree", "two-level", "--host", Hosts(6, 2), "-n", "3", "--map-by", "node"},
            {"-n", "3", "-R", "2", "--child", "merge,spawn:2,disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=3 remote=3 merged=6 sum=6"));
  EXPECT_TRUE(Contains(result.out, "child size=2 remote=3 merged=5 sum=5"));
}

TEST_F(SpawnOverNodesTest, AProgramThatOneNodeLacksIsRefusedWithItsName) {
  ASSERT_TRUE(StartNodes(2));
  const std::string program = PutFile("n1", "only-here", "#!/bin/sh\nexit 0\n", 0755);
  const CommandResult result =
      Spawn({"--host", Hosts(2, 2), "-n", "1"}, {"-n", "1", "-i", "host=n2", "-p", program});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "MPI_ERR_SPAWN"));
  EXPECT_TRUE(StderrNames(result, {"cannot spawn", "n2", program}));
}

TEST_F(SpawnOverNodesTest, JobsOnDifferentNodesMeetByName) {
  ASSERT_TRUE(StartNodes(3));
  CommandOptions command;
  command.timeout = seconds(100);
  const CommandResult result =
      RexOnHead({"--host", Hosts(3), "-n", "1", ProgramPath("mpi_connect"), "jobs"}, command);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "server got 200"));
  EXPECT_TRUE(Contains(result.out, "client got 100"));
}

}  // namespace
}  // namespace rex::testing
