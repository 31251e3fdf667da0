#include "sched/load/proc_look.h"

#include <gtest/gtest.h>

#include "tests/unit/load/fake_proc.h"

namespace rex {
namespace {

using testing::FakeProc;

class ProcLooks : public ::testing::Test {
 protected:
  ProcLooks() {
    place_.proc = proc_.root();
    place_.cpus = {1};  // cpu 0
    place_.keeper = 50;
    proc_.AddProcess(50, 1, 'S');
  }
  uint32_t Look() {
    auto look = ProcLook::Begin(place_);
    EXPECT_TRUE(look);
    while (look->Step()) ++steps_;
    return look->foreign();
  }
  FakeProc proc_;
  LookPlace place_;
  int steps_ = 0;
};

TEST_F(ProcLooks, RunnableThreadsOfOthersCount) {
  EXPECT_EQ(Look(), 0u);
  proc_.AddProcess(100, 1, 'R');
  proc_.AddProcess(101, 1, 'S');
  proc_.AddProcess(102, 1, 'D');
  EXPECT_EQ(Look(), 1u);
  proc_.AddThreads(200, 1, "SRSRR");
  EXPECT_EQ(Look(), 4u);
}

TEST_F(ProcLooks, ThreadsThatCannotRunHereDoNotCount) {
  proc_.AddProcess(100, 1, 'R', "2");            // cpu 1 only
  proc_.AddProcess(101, 1, 'R', "1,00000000");   // cpu 32
  proc_.AddProcess(102, 1, 'R', "ff,ffffffff");  // any
  EXPECT_EQ(Look(), 1u);
}

TEST_F(ProcLooks, WhatIsRexsOwnDoesNotCount) {
  proc_.AddProcess(51, 50, 'R');   // the agent
  proc_.AddThreads(52, 51, "RR");  // a rank
  proc_.AddProcess(1, 0, 'R');     // above the keeper
  EXPECT_EQ(Look(), 0u);
}

TEST_F(ProcLooks, KernelThreadsDoNotCount) {
  proc_.Write("2/stat", FakeProc::Stat(2, 0, 'R', 1, "kworker", 0x00200000));
  proc_.Write("2/status", FakeProc::Status("3"));
  EXPECT_EQ(Look(), 0u);
}

TEST_F(ProcLooks, WhatGoesMeanwhileIsNoError) {
  proc_.AddProcess(100, 1, 'R');
  proc_.Remove("100/status");
  proc_.AddThreads(200, 1, "RR");
  proc_.Remove("200/task");
  proc_.Write("300/stat", "");
  EXPECT_EQ(Look(), 0u);
}

TEST_F(ProcLooks, ManyProcessesTakeSeveralSteps) {
  for (int i = 0; i < 600; ++i) proc_.AddProcess(1000 + i, 1, i < 7 ? 'R' : 'S');
  EXPECT_EQ(Look(), 7u);
  EXPECT_EQ(steps_, 2);
}

TEST_F(ProcLooks, WhereOthersAreHiddenTheKernelsNumberStandsIn) {
  proc_.Remove("1");
  proc_.AddProcess(51, 50, 'R');
  proc_.AddProcess(52, 51, 'R');
  proc_.Write("loadavg", "0.20 0.18 0.12 6/80 11206\n");
  EXPECT_EQ(Look(), 4u);
  place_.all_of_machine = false;  // then nobody knows where those run
  EXPECT_EQ(Look(), 0u);
}

TEST_F(ProcLooks, WithoutProcThereIsAnError) {
  place_.proc = proc_.root() + "/nothing";
  EXPECT_FALSE(ProcLook::Begin(place_));
}

}  // namespace
}  // namespace rex
