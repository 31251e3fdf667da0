// Leases of cores among real jobs: of one user and of two, of jobs that are killed, and beside
// strangers who mean no good. Each case has a lease directory of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "launcher/base/private_dir.h"
#include "launcher/lease/core_leases.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

constexpr char kShow[] = "grep Cpus_allowed_list /proc/self/status | cut -f2";
constexpr char kShowAndStay[] =
    "grep Cpus_allowed_list /proc/self/status | cut -f2; exec sleep 120";
constexpr char kOneUser[] = "65534";
constexpr char kAnother[] = "65533";

class LeaseTest : public RexTest {
 protected:
  void SetUp() override {
    cpu_set_t usable;
    ASSERT_EQ(::sched_getaffinity(0, sizeof usable, &usable), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &usable)) cpus_.push_back(cpu);
    }
    if (cpus_.size() < 2) GTEST_SKIP() << "one processor only";
    char name[] = "/tmp/rexleases-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = name;
    ASSERT_EQ(::chmod(name, 0755), 0);
    for (const std::string& dir : {Dir(), Temp()}) {
      ASSERT_EQ(::mkdir(dir.c_str(), 01777), 0);
      ASSERT_EQ(::chmod(dir.c_str(), 01777), 0);
    }
  }
  void TearDown() override {
    RexTest::TearDown();
    if (!base_.empty()) RemoveTree(base_);
  }

  std::string Dir() const { return base_ + "/leases"; }
  std::string Temp() const { return base_ + "/tmp"; }

  CommandOptions Here() const {
    CommandOptions options;
    options.set_env = {{"REX_LEASES", Dir()}};
    return options;
  }
  std::unique_ptr<RunningCommand> Start(std::vector<std::string> args = {"-n", "1"}) {
    args.insert(args.end(), {"sh", "-c", kShowAndStay});
    return StartRex(args, Here());
  }
  CommandResult Show(std::vector<std::string> args = {"-n", "1"}) {
    args.insert(args.end(), {"sh", "-c", kShow});
    return Rex(args, Here());
  }
  // The line that a started job has shown.
  static std::string Shown(RunningCommand& job) {
    EXPECT_TRUE(job.WaitForText("\n")) << job.Snapshot();
    return Lines(job.out()).empty() ? "" : Lines(job.out())[0];
  }
  // Jobs of one rank until none is bound to a core of its own; all of them running.
  std::vector<std::unique_ptr<RunningCommand>> FillCores(std::set<std::string>* cores) {
    std::vector<std::unique_ptr<RunningCommand>> jobs;
    for (size_t i = 0; i < cpus_.size(); ++i) {
      jobs.push_back(Start());
      const std::string shown = Shown(*jobs.back());
      if (shown == Everywhere() || !cores->insert(shown).second) break;
    }
    return jobs;
  }
  std::string Everywhere() {
    if (everywhere_.empty()) everywhere_ = Lines(Show({"-n", "1", "--bind-to", "none"}).out)[0];
    return everywhere_;
  }
  static void End(std::vector<std::unique_ptr<RunningCommand>>& jobs) {
    for (const auto& job : jobs) job->Signal(SIGTERM);
    for (const auto& job : jobs) job->Wait();
  }
  size_t HeldCores() const {
    const CoreLeases look(Dir());
    size_t held = 0;
    for (uint32_t core = 0; core < 4096; ++core) {
      const std::string path = Dir() + "/core-" + std::to_string(core);
      if (::access(path.c_str(), F_OK) == 0 && look.HeldByOthers(core)) ++held;
    }
    return held;
  }

  // rexlaunch as another user; call Users() first.
  std::unique_ptr<RunningCommand> StartAs(const std::string& uid, const std::string& script) {
    CommandOptions options = Here();
    options.set_env["TMPDIR"] = Temp();
    options.cwd = "/";
    return std::make_unique<RunningCommand>(
        std::vector<std::string>{"setpriv", "--reuid=" + uid, "--regid=" + uid, "--clear-groups",
                                 RexlaunchPath(), "-n", "1", "sh", "-c", script},
        Prepare(std::move(options)));
  }
  bool IsOtherUsers(const std::string& uid, const std::string& script) {
    return ExitedWith(
        Run({"setpriv", "--reuid=" + uid, "--regid=" + uid, "--clear-groups", "sh", "-c", script}),
        0);
  }
  // Why there can't be two users here; empty: there can.
  std::string NoUsers() {
    if (::geteuid() != 0) return "only root can be two users";
    const std::string program = RexlaunchPath();
    if (!IsOtherUsers(kOneUser, "test -x " + program)) return program + " is not for all users";
    return "";
  }

  std::vector<int> cpus_;
  std::string base_;
  std::string everywhere_;
};

constexpr char kFull[] = "ranks are not bound on node";

