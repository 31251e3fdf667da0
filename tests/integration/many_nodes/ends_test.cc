// How a job over nodes ends: exit codes, blame, signals, time limits. docs/rules.md has the rules.
#include <signal.h>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class NodesEndsTest : public NodesTest {
 protected:
  // A stand-in for ssh that never gets anywhere.
  std::string HangingSsh() { return WriteFile("ssh", "#!/bin/sh\nexec sleep 600\n", 0755); }
};

TEST_F(NodesEndsTest, AllGoodIsZeroAndSilent) {
  const CommandResult result = Rex(On("3", "6", {"--oversubscribe", Program(), "exit", "0"}));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "");
}

TEST_F(NodesEndsTest, TheCodeOfTheRankThatFailedAndItsNode) {
  const CommandResult result =
      Rex(On("3", "6", {Program(), "at", "4", "exit", "42", "else", "sleep", "60000"}));
  EXPECT_TRUE(ExitedWith(result, 42));
  EXPECT_TRUE(StderrNames(result, {"rank 4", "node2", "42", "testprog"}));
  EXPECT_LT(result.wall, seconds(20));
}

// Rank 1 fails a little earlier, on another node: within 100 ms the lowest decides.
TEST_F(NodesEndsTest, TheLowestOfSeveralFailingRanks) {
  const CommandResult result = Rex(On("2", "2",
                                      {Program(), "at", "0", "then", "sleep", "320", ",", "exit",
                                       "11", "else", "then", "sleep", "300", ",", "exit", "12"}));
  EXPECT_TRUE(ExitedWith(result, 11));
}

TEST_F(NodesEndsTest, ARankKilledOnItsNode) {
  const CommandResult result =
      Rex(On("3", "3", {Program(), "at", "2", "signal", "9", "else", "sleep", "60000"}));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
  EXPECT_TRUE(StderrNames(result, {"rank 2", "node3", "signal 9"}));
}

TEST_F(NodesEndsTest, RanksThatIgnoreTermAreKilledAfterGrace) {
  const CommandResult result = Rex(
      On("3", "3",
         {"--grace", "0.3", Program(), "at", "0", "exit", "5", "else", "ignore-term", "60000"}));
  EXPECT_TRUE(ExitedWith(result, 5));
  EXPECT_LT(result.wall, seconds(20));
}

TEST_F(NodesEndsTest, AnAbortEndsEveryNode) {
  const CommandResult result = Rex(On("3", "3", {ProgramPath("mpi_abort"), "1", "42"}));
  EXPECT_TRUE(ExitedWith(result, 42));
  EXPECT_TRUE(StderrNames(result, {"rank 1", "node2", "42"}));
  EXPECT_EQ(CountOf(result.out, "not reached"), 0U);
}

TEST_F(NodesEndsTest, ARankWithoutFinalizeOnAnotherNode) {
  const CommandResult result = Rex(On("3", "3", {ProgramPath("mpi_quit"), "2", "0"}));
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(StderrNames(result, {"rank 2", "node3", "MPI_Finalize"}));
}

// Both ranks of node2 go without MPI_Init, the second while the first one's end is asked about:
// its node has nothing left to run by then and must answer all the same.
TEST_F(NodesEndsTest, RanksThatNeverCameToInitAreFoundAcrossNodes) {
  const std::string script =
      "case $OMPI_COMM_WORLD_RANK in 1) sleep 0.5;; 3) sleep 0.6;; *) exec " +
      ShellWord(ProgramPath("mpi_hello")) + ";; esac";
  const CommandResult result = Rex(On("2", "4", {"sh", "-c", script}));
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(StderrNames(result, {"rank 1", "node2", "without MPI_Init"}));
}

TEST_F(NodesEndsTest, AMissingProgramNamesItsNode) {
  const CommandResult result = Rex({"--virtual-nodes", "2", "-n", "1", Program(), "sleep", "60000",
                                    ":", "-n", "1", "/no/such/program"});
  EXPECT_TRUE(ExitedWith(result, kExitNotFound));
  EXPECT_TRUE(StderrNames(result, {"/no/such/program", "on node node"}));
}

