// Rules of docs/rules.md that the tests of the other topics do not cover.
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <set>
#include <thread>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class RulesTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
  // A job whose ranks are shells with this script; each has printed "ready".
  std::unique_ptr<RunningCommand> StartShells(const std::string& script, size_t ranks,
                                              const std::vector<std::string>& options = {}) {
    std::vector<std::string> args = {"-n", std::to_string(ranks), "--oversubscribe"};
    args.insert(args.end(), options.begin(), options.end());
    args.insert(args.end(), {"/bin/sh", "-c", script, Program()});
    auto job = StartRex(args);
    EXPECT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "ready") == ranks; }))
        << job->Snapshot();
    return job;
  }
};

class ForwardedToShells : public RulesTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(ForwardedToShells, ReachesEveryRank) {
  const std::string name = GetParam();
  auto job = StartShells(
      "trap 'echo got; exit 0' " + name + "; echo ready; while :; do sleep 0.05; done", 2);
  job->Signal(name == "ALRM" ? SIGALRM : SIGABRT);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "got\n"), 2u) << result;
}

INSTANTIATE_TEST_SUITE_P(All, ForwardedToShells, ::testing::Values("ALRM", "ABRT"),
                         [](const auto& param) { return std::string(param.param); });

// The rank itself ignores the signal; what it started gets it from rex.
TEST_F(RulesTest, ASignalReachesWhatARankHasStarted) {
  auto job = StartShells("trap '' USR2; trap : USR1; \"$0\" catch 60000 " +
                             std::to_string(SIGUSR1) + " & echo ready; wait; wait",
                         1);
  ASSERT_TRUE(job->WaitForText("catching rank=0")) << job->Snapshot();
  job->Signal(SIGUSR1);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(Contains(result.out, "got rank=0 signal=USR1"));
}

TEST_F(RulesTest, AStoppedRankCanStillCleanUpWhenTheJobIsEnded) {
  auto job = StartShells("trap 'echo cleaned; exit 0' TERM; echo ready pid=$$; kill -STOP $$", 1,
                         {"--grace", "60"});
  const auto rank = static_cast<pid_t>(NumberAfter(job->out(), "pid"));
  ASSERT_TRUE(job->WaitUntil([&] { return ReadProcess(rank).state == 'T'; })) << job->Snapshot();
  job->Signal(SIGTERM);
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGTERM));
  EXPECT_TRUE(Contains(result.out, "cleaned"));
}

TEST_F(RulesTest, WhatARankLeftMayWriteWhileOtherRanksRun) {
  const CommandResult result =
      Rex({"-n", "1", "--oversubscribe", "/bin/sh", "-c", "(sleep 0.3; echo late) & echo early",
           ":", "-n", "1", Program(), "sleep", "1500"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "early\n"));
  EXPECT_TRUE(Contains(result.out, "late\n"));
}

// With the user's values Open MPI would take itself for a program without a launcher.
TEST_F(RulesTest, SettingsThatWouldHideTheLauncherDoNotCount) {
  CommandOptions options;
  options.set_env["OMPI_MCA_ess"] = "singleton";
  options.set_env["OMPI_MCA_pmix"] = "isolated";
  const CommandResult result = Rex({"-n", "2", ProgramPath("mpi_hello")}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "size=2"), 2u) << result;
}

TEST_F(RulesTest, PwdSaysTheWorkingDirectory) {
  const CommandResult result = Rex({"-n", "1", "--wdir", "/usr", Program(), "env", "PWD", ":", "-n",
                                    "1", Program(), "env", "PWD"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(
      SortedLines(result.out),
      (std::vector<std::string>{"env rank=0 PWD=/usr", "env rank=1 PWD=" + left().work_dir()}));
}

TEST_F(RulesTest, NicenessIsOurs) {
  const int ours = ::getpriority(PRIO_PROCESS, 0);
  const CommandResult result = Run({"nice", "-n", "3", RexlaunchPath(), "-n", "1", "nice"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, std::to_string(std::min(ours + 3, 19)) + "\n");
}

TEST_F(RulesTest, AffinityIsOurs) {
  cpu_set_t usable;
  ASSERT_EQ(::sched_getaffinity(0, sizeof usable, &usable), 0);
  int last = CPU_SETSIZE - 1;
  while (last > 0 && !CPU_ISSET(static_cast<size_t>(last), &usable)) --last;
  const std::string cpu = std::to_string(last);
  const CommandResult result = Run({"taskset", "-c", cpu, RexlaunchPath(), "-n", "1", "grep",
                                    "Cpus_allowed_list", "/proc/self/status"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "Cpus_allowed_list:\t" + cpu + "\n");
}

TEST_F(RulesTest, UnderNohupAHangUpEndsNothing) {
  RunningCommand job({"nohup", RexlaunchPath(), "-n", "1", Program(), "sleep", "1000"}, Prepare());
  ASSERT_TRUE(job.WaitForText("sleeping rank=0")) << job.Snapshot();
  job.Signal(SIGHUP);
  EXPECT_TRUE(ExitedWith(job.Wait(seconds(20)), 0));
}

// Sleeps are prolonged only for ranks that share cores.
TEST_F(RulesTest, TimerSlackIsForMoreRanksThanCores) {
  const std::string file = "/proc/self/timerslack_ns";
  const std::string many = std::to_string(2 * std::thread::hardware_concurrency() + 1);
  const auto lines_of = [&](const std::vector<std::string>& args) {
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    const auto lines = Lines(result.out);
    return std::set<std::string>(lines.begin(), lines.end());
  };
  using Set = std::set<std::string>;
  EXPECT_EQ(lines_of({"-n", many, "-q", "cat", file}), Set{"5000000"});
  EXPECT_EQ(lines_of({"-n", many, "-q", "--timer-slack", "0.25", "cat", file}), Set{"250000"});
  EXPECT_EQ(lines_of({"-n", "1", "cat", file}),
            lines_of({"-n", many, "-q", "--timer-slack", "0", "cat", file}));
}

}  // namespace
}  // namespace rex::testing