TEST_F(LeaseTest, TwoJobsAtOnceHaveACoreEach) {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<RunningCommand>> jobs;
    for (int i = 0; i < 2; ++i) jobs.push_back(Start());
    const std::string first = Shown(*jobs[0]);
    const std::string second = Shown(*jobs[1]);
    EXPECT_NE(first, second);
    EXPECT_NE(first, Everywhere());
    EXPECT_NE(second, Everywhere());
    EXPECT_EQ(HeldCores(), 2u);
    End(jobs);
    EXPECT_EQ(HeldCores(), 0u);
  }
}

TEST_F(LeaseTest, OneJobAfterTheOtherHasTheSameCore) {
  const CommandResult first = Show();
  ASSERT_TRUE(ExitedWith(first, 0));
  EXPECT_NE(first.out, Everywhere() + "\n");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Show().out, first.out) << "a lease outlived its job";
}

TEST_F(LeaseTest, WhenAllCoresAreHeldRanksAreUnboundAndOneLineSaysSo) {
  std::set<std::string> cores;
  auto jobs = FillCores(&cores);
  const CommandResult more = Show();
  EXPECT_TRUE(ExitedWith(more, 0));
  EXPECT_EQ(more.out, Everywhere() + "\n");
  EXPECT_EQ(CountOf(more.err, kFull), 1u) << more;
  EXPECT_TRUE(Contains(more.err, "other jobs hold all its cores")) << more;
  const CommandResult yields =
      Rex({"-n", "1", "-q", "printenv", "OMPI_MCA_mpi_yield_when_idle"}, Here());
  EXPECT_EQ(yields.out, "1\n") << yields;
  EXPECT_EQ(yields.err, "") << yields;
  End(jobs);
}

TEST_F(LeaseTest, WhatIsAskedForIsDoneWhoeverHoldsTheCore) {
  auto job = Start();
  const std::string core = Shown(*job);
  const CommandResult asked = Show({"-n", "1", "--bind-to", "core"});
  EXPECT_TRUE(ExitedWith(asked, 0));
  EXPECT_EQ(asked.out, core + "\n") << "mpirun's first core";
  EXPECT_EQ(asked.err, "");
  EXPECT_EQ(Show({"-n", "1", "--leases", "none"}).out, core + "\n");
  EXPECT_NE(Show().out, core + "\n");
  job->Signal(SIGTERM);
  job->Wait();
}

TEST_F(LeaseTest, ABindingThatWasAskedForIsHeldToo) {
  auto job = Start({"-n", "1", "--bind-to", "core"});
  const std::string core = Shown(*job);
  EXPECT_NE(Show().out, core + "\n");
  job->Signal(SIGTERM);
  job->Wait();
  auto none = Start({"-n", "1", "--bind-to", "none"});
  Shown(*none);
  EXPECT_EQ(HeldCores(), 0u);
  none->Signal(SIGTERM);
  none->Wait();
}

TEST_F(LeaseTest, WhoeverIsKilledTheCoresAreFreeSoon) {
  for (const std::string victim : {"rexlaunch", "rexd", "rexd-agent", "sleep"}) {
    auto job = Start();
    ASSERT_NE(Shown(*job), "");
    ASSERT_EQ(HeldCores(), 1u) << victim;
    const pid_t pid = victim == "rexlaunch" ? job->pid() : FindDaemon(*job, victim);
    ASSERT_GT(pid, 0) << victim;
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    job->Wait();
    EXPECT_TRUE(job->WaitUntil([&] { return HeldCores() == 0; }, seconds(5)) || HeldCores() == 0)
        << victim;
  }
}

// The agent's end alone frees nothing: its ranks may still run.
TEST_F(LeaseTest, TheKeeperHoldsWhatAKilledAgentHeld) {
  auto job = Start();
  ASSERT_NE(Shown(*job), "");
  const pid_t keeper = FindDaemon(*job, "rexd");
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  ASSERT_TRUE(keeper > 0 && agent > 0);
  ASSERT_EQ(::kill(keeper, SIGSTOP), 0);
  ASSERT_EQ(::kill(agent, SIGKILL), 0);
  ASSERT_TRUE(job->WaitUntil(
      [&] { return ProcessLine(agent).find(" state Z ") != std::string::npos; }, seconds(10)));
  EXPECT_EQ(HeldCores(), 1u);
  ASSERT_EQ(::kill(keeper, SIGCONT), 0);
  job->Wait();
  EXPECT_TRUE(job->WaitUntil([&] { return HeldCores() == 0; }, seconds(5)) || HeldCores() == 0);
}

TEST_F(LeaseTest, ADirectoryThatIsMissingIsSaidAndTheJobIsNotBound) {
  CommandOptions options;
  options.set_env = {{"REX_LEASES", base_ + "/none"}};
  const CommandResult result = Rex({"-n", "1", "sh", "-c", kShow}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, Everywhere() + "\n");
  EXPECT_TRUE(Contains(result.err, "cores are not leased: there is no '" + base_ + "/none'"));
}