TEST_F(NodesEndsTest, AMissingDirectoryOnEveryNode) {
  const CommandResult result =
      Rex(On("2", "2", {"--wdir", "/no/such/dir", Program(), "exit", "0"}));
  EXPECT_TRUE(ExitedWith(result, kExitNoWdir));
}

// ---- signals

TEST_F(NodesEndsTest, TermEndsEveryNode) {
  auto job = StartRex(On("3", "3", {Program(), "sleep", "60000"}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "sleeping") == 3; }))
      << job->Snapshot();
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGTERM));
}

TEST_F(NodesEndsTest, ASecondSignalKillsOnEveryNode) {
  auto job = StartRex(On("3", "3", {"--grace", "60", Program(), "ignore-term", "60000"}));
  ASSERT_TRUE(job->WaitUntil([&] { return Lines(job->out()).size() == 3; })) << job->Snapshot();
  job->Signal(SIGINT);
  ASSERT_TRUE(job->WaitForText("ending the job")) << job->Snapshot();
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGINT));
}

TEST_F(NodesEndsTest, Usr1ReachesEveryRank) {
  auto job = StartRex(On("3", "3", {Program(), "catch", "60000", std::to_string(SIGUSR1)}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "catching") == 3; }))
      << job->Snapshot();
  job->Signal(SIGUSR1);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), 0));
}

TEST_F(NodesEndsTest, AnInterruptWhileNodesAreStartedEndsAtOnce) {
  auto job =
      StartRex({"--host", "nowhere1,nowhere2", "--ssh", HangingSsh(), Program(), "exit", "0"});
  ASSERT_GT(FindDaemon(*job, "sleep"), 0) << job->Snapshot();
  job->Signal(SIGINT);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGINT));
  EXPECT_LT(result.wall, seconds(15)) << "starts have 30 s";
}

TEST_F(NodesEndsTest, TheTimeLimitCountsWhileNodesAreStarted) {
  const CommandResult result = Rex({"--timeout", "1", "--host", "nowhere1,nowhere2", "--ssh",
                                    HangingSsh(), Program(), "exit", "0"});
  EXPECT_TRUE(ExitedWith(result, kExitTimeoutStart));
  EXPECT_TRUE(StderrNames(result, {"started", "nowhere1 (", "nowhere2 ("}));
  EXPECT_LT(result.wall, seconds(15));
}

TEST_F(NodesEndsTest, TheTimeLimitsReportNamesEveryRank) {
  const CommandResult result = Rex(
      On("3", "3", {"--timeout", "1", "--report-state-on-timeout", Program(), "sleep", "60000"}));
  EXPECT_TRUE(ExitedWith(result, kExitTimeout));
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_TRUE(StderrNames(
        result, {"rank " + std::to_string(rank) + " (", "node node" + std::to_string(rank + 1)}));
  }
}

// ---- daemons of a node that are told to end, or end

TEST_F(NodesEndsTest, ANodesAgentThatIsToldToEndSaysSo) {
  auto job = StartRex(On("2", "2", {Program(), "sleep", "60000"}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "sleeping") == 2; }))
      << job->Snapshot();
  const pid_t agent = FindNodeDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  ASSERT_EQ(::kill(agent, SIGTERM), 0);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_TRUE(StderrNames(result, {"rexd-agent", "SIGTERM", "node"}));
}

TEST_F(NodesEndsTest, ANodesKeeperThatIsToldToEndEndsTheJob) {
  auto job = StartRex(On("2", "2", {Program(), "sleep", "60000"}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "sleeping") == 2; }))
      << job->Snapshot();
  const pid_t keeper = FindNodeDaemon(*job, "rexd");
  ASSERT_GT(keeper, 0) << job->Snapshot();
  ASSERT_EQ(::kill(keeper, SIGTERM), 0);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_TRUE(StderrNames(result, {"on node node", "SIGTERM"}));
}

}  // namespace
}  // namespace rex::testing
