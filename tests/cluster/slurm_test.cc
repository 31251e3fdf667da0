// rexlaunch under a real Slurm: slurmctld, a slurmd in each node, munge, cgroups.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

constexpr seconds kLong{60};

// Each line of what this prints is something that a step of Slurm's determines.
constexpr char kShowLimits[] =
    "echo $SLURMD_NODENAME $SLURM_NODEID;"
    "grep Cpus_allowed_list /proc/self/status;"
    "m=$(sed -n 's/.*:memory://p' /proc/self/cgroup);"
    "grep hierarchical_memory_limit /sys/fs/cgroup/memory$m/memory.stat;"
    "head -c1 /dev/full >/dev/null 2>&1 && echo device || echo no device";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class SlurmTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    if (IsSkipped()) return;
    if (const auto reason = Cluster::WhyNoSlurm()) GTEST_SKIP() << *reason;
  }

  ::testing::AssertionResult StartSlurm(int nodes, std::vector<std::string> hide = {}) {
    ClusterOptions options;
    options.nodes = nodes;
    options.slurm = true;
    options.hide = std::move(hide);
    return StartCluster(options);
  }

  // rexlaunch with `args` in an allocation made by salloc with `wanted`.
  static std::vector<std::string> InAllocation(const std::vector<std::string>& wanted,
                                               const std::vector<std::string>& args) {
    std::vector<std::string> argv = {"salloc", "-Q"};
    argv.insert(argv.end(), wanted.begin(), wanted.end());
    argv.push_back(RexlaunchPath());
    argv.insert(argv.end(), args.begin(), args.end());
    return argv;
  }

  CommandResult Launch(const std::vector<std::string>& wanted,
                       const std::vector<std::string>& args) {
    return RunIn("head", InAllocation(wanted, args), Patient());
  }

  std::unique_ptr<RunningCommand> StartLaunch(const std::vector<std::string>& wanted,
                                              const std::vector<std::string>& args) {
    return StartIn("head", InAllocation(wanted, args), Patient());
  }

  static CommandOptions Patient() {
    CommandOptions options;
    options.timeout = kLong;
    options.unset_env = {"SLURM_*"};
    return options;
  }

  CommandResult Slurm(const std::vector<std::string>& argv) {
    return RunIn("head", argv, Patient());
  }
};

TEST_F(SlurmTest, AllocationGivesNodesAndSlots) {
  ASSERT_TRUE(StartSlurm(3));
  CommandResult result = Launch({"-N3", "--ntasks-per-node=2"}, {"hostname"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"n1", "n1", "n2", "n2", "n3", "n3"}))
      << result;
  result = Launch({"-N2", "-n2", "-c2"}, {"--host", "n2", "hostname"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"n2"})) << result;
}

TEST_F(SlurmTest, MpiRunsOverTwoAndFourNodes) {
  ASSERT_TRUE(StartSlurm(4));
  for (const int nodes : {2, 4}) {
    const CommandResult result =
        Launch({"-N" + std::to_string(nodes), "--ntasks-per-node=1"}, {ProgramPath("mpi_hello")});
    EXPECT_TRUE(ExitedWith(result, 0)) << result;
    EXPECT_EQ(Lines(result.out).size(), static_cast<size_t>(nodes)) << result;
  }
}

TEST_F(SlurmTest, BatchScriptRunsOnItsOwnNodeToo) {
  ASSERT_TRUE(StartSlurm(2));
  const std::string out = cluster().Directory() + "/batch.out";
  const CommandResult result =
      Slurm({"env", "-u", "TMPDIR", "sbatch", "-Q", "-D", "/", "--wait", "-N2",
             "--ntasks-per-node=1", "-o", out, "--wrap",
             RexlaunchPath() + " hostname; " + RexlaunchPath() + " " + ProgramPath("mpi_hello")});
  EXPECT_TRUE(ExitedWith(result, 0)) << ReadFile(out);
  std::vector<std::string> lines = Lines(ReadFile(out));
  ASSERT_EQ(lines.size(), 4u) << ReadFile(out);
  std::sort(lines.begin(), lines.begin() + 2);
  EXPECT_EQ(lines[0] + " " + lines[1], "n1 n2");
}

