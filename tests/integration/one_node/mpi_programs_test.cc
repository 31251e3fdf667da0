// Unmodified Open MPI programs do what they do under mpirun.
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class MpiProgramsTest : public RexTest {
 protected:
  // Runs `program` with that many ranks and expects `line` in its output.
  void ExpectLine(const std::string& ranks, const std::vector<std::string>& program,
                  const std::string& line) {
    std::vector<std::string> args{"-n", ranks, "--oversubscribe"};
    args.insert(args.end(), program.begin(), program.end());
    const CommandResult result = Rex(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, line)) << result;
  }
};

TEST_F(MpiProgramsTest, EveryRankSaysHello) {
  const CommandResult result = Rex({"-n", "4", ProgramPath("mpi_hello")});
  ASSERT_TRUE(ExitedWith(result, 0));
  const auto lines = SortedLines(result.out);
  ASSERT_EQ(lines.size(), 4u) << result;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_TRUE(Contains(lines[static_cast<size_t>(rank)],
                         "hello rank=" + std::to_string(rank) + " size=4 node="));
  }
}

TEST_F(MpiProgramsTest, OneRank) {
  ExpectLine("1", {ProgramPath("mpi_hello")}, "hello rank=0 size=1");
}

TEST_F(MpiProgramsTest, Ring) {
  ExpectLine("4", {ProgramPath("mpi_ring")}, "ring size=4 token=40 ok=1");
}

TEST_F(MpiProgramsTest, Collectives) {
  ExpectLine("4", {ProgramPath("mpi_collectives")}, "collectives size=4 failures=0");
}

TEST_F(MpiProgramsTest, CollectivesOfAnOddNumber) {
  ExpectLine("3", {ProgramPath("mpi_collectives")}, "collectives size=3 failures=0");
}

TEST_F(MpiProgramsTest, ParallelFile) {
  ExpectLine("4", {ProgramPath("mpi_io"), left().work_dir() + "/data"}, "io size=4 wrong=0");
}

TEST_F(MpiProgramsTest, OneSided) {
  ExpectLine("4", {ProgramPath("mpi_rma")}, "rma size=4 wrong=0");
}

TEST_F(MpiProgramsTest, ThreadMultiple) {
  ExpectLine("2", {ProgramPath("mpi_threads")}, "threads size=2 provided=3 wrong=0");
}

TEST_F(MpiProgramsTest, PublishAndLookUp) {
  ExpectLine("2", {ProgramPath("mpi_publish")}, "publish size=2 wrong=0");
}

TEST_F(MpiProgramsTest, Cxx) {
  ExpectLine("3", {ProgramPath("mpi_cxx")}, "c++ rank=2 size=3 sum=3 ready=1");
}

TEST_F(MpiProgramsTest, Fortran) {
  ExpectLine("3", {ProgramPath("mpi_fortran")}, "fortran rank=2 size=3 sum=3");
}

TEST_F(MpiProgramsTest, Mpi4py) {
  ExpectLine("2", {"/usr/bin/python3", ProgramPath("mpi4py_check.py")},
             "mpi4py rank=1 size=2 ok=1");
}

// A script with an interpreter line is a program like any other.
TEST_F(MpiProgramsTest, Mpi4pyAsAScript) {
  ExpectLine("2", {ProgramPath("mpi4py_check.py")}, "mpi4py rank=1 size=2 ok=1");
}

TEST_F(MpiProgramsTest, OutOfAShellScript) {
  const std::string script = WriteFile(
      "run.sh", "#!/bin/sh\nexec " + ShellWord(ProgramPath("mpi_hello")) + " \"$@\"\n", 0755);
  ExpectLine("2", {script}, "hello rank=1 size=2");
}

TEST_F(MpiProgramsTest, InfoEnvAndAttributes) {
  const CommandResult result = Rex({"-n", "2", ProgramPath("mpi_info_env"), "one", "two", ":", "-n",
                                    "1", ProgramPath("mpi_info_env")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "rank=0 info.maxprocs=3")) << result;  // of the job, as mpirun
  EXPECT_TRUE(Contains(result.out, "rank=0 info.argv=one two")) << result;
  EXPECT_TRUE(Contains(result.out, "mpi_info_env")) << result;
  EXPECT_TRUE(Contains(result.out, "rank=0 info.wdir=" + left().work_dir())) << result;
  EXPECT_TRUE(Contains(result.out, "rank=1 attr.appnum=0")) << result;
  EXPECT_TRUE(Contains(result.out, "rank=2 attr.appnum=1")) << result;
  EXPECT_GE(NumberAfter(result.out, "attr.universe_size"), 3) << result;
  EXPECT_GT(NumberAfter(result.out, "attr.tag_ub"), 32767) << result;
  EXPECT_TRUE(Contains(result.out, "attr.wtime_is_global=")) << result;
}

TEST_F(MpiProgramsTest, TwoProgramsAreOneWorld) {
  const CommandResult result =
      Rex({"-n", "2", ProgramPath("mpi_hello"), ":", "-n", "1", ProgramPath("mpi_info_env")});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, " size=3 "), 2u) << result;
  EXPECT_TRUE(Contains(result.out, "rank=2 attr.appnum=1"));
}

TEST_F(MpiProgramsTest, TwoJobsAtOnceDoNotDisturbEachOther) {
  std::vector<std::unique_ptr<RunningCommand>> jobs;
  for (int i = 0; i < 2; ++i) {
    jobs.push_back(StartRex({"-n", "3", "--oversubscribe", ProgramPath("mpi_ring"), "200"}));
  }
  for (auto& job : jobs) {
    const CommandResult result = job->Wait();
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, "ring size=3 token=600 ok=1")) << result;
  }
}

TEST_F(MpiProgramsTest, AJobInsideAJobIsItsOwn) {
  const CommandResult result =
      Rex({"-n", "2", RexlaunchPath(), "-n", "2", "--oversubscribe", ProgramPath("mpi_ring"), "5"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "ring size=2 token=10 ok=1"), 2u) << result;
}

TEST_F(MpiProgramsTest, RanksFindEachOtherInSharedMemory) {
  const CommandResult result = Rex({"-n", "2", "--mca", "btl", "vader,self", "--mca", "pml", "ob1",
                                    ProgramPath("mpi_ring"), "3"});
  EXPECT_TRUE(ExitedWith(result, 0));
}

TEST_F(MpiProgramsTest, ManyRanksOnFewCores) {
  ExpectLine("16", {ProgramPath("mpi_ring"), "2"}, "ring size=16 token=32 ok=1");
}

}  // namespace
}  // namespace rex::testing
