// The exit code of rexlaunch and what it says when a job fails. docs/rules.md has the table.
#include <signal.h>
#include <unistd.h>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class ExitRulesTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

TEST_F(ExitRulesTest, AllGoodIsZeroAndSilent) {
  const CommandResult result = Rex({"-n", "2", Program(), "exit", "0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "");
}

TEST_F(ExitRulesTest, TheCodeOfTheRankThatFailed) {
  const CommandResult result =
      Rex({"-n", "3", "--oversubscribe", Program(), "at", "1", "exit", "42"});
  EXPECT_TRUE(ExitedWith(result, 42));
  EXPECT_TRUE(StderrNames(result, {"rank 1", "42", "testprog"}));
}

// Rank 1 fails a little earlier; what fails within 100 ms counts, and the lowest rank decides.
TEST_F(ExitRulesTest, TheLowestOfSeveralFailingRanks) {
  const CommandResult result =
      Rex({"-n", "2", Program(), "at", "0", "then", "sleep", "320", ",", "exit", "11", "else",
           "then", "sleep", "300", ",", "exit", "12"});
  EXPECT_TRUE(ExitedWith(result, 11));
}

TEST_F(ExitRulesTest, TheFirstFailureEndsTheOthers) {
  const CommandResult result =
      Rex({"-n", "2", Program(), "at", "1", "exit", "7", "else", "sleep", "60000"});
  EXPECT_TRUE(ExitedWith(result, 7));
  EXPECT_LT(result.wall, seconds(20));
}

TEST_F(ExitRulesTest, ARankThatEndsWellEndsNobody) {
  const CommandResult result = Rex({"-n", "2", Program(), "at", "0", "exit", "0", "else", "then",
                                    "sleep", "500", ",", "print", "still here\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "still here"));
}

TEST_F(ExitRulesTest, ASignalIsItsNumberAbove128) {
  const CommandResult result =
      Rex({"-n", "2", Program(), "at", "1", "signal", "9", "else", "sleep", "60000"});
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
  EXPECT_TRUE(StderrNames(result, {"rank 1", "pid", "signal 9"}));
}

TEST_F(ExitRulesTest, ACrashNamesItsSignalAndNode) {
  char node[256] = "";
  ::gethostname(node, sizeof node - 1);
  const CommandResult result = Rex({"-n", "1", Program(), "segv"});
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGSEGV));
  EXPECT_TRUE(StderrNames(result, {"rank 0", "segmentation", "signal 11", node}));
}

TEST_F(ExitRulesTest, MpiAbortGivesItsCode) {
  const CommandResult result =
      Rex({"-n", "3", "--oversubscribe", ProgramPath("mpi_abort"), "2", "17"});
  EXPECT_TRUE(ExitedWith(result, 17));
  EXPECT_TRUE(StderrNames(result, {"abort", "rank 2", "17"}));
  EXPECT_EQ(CountOf(result.out, "not reached"), 0u);
}

TEST_F(ExitRulesTest, MpiAbortWithZeroIsStillAFailure) {
  const CommandResult result = Rex({"-n", "2", ProgramPath("mpi_abort"), "0", "0"});
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_NE(result.exit_code, 0) << result;
}

TEST_F(ExitRulesTest, LeavingWithoutFinalizeEndsTheJobWithACode) {
  const CommandResult result = Rex({"-n", "2", ProgramPath("mpi_quit"), "1", "0"});
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_NE(result.exit_code, 0) << result;
  EXPECT_TRUE(StderrNames(result, {"rank 1", "finalize"}));
}

TEST_F(ExitRulesTest, LeavingWithoutFinalizeKeepsItsCode) {
  EXPECT_TRUE(ExitedWith(Rex({"-n", "2", ProgramPath("mpi_quit"), "1", "5"}), 5));
}

// MPI_Init waits for every rank; for one that has gone it would wait for ever.
TEST_F(ExitRulesTest, ARankThatLeavesBeforeTheOthersInitialiseEndsTheJob) {
  const CommandResult result = Rex({"--oversubscribe", "-n", "1", Program(), "exit", "0", ":", "-n",
                                    "2", ProgramPath("mpi_hello")});
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(StderrNames(result, {"rank 0", "without MPI_Init"}));
}

TEST_F(ExitRulesTest, ARankThatLeavesWhileOthersWaitInInitEndsTheJob) {
  const CommandResult result = Rex({"--oversubscribe", "-n", "2", ProgramPath("mpi_hello"), ":",
                                    "-n", "1", Program(), "sleep", "1500"});
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(StderrNames(result, {"rank 2", "without MPI_Init"}));
}

// MPI's own answer to a lost peer, an abort, must not hide what happened.
TEST_F(ExitRulesTest, AKilledRankIsToBlameAlsoWhenItsPeersAbort) {
  auto job = StartRex({"-n", "2", ProgramPath("mpi_phases"), "0", "60000"});
  const auto both = [&] { return CountOf(job->out(), "phase=initialized") == 2; };
  ASSERT_TRUE(job->WaitUntil(both, seconds(30))) << job->Snapshot();
  const pid_t rank = FindRank(*job, "mpi_phases");
  ASSERT_GT(rank, 0);
  ::kill(rank, SIGKILL);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
  EXPECT_TRUE(StderrNames(result, {"signal 9", std::to_string(rank)}));
}

// A host that is stopped, or starved, tells late that a rank finalized.
TEST_F(ExitRulesTest, AHostThatIsStoppedDoesNotSpoilAGoodEnd) {
  CommandOptions options;
  options.stdin_kind = StdinKind::kPipe;
  auto job = StartRex({"-n", "1", ProgramPath("pmix_finalize")}, options);
  ASSERT_TRUE(job->WaitForText("ready pid=")) << job->Snapshot();
  const auto rank = static_cast<pid_t>(NumberAfter(job->out(), "pid"));
  const pid_t host = FindDaemon(*job, "rexd-pmix");
  ASSERT_GT(host, 0);
  ::kill(host, SIGSTOP);
  job->CloseStdin();
  // libpmix gives up on the server after 2 s.
  EXPECT_TRUE(job->WaitUntil([&] { return ReadProcess(rank).pid == 0; })) << job->Snapshot();
  job->WaitUntil([&] { return job->ended(); }, milliseconds(800));  // it must not
  EXPECT_FALSE(job->ended()) << job->Snapshot();
  ::kill(host, SIGCONT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), 0));
}

