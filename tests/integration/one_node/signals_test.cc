// Signals to rexlaunch: what they do to the ranks, and with which code the job ends.
#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class SignalsTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
  // A job of two ranks, each of which has printed `ready`.
  std::unique_ptr<RunningCommand> StartReady(const std::vector<std::string>& args,
                                             const std::string& ready,
                                             CommandOptions options = {}) {
    auto job = StartRex(args, std::move(options));
    const bool up = job->WaitUntil([&] { return CountOf(job->out(), ready) == 2; }, seconds(30));
    EXPECT_TRUE(up) << job->Snapshot();
    return job;
  }
  static std::vector<pid_t> RankPids(const RunningCommand& job) {
    std::vector<pid_t> pids;
    for (size_t at = 0; (at = job.out().find(" pid=", at)) != std::string::npos; at += 5) {
      pids.push_back(static_cast<pid_t>(NumberAfter(job.out(), "pid", at)));
    }
    return pids;
  }
  static bool AllInState(const std::vector<pid_t>& pids, char state) {
    for (const pid_t pid : pids) {
      if (ReadProcess(pid).state != state) return false;
    }
    return !pids.empty();
  }
};

class EndingSignal : public SignalsTest, public ::testing::WithParamInterface<int> {};

TEST_P(EndingSignal, EndsTheJobWithTermAndItsOwnCode) {
  const int signo = GetParam();
  auto job = StartReady({"-n", "2", Program(), "clean-term", "50", "0"}, "waiting rank=");
  job->Signal(signo);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + signo));
  EXPECT_EQ(CountOf(result.out, "cleaned rank="), 2u) << result;
}

INSTANTIATE_TEST_SUITE_P(All, EndingSignal, ::testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& param) { return "Signal" + std::to_string(param.param); });

TEST_F(SignalsTest, AfterTheGraceTimeRanksAreKilled) {
  auto job = StartReady({"-n", "2", "--grace", "0.5", Program(), "ignore-term", "120000"},
                        "ignoring rank=");
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGINT));
}

TEST_F(SignalsTest, ASecondOneEndsAtOnce) {
  auto job = StartReady({"-n", "2", "--grace", "100", Program(), "ignore-term", "120000"},
                        "ignoring rank=");
  job->Signal(SIGINT);
  // Two signals at the same moment are one for the kernel.
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, milliseconds(300)));
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(15)), kExitSignalBase + SIGINT));
}

class ForwardedSignal : public SignalsTest, public ::testing::WithParamInterface<int> {};

TEST_P(ForwardedSignal, ReachesEveryRankAndEndsNothing) {
  const int signo = GetParam();
  auto job =
      StartReady({"-n", "2", Program(), "catch", "60000", std::to_string(signo)}, "catching rank=");
  job->Signal(signo);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "signal=USR"), 2u) << result;
}

INSTANTIATE_TEST_SUITE_P(All, ForwardedSignal, ::testing::Values(SIGUSR1, SIGUSR2),
                         [](const auto& param) { return "Signal" + std::to_string(param.param); });

TEST_F(SignalsTest, StopAndContinue) {
  auto job = StartReady({"-n", "2", Program(), "sleep", "60000"}, "sleeping rank=");
  const auto ranks = RankPids(*job);
  ASSERT_EQ(ranks.size(), 2u) << job->Snapshot();
  job->Signal(SIGTSTP);
  EXPECT_TRUE(job->WaitUntil([&] { return AllInState(ranks, 'T'); }, seconds(10)))
      << "ranks are not stopped: " << ProcessLine(ranks[0]);
  job->Signal(SIGCONT);
  EXPECT_TRUE(job->WaitUntil([&] { return AllInState(ranks, 'S'); }, seconds(10)))
      << "ranks do not go on: " << ProcessLine(ranks[0]);
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGTERM));
}

TEST_F(SignalsTest, AStoppedJobCanBeEnded) {
  auto job = StartReady({"-n", "2", "--grace", "1", Program(), "sleep", "60000"}, "sleeping rank=");
  const auto ranks = RankPids(*job);
  job->Signal(SIGTSTP);
  ASSERT_TRUE(job->WaitUntil([&] { return AllInState(ranks, 'T'); }, seconds(10)));
  job->Signal(SIGCONT);
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGTERM));
}

TEST_F(SignalsTest, InterruptTypedOnATerminal) {
  CommandOptions options;
  options.on_pty = true;
  auto job = StartReady({"-n", "2", Program(), "sleep", "60000"}, "sleeping rank=", options);
  job->Write("\x03");
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGINT));
}

TEST_F(SignalsTest, AClosedTerminalEndsTheJob) {
  CommandOptions options;
  options.on_pty = true;
  auto job = StartReady({"-n", "2", Program(), "sleep", "60000"}, "sleeping rank=", options);
  left().Track(RankPids(*job));
  job.reset();  // closes the terminal, kills rexlaunch; the fixture proves that nothing stays
}

TEST_F(SignalsTest, InterruptWhileStarting) {
  for (const int delay_ms : {0, 2, 5, 10, 20, 40, 80}) {
    auto job = StartRex({"-n", "2", ProgramPath("mpi_hello")});
    job->WaitUntil([] { return false; }, milliseconds(delay_ms));
    job->Signal(SIGINT);
    const CommandResult result = job->Wait(seconds(20));
    // Before rexlaunch has set its handlers the signal's own action counts.
    EXPECT_TRUE(result.exit_code == kExitSignalBase + SIGINT || result.signo == SIGINT ||
                result.exit_code == 0)
        << "after " << delay_ms << " ms: " << result;
  }
}

TEST_F(SignalsTest, RanksStartWithoutBlockedOrIgnoredSignals) {
  const CommandResult result = Rex({"-n", "1", Program(), "inherited"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "blocked=0\n"));
  EXPECT_TRUE(Contains(result.out, "ignored=0\n"));
}

TEST_F(SignalsTest, AStoppedAgentGoesOnWhenContinued) {
  auto job = StartReady({"-n", "2", Program(), "then", "sleep", "1500", ",", "print", "end\\n"},
                        "sleeping rank=");
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  ::kill(agent, SIGSTOP);
  job->WaitUntil([] { return false; }, seconds(3));
  ::kill(agent, SIGCONT);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "end\n"), 2u) << result;
}

}  // namespace
}  // namespace rex::testing