TEST_F(SlurmTest, RanksSeeWhatAnOverlappingStepSees) {
  ASSERT_TRUE(StartSlurm(2));
  for (const char* gres : {"--gres=token:1", "--gres=none"}) {
    const std::vector<std::string> wanted = {"-N2", "-n2", "-c2", "--mem=200", gres};
    std::vector<std::string> plain = {"salloc", "-Q"};
    plain.insert(plain.end(), wanted.begin(), wanted.end());
    plain.insert(plain.end(), {"env", "-u", "SLURM_CPUS_PER_TASK", "srun", "--overlap", "--mem=0",
                               "--cpu-bind=none", "sh", "-c", kShowLimits});
    const CommandResult step = Slurm(plain);
    const CommandResult ranks = Launch(wanted, {"--bind-to", "none", "sh", "-c", kShowLimits});
    EXPECT_TRUE(ExitedWith(step, 0));
    EXPECT_TRUE(ExitedWith(ranks, 0));
    EXPECT_EQ(SortedLines(ranks.out), SortedLines(step.out)) << ranks << step;
    EXPECT_NE(step.out.find("limit 209715200"), std::string::npos) << step;  // it is a limit
  }
}

TEST_F(SlurmTest, UsersOwnStepStartsBesideUs) {
  ASSERT_TRUE(StartSlurm(2));
  const std::string script = RexlaunchPath() +
                             " sh -c 'echo up; sleep 300' & "
                             "timeout 20 srun -N2 -n2 echo step; kill -TERM $!; wait $!";
  const CommandResult result =
      Slurm({"salloc", "-Q", "-N2", "--ntasks-per-node=2", "sh", "-c", script});
  EXPECT_NE(result.out.find("step\n"), std::string::npos) << result;
  EXPECT_FALSE(result.timed_out) << result;
  if (!IsSanitized()) return;
  // The allocation ended before slow processes had cleaned up; the next agents do, once those have
  // gone: clusters.md.
  for (int i = 0; i < 10 && !cluster().Left().empty(); ++i) {
    EXPECT_TRUE(ExitedWith(Launch({"-N2", "--ntasks-per-node=1"}, {"true"}), 0));
  }
}

TEST_F(SlurmTest, WhatDeadKeepersLeftGoesWithTheNextLaunch) {
  ASSERT_TRUE(StartSlurm(2));
  const std::string left = "/tmp/rex-0123456789abcdef";
  for (const char* node : {"n1", "n2"}) {
    const std::string script = "mkdir -m 700 " + left + "; touch " + left + "/lock " + left + "/x";
    ASSERT_TRUE(ExitedWith(RunIn(node, {"sh", "-ec", script}), 0));
  }
  EXPECT_TRUE(ExitedWith(Launch({"-N2", "--ntasks-per-node=1"}, {"sleep", "1"}), 0));
}

// TearDown looks for what is left.
TEST_F(SlurmTest, KilledHeadLeavesNothing) {
  ASSERT_TRUE(StartSlurm(2));
  for (const char* victim : {"$!", "$(pgrep -P $(pgrep -P $!) -x rexd-agent)"}) {
    const std::string script = RexlaunchPath() +
                               " sh -c 'touch /tmp/rank; sleep 300' & "
                               "until srun --overlap -N2 ls /tmp/rank; do sleep 0.1; done; "
                               "srun --overlap -N2 rm /tmp/rank; kill -KILL " +
                               victim + " && echo killed; wait $!; echo $?";
    const CommandResult result =
        Slurm({"salloc", "-Q", "-N2", "--ntasks-per-node=1", "sh", "-c", script});
    EXPECT_NE(result.out.find("killed"), std::string::npos) << result;
    EXPECT_FALSE(result.timed_out) << result;
    for (const auto& line : cluster().Left()) ADD_FAILURE() << victim << ": " << line;
  }
}

TEST_F(SlurmTest, CancelledJobSaysSo) {
  ASSERT_TRUE(StartSlurm(2));
  auto job = StartLaunch({"-N2", "--ntasks-per-node=1"}, {"sh", "-c", "echo up; exec sleep 300"});
  ASSERT_TRUE(job->WaitForText("up\nup\n", kLong)) << job->Snapshot();
  EXPECT_TRUE(ExitedWith(Slurm({"scancel", "1"}), 0));
  const CommandResult result = job->Wait();
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("CANCELLED"), std::string::npos) << result;
}

TEST_F(SlurmTest, SuspendedJobGoesOn) {
  ASSERT_TRUE(StartSlurm(2));
  // Six seconds of its own time.
  auto job = StartLaunch({"-N2", "--ntasks-per-node=1"},
                         {"sh", "-c", "echo up; for i in $(seq 60); do sleep 0.1; done; hostname"});
  ASSERT_TRUE(job->WaitForText("up\nup\n", kLong)) << job->Snapshot();
  EXPECT_TRUE(ExitedWith(Slurm({"scontrol", "suspend", "1"}), 0));
  EXPECT_EQ(Slurm({"squeue", "-h", "-o", "%T"}).out, "SUSPENDED\n");
  std::this_thread::sleep_for(seconds(4));  // longer than a process takes to find itself late
  EXPECT_TRUE(ExitedWith(Slurm({"scontrol", "resume", "1"}), 0));
  const CommandResult result = job->Wait();
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 4u) << result;
}