TEST_F(ExitRulesTest, TheTimeLimitHasItsOwnCode) {
  const CommandResult result = Rex({"-n", "2", "--timeout", "1", Program(), "sleep", "60000"});
  EXPECT_TRUE(ExitedWith(result, kExitTimeout));
  EXPECT_GE(result.wall, milliseconds(1000));
  EXPECT_LT(result.wall, seconds(20));
}

TEST_F(ExitRulesTest, OthersGetTermFirst) {
  const CommandResult result = Rex({"-n", "2", Program(), "at", "1", "then", "sleep", "500", ",",
                                    "exit", "3", "else", "clean-term", "100", "0"});
  EXPECT_TRUE(ExitedWith(result, 3));
  EXPECT_TRUE(Contains(result.out, "cleaned rank=0")) << result;
}

TEST_F(ExitRulesTest, OthersAreKilledAfterTheGraceTime) {
  const CommandResult result =
      Rex({"-n", "2", "--grace", "0.5", Program(), "at", "1", "then", "sleep", "300", ",", "exit",
           "3", "else", "ignore-term", "60000"});
  EXPECT_TRUE(ExitedWith(result, 3));
  EXPECT_GE(result.wall, milliseconds(800));
  EXPECT_LT(result.wall, seconds(20));
}

TEST_F(ExitRulesTest, AnEndThatWeAskedForIsNotBlamed) {
  // Rank 0 ends with 9 because of our TERM; rank 1 is the one that failed.
  const CommandResult result = Rex({"-n", "2", Program(), "at", "1", "then", "sleep", "500", ",",
                                    "exit", "3", "else", "clean-term", "0", "9"});
  EXPECT_TRUE(ExitedWith(result, 3));
}

TEST_F(ExitRulesTest, WhatARankLeavesBehindIsEnded) {
  const CommandResult result = Rex({"-n", "2", Program(), "grandchildren", "120000", "100"});
  EXPECT_TRUE(ExitedWith(result, 0));  // the fixture proves the rest
}

TEST_F(ExitRulesTest, ARankInASessionOfItsOwnIsEndedToo) {
  const CommandResult result = Rex({"-n", "2", "--grace", "0.3", Program(), "at", "0", "then",
                                    "sleep", "500", ",", "exit", "4", "else", "session", "120000"});
  EXPECT_TRUE(ExitedWith(result, 4));
}

}  // namespace
}  // namespace rex::testing
