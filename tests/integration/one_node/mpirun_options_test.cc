// mpirun's options as far as one machine can honour them, with real jobs.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class MpirunOptionsTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

TEST_F(MpirunOptionsTest, BindToCoreBindsEachRankToACoreOfItsOwn) {
  if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "one core only";
  const CommandResult result = Rex({"-n", "2", "--bind-to", "core", "--report-bindings", "sh", "-c",
                                    "grep Cpus_allowed_list /proc/self/status"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const auto lines = SortedLines(result.out);
  ASSERT_EQ(lines.size(), 2u) << result;
  EXPECT_NE(lines[0], lines[1]) << result;
  EXPECT_TRUE(Contains(result.err, "MCW rank 0 bound to socket 0[core 0[hwt 0")) << result;
  EXPECT_TRUE(Contains(result.err, "MCW rank 1 bound to")) << result;
}

TEST_F(MpirunOptionsTest, MoreRanksThanCoresAreNotBoundSilently) {
  const CommandResult result = Rex({"-n", "500", "--bind-to", "core", Program(), "print", "x"});
  ASSERT_TRUE(ExitedWith(result, 122));
  EXPECT_TRUE(Contains(result.err, "--bind-to core:overload-allowed")) << result;
  EXPECT_EQ(result.out, "");
}

TEST_F(MpirunOptionsTest, NamedSlotsLimitTheRanks) {
  EXPECT_TRUE(ExitedWith(Rex({"--host", "localhost:2", "-n", "2", Program(), "print", "x"}), 0));
  const CommandResult refused = Rex({"--host", "localhost:2", "-n", "3", Program(), "print", "x"});
  ASSERT_TRUE(ExitedWith(refused, 122));
  EXPECT_TRUE(Contains(refused.err, "not enough slots: 3 ranks, but 2 slots on 1 node")) << refused;
  EXPECT_TRUE(ExitedWith(
      Rex({"--host", "localhost:2", "--oversubscribe", "-n", "3", Program(), "print", "x"}), 0));
}

TEST_F(MpirunOptionsTest, SlotsGiveTheNumberOfRanks) {
  const CommandResult result =
      Rex({"--oversubscribe", "--host", "localhost:3", Program(), "print", "x\\n"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out).size(), 3u) << result;
}

TEST_F(MpirunOptionsTest, DoNotLaunchShowsAndStartsNothing) {
  const CommandResult result = Rex(
      {"-n", "2", "--do-not-launch", "--display", "map,allocation,topo", Program(), "print", "x"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(Contains(result.err, "JOB MAP")) << result;
  EXPECT_TRUE(Contains(result.err, "Process rank: 1 Bound: ")) << result;
  EXPECT_TRUE(Contains(result.err, "ALLOCATED NODES")) << result;
  EXPECT_TRUE(Contains(result.err, "Machine")) << result;
}

TEST_F(MpirunOptionsTest, OutputGoesToFilesOfItsOwn) {
  const std::string dir = left().work_dir() + "/out";
  const CommandResult result = Rex({"-n", "2", "--output-filename", dir + ":nocopy", "sh", "-c",
                                    "echo out $OMPI_COMM_WORLD_RANK; echo err >&2"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(ReadWorkFile("out/1/rank.1/stdout"), "out 1\n");
  EXPECT_EQ(ReadWorkFile("out/1/rank.0/stderr"), "err\n");
}

TEST_F(MpirunOptionsTest, OutputThatCannotBeKeptIsTold) {
  const CommandResult result = Rex({"-n", "1", "--output-filename", "/proc/none", "echo", "x"});
  EXPECT_TRUE(ExitedWith(result, 122));
  EXPECT_EQ(result.out, "x\n");
  EXPECT_TRUE(Contains(result.err, "/proc/none")) << result;
}

TEST_F(MpirunOptionsTest, MergedStderrComesOnStdout) {
  const CommandResult result = Rex({"-n", "1", "--output", "merge,tag", "sh", "-c", "echo e >&2"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "[1,0]<stdout>:e\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(MpirunOptionsTest, AnAppFileIsAJobOfSeveralPrograms) {
  const std::string file =
      WriteFile("apps", "# two\n-n 1 echo 'a b'\n-n 1 -x Q=7 sh -c 'echo $Q'\n");
  const CommandResult result = Rex({"--app", file});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"7", "a b"}));
}

TEST_F(MpirunOptionsTest, TheSessionDirectoryIsTheRanksOwnAndGoes) {
  const CommandResult result =
      Rex({"-n", "1", "--set-cwd-to-session-dir", "sh", "-c", "pwd; echo x > f"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const std::string dir = result.out.substr(0, result.out.find('\n'));
  EXPECT_TRUE(Contains(dir, "/rex-")) << result;
  EXPECT_NE(::access(dir.c_str(), F_OK), 0) << dir;
}

TEST_F(MpirunOptionsTest, PathIsSearchedFirst) {
  const std::string file = WriteFile("ls", "#!/bin/sh\necho mine\n", 0755);
  const std::string dir = file.substr(0, file.rfind('/'));
  const CommandResult result = Rex({"-n", "1", "--path", dir, "ls"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "mine\n");
}

TEST_F(MpirunOptionsTest, StackTracesComeWithTheTimeout) {
  if (Run({"gdb", "--version"}).exit_code != 0) GTEST_SKIP() << "gdb is not installed";
  const CommandResult result =
      Rex({"-n", "2", "--timeout", "1", "--get-stack-traces", "sleep", "60"});
  ASSERT_TRUE(ExitedWith(result, 110));
  EXPECT_TRUE(Contains(result.err, "stack traces of rank 1")) << result;
  EXPECT_TRUE(Contains(result.err, "#0 ")) << result;
}

}  // namespace
}  // namespace rex::testing