TEST_F(SlurmTest, DeadNodeIsNamed) {
  ASSERT_TRUE(StartSlurm(3));
  auto job = StartLaunch({"-N3", "--ntasks-per-node=1"}, {"sh", "-c", "echo up; exec sleep 300"});
  ASSERT_TRUE(job->WaitForText("up\nup\nup\n", kLong)) << job->Snapshot();
  cluster().Kill("n2");
  cluster().Cut("n2");
  const CommandResult result = job->Wait();
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_NE(result.err.find("n2"), std::string::npos) << result;
}

TEST_F(SlurmTest, NodeWithoutRexdIsNamed) {
  ASSERT_TRUE(StartSlurm(2, {"n2:" + BuildDir() + "/libexec"}));
  const CommandResult result = Launch({"-N2", "--ntasks-per-node=1"}, {"hostname"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_NE(result.err.find("n2"), std::string::npos) << result;
  EXPECT_NE(result.err.find("No such file"), std::string::npos) << result;
  EXPECT_NE(result.err.find("install rex"), std::string::npos) << result;
}

TEST_F(SlurmTest, DeadSlurmdIsNamed) {
  ASSERT_TRUE(StartSlurm(2));
  const CommandResult result = Slurm({"salloc", "-Q", "-N2", "--ntasks-per-node=1", "sh", "-c",
                                      "kill -KILL $(pgrep -f '^slurmd .*-N n2 .*" + cluster().id() +
                                          "'); exec " + RexlaunchPath() + " hostname"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_NE(result.err.find("failed on node n2"), std::string::npos) << result;
  EXPECT_NE(result.err.find("is slurmd running there"), std::string::npos) << result;
  // Slurm has killed the step on n1, where it ran already: see clusters.md. The next agent cleans
  // up.
  const CommandResult next =
      Slurm({"salloc", "-Q", "-N1", "-w", "n1", RexlaunchPath(), "hostname"});
  EXPECT_TRUE(ExitedWith(next, 0));
  EXPECT_EQ(next.out, "n1\n") << next;
}

TEST_F(SlurmTest, MissingMungeIsNamed) {
  ASSERT_TRUE(StartSlurm(2));
  const CommandResult result =
      Slurm({"env", "SLURM_JOB_ID=1", "SLURM_JOB_NODELIST=n[1-2]", "SLURM_TASKS_PER_NODE=1(x2)",
             "sh", "-c", "rm /run/munge/munge.socket.2; exec " + RexlaunchPath() + " hostname"});
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_NE(result.err.find("munged running"), std::string::npos) << result;
}

// slurmctld looks every half minute.
TEST_F(SlurmTest, TimeLimitIsSaid) {
  ASSERT_TRUE(StartSlurm(2));
  auto job = StartLaunch({"-N2", "--ntasks-per-node=1"}, {"sh", "-c", "echo up; exec sleep 300"});
  ASSERT_TRUE(job->WaitForText("up\nup\n", kLong)) << job->Snapshot();
  EXPECT_TRUE(ExitedWith(Slurm({"scontrol", "update", "JobId=1", "EndTime=now"}), 0));
  const CommandResult result = job->Wait();
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_NE(result.err.find("DUE TO TIME LIMIT"), std::string::npos) << result;
  EXPECT_NE(result.err.find("ask for more time"), std::string::npos) << result;
}

TEST_F(SlurmTest, RefusedStepSaysWhy) {
  ASSERT_TRUE(StartSlurm(2));
  const CommandResult result = RunIn("head",
                                     {"env", "SLURM_JOB_ID=77", "SLURM_JOB_NODELIST=n[1-2]",
                                      "SLURM_TASKS_PER_NODE=1(x2)", RexlaunchPath(), "hostname"},
                                     Patient());
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_NE(result.err.find("Invalid job id"), std::string::npos) << result;
  EXPECT_NE(result.err.find("srun"), std::string::npos) << result;
}

TEST_F(SlurmTest, SeveralCopiesOfRexlaunchAreRefused) {
  ASSERT_TRUE(StartSlurm(2));
  const CommandResult result = Slurm({"srun", "-N2", "-n2", RexlaunchPath(), "hostname"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("srun"), std::string::npos) << result;
}

}  // namespace
}  // namespace rex::testing
