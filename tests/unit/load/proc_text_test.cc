#include "sched/load/proc_text.h"

#include <gtest/gtest.h>

#include "tests/unit/load/fake_proc.h"

namespace rex {
namespace {

using testing::FakeProc;

TEST(ProcStat, NamesMayHoldAnything) {
  const auto stat = ParseProcStat(FakeProc::Stat(42, 7, 'R', 3, "a) S 1 (b"));
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->ppid, 7);
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->threads, 3u);
  EXPECT_FALSE(stat->kernel);
}

TEST(ProcStat, KernelThreadsAreKnownByTheirFlag) {
  const auto stat = ParseProcStat(FakeProc::Stat(2, 0, 'R', 1, "kworker", 0x00200040));
  ASSERT_TRUE(stat);
  EXPECT_TRUE(stat->kernel);
}

TEST(ProcStat, EveryTruncationIsRefused) {
  const std::string whole = "42 (app) R 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3";
  ASSERT_TRUE(ParseProcStat(whole));
  for (size_t length = 0; length < whole.size() - 1; ++length) {
    EXPECT_FALSE(ParseProcStat(whole.substr(0, length))) << length;
  }
}

TEST(CpusAllowed, GroupsAreReadFromTheRight) {
  EXPECT_EQ(ParseCpusAllowed("A:\t1\nCpus_allowed:\t3\n"), CpuMask{3});
  EXPECT_EQ(ParseCpusAllowed("A:\t1\nCpus_allowed:\tff,00000001,80000000\nB:\t2\n"),
            (CpuMask{0x180000000ULL, 0xff}));
  EXPECT_FALSE(ParseCpusAllowed("Cpus_allowed_list:\t0\n"));
  EXPECT_FALSE(ParseCpusAllowed("A:\nCpus_allowed:\t\n"));
  EXPECT_FALSE(ParseCpusAllowed("A:\nCpus_allowed:\tfg\n"));
}

TEST(CpuMasks, MeetWhereBothHaveABit) {
  EXPECT_TRUE(Meets({0, 4}, {0, 6}));
  EXPECT_FALSE(Meets({1, 4}, {2}));
  EXPECT_FALSE(Meets({}, {1}));
}

TEST(Loadavg, RunnableIsBeforeTheSlash) {
  EXPECT_EQ(ParseRunnable("0.20 0.18 0.12 3/80 11206\n"), 3u);
  EXPECT_FALSE(ParseRunnable("0.20 0.18"));
  EXPECT_FALSE(ParseRunnable(""));
}

TEST(OwnProcesses, AreAboveAndBelowTheKeeper) {
  //  1 - 10 (shell) - 20 (keeper) - 30 - 40
  //    \ 11 (other) - 21           \ 31
  const std::vector<ProcStat> processes = {{1, 0},   {10, 1},  {20, 10}, {30, 20},
                                           {40, 30}, {31, 20}, {11, 1},  {21, 11}};
  EXPECT_EQ(OwnProcesses(processes, 20),
            (std::vector<bool>{true, true, true, true, true, true, false, false}));
}

TEST(OwnProcesses, CirclesOfTornReadsEnd) {
  const std::vector<ProcStat> processes = {{10, 20}, {20, 10}, {30, 30}};
  EXPECT_EQ(OwnProcesses(processes, 20), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(OwnProcesses(processes, 99), (std::vector<bool>{false, false, false}));
}

}  // namespace
}  // namespace rex