// ---- two users

TEST_F(LeaseTest, TwoUsersHaveACoreEach) {
  if (const std::string why = NoUsers(); !why.empty()) GTEST_SKIP() << why;
  auto one = StartAs(kOneUser, kShowAndStay);
  auto two = StartAs(kAnother, kShowAndStay);
  const std::string first = Shown(*one);
  const std::string second = Shown(*two);
  EXPECT_NE(first, second);
  EXPECT_NE(first, Everywhere());
  EXPECT_NE(second, Everywhere());
  one->Signal(SIGKILL);
  one->Wait();
  ASSERT_TRUE(two->WaitUntil([&] { return HeldCores() == 1; }, seconds(5)));
  auto third = StartAs(kAnother, kShow);
  EXPECT_EQ(third->Wait().out, first + "\n") << "the other user's file serves us too";
  two->Signal(SIGTERM);
  two->Wait();
}

TEST_F(LeaseTest, StrangersMayHoldCoresAndNothingElse) {
  if (const std::string why = NoUsers(); !why.empty()) GTEST_SKIP() << why;
  const std::vector<std::string> tricks = {"ln -s /etc/passwd $f", "ln -s $f $f",
                                           "mkfifo -m 666 $f", "mkdir -m 777 $f",
                                           "touch $f; chmod 0 $f"};
  for (const std::string& trick : tricks) {
    std::string script = "umask 0; ";
    for (const int cpu : cpus_) {
      script += "f=" + Dir() + "/core-" + std::to_string(cpu) + "; " + trick + "; ";
    }
    ASSERT_TRUE(IsOtherUsers(kAnother, script)) << trick;
    const CommandResult job = StartAs(kOneUser, kShow)->Wait(seconds(20));
    EXPECT_TRUE(ExitedWith(job, 0)) << trick;
    EXPECT_EQ(job.out, Everywhere() + "\n") << trick;
    EXPECT_EQ(CountOf(job.err, kFull), 1u) << trick << job;
    ASSERT_TRUE(IsOtherUsers(kAnother, "rm -rf " + Dir() + "/core-*"));
  }
  std::string huge = "umask 0; ";
  for (const int cpu : cpus_) {
    huge += "truncate -s 1T " + Dir() + "/core-" + std::to_string(cpu) + "; ";
  }
  ASSERT_TRUE(IsOtherUsers(kAnother, huge));
  const CommandResult job = StartAs(kOneUser, kShow)->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_NE(job.out, Everywhere() + "\n");
  EXPECT_EQ(CountOf(job.err, kFull), 0u) << job;
}

// ---- where the directory is nobody's choice: in a mount namespace of the case's own

TEST_F(LeaseTest, TheMachinesDirectoryIsUsedAndItsAbsenceIsSaidOnce) {
  const std::string mounts =
      "mount -t tmpfs none /run && mount -t tmpfs -o mode=1777 none /dev/shm || exit 77; "
      "unset REX_LEASES; ";
  const std::string run = RexlaunchPath() + " -n 1 true";
  const auto in_namespace = [&](const std::string& script) {
    return Run({"unshare", "--mount", "sh", "-c", mounts + script});
  };
  const CommandResult without = in_namespace(run + "; echo; ls /dev/shm; " + run + "; ls /dev/shm");
  if (without.exit_code == 77 || ::geteuid() != 0 || Contains(without.err, "unshare:")) {
    GTEST_SKIP() << "no mount namespaces here";
  }
  EXPECT_TRUE(ExitedWith(without, 0));
  EXPECT_EQ(without.out, "\nrexleases-0\nrexleases-0\n");
  EXPECT_EQ(CountOf(without.err,
                    "cores are leased among this user's jobs only: there is no '/run/lock/rex'; as "
                    "root: systemd-tmpfiles --create rex.conf, or mkdir -m 1777 /run/lock/rex"),
            1u)
      << without;
  const CommandResult with = in_namespace("mkdir -p /run/lock; mkdir -m 1777 /run/lock/rex; " +
                                          run + "; ls /run/lock/rex; ls /dev/shm");
  EXPECT_TRUE(ExitedWith(with, 0));
  EXPECT_TRUE(Contains(with.out, "core-"));
  EXPECT_FALSE(Contains(with.out, "rexleases-"));
  EXPECT_EQ(with.err, "");
  const CommandResult stranger = in_namespace(
      "mkdir -p /run/lock; mkdir -m 1777 /run/lock/rex; chown 65534 /run/lock/rex; "
      "cd /; setpriv --reuid=65533 --regid=65533 --clear-groups env TMPDIR=/dev/shm " +
      run);
  EXPECT_TRUE(ExitedWith(stranger, 0));
  EXPECT_TRUE(Contains(stranger.err, "'/run/lock/rex' belongs to user 65534")) << stranger;
}

}  // namespace
}  // namespace rex::testing
