// ORTE's orders for ranks between order and birth: signals that come early, and states that ORTE
// must hear in the right order. docs/design/launch-agent.md, "A signal before birth".
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "local_ranks_bench.h"

namespace rex::openmpi {
namespace {

class LocalRanks : public ::testing::Test {
 protected:
  void SetUp() override { bench_open(); }
  void TearDown() override { bench_close(); }
  static std::string Log() { return bench_log(); }
  // Ranks 0 and 1, ordered and with the births.
  static void OrderTwo() {
    bench_order(0);
    bench_order(1);
    bench_flush();
    Log();
  }
  static void Bear(unsigned rank) {
    EXPECT_TRUE(bench_held(rank));
    bench_end(rank, REX_BIRTH_OK);
  }
  static void LetGo() {
    bench_gone(0);
    bench_gone(1);
  }
};

TEST_F(LocalRanks, RunIsAnnouncedOnceAndAfterTheBirth) {
  bench_order(0);
  bench_order(1);
  EXPECT_EQ(Log(), "template of /bin/app\n");  // there is a sibling only from the second on
  bench_flush();
  EXPECT_EQ(Log(), "flush\n");
  Bear(1);
  Bear(0);
  EXPECT_EQ(Log(), "1: RUNNING\n0: RUNNING\n");
  LetGo();
}

TEST_F(LocalRanks, ASignalBeforeThePidIsGivenAtTheBirth) {
  OrderTwo();
  bench_signal(1, SIGUSR1);
  EXPECT_EQ(Log(), "");
  Bear(0);
  EXPECT_EQ(Log(), "0: RUNNING\n");
  Bear(1);
  EXPECT_EQ(Log(), "1: RUNNING\nkill 10 of group of 1\n");
  LetGo();
}

TEST_F(LocalRanks, BetweenTheOrderAndTheFlushToo) {
  bench_order(0);
  bench_order(1);
  bench_signal_all(SIGUSR2);
  bench_flush();
  Log();
  Bear(0);
  Bear(1);
  EXPECT_EQ(Log(), "0: RUNNING\nkill 12 of group of 0\n1: RUNNING\nkill 12 of group of 1\n");
  LetGo();
}

TEST_F(LocalRanks, InTheirOrderAndNoMoreThanSoMany) {
  OrderTwo();
  for (int number = 1; number <= 12; ++number) bench_signal(0, number);
  Bear(0);
  std::string wanted = "0: RUNNING\n";
  for (int number = 1; number <= 8; ++number) {
    wanted += "kill " + std::to_string(number) + " of group of 0\n";
  }
  EXPECT_EQ(Log(), wanted);
  Bear(1);
  EXPECT_EQ(Log(), "1: RUNNING\n");
  LetGo();
}

TEST_F(LocalRanks, AtTheGateItIsSentAtOnce) {
  OrderTwo();
  EXPECT_TRUE(bench_held(0));
  bench_signal_all(SIGTERM);
  EXPECT_EQ(Log(), "kill 15 of group of 0\n");
  bench_end(0, REX_BIRTH_OK);
  EXPECT_EQ(Log(), "0: RUNNING\n");  // and not once more
  Bear(1);
  EXPECT_EQ(Log(), "1: RUNNING\nkill 15 of group of 1\n");
  LetGo();
}

TEST_F(LocalRanks, BeforeAndAfterTheBirthEachOnce) {
  OrderTwo();
  bench_signal_all(SIGUSR1);
  Bear(0);
  EXPECT_EQ(Log(), "0: RUNNING\nkill 10 of group of 0\n");
  bench_signal_all(SIGUSR2);
  EXPECT_EQ(Log(), "kill 12 of group of 0\n");
  Bear(1);
  EXPECT_EQ(Log(), "1: RUNNING\nkill 10 of group of 1\nkill 12 of group of 1\n");
  LetGo();
}

TEST_F(LocalRanks, ARankThatIsNotBornGetsNone) {
  OrderTwo();
  bench_signal_all(SIGUSR1);
  bench_end(0, REX_BIRTH_NO_EXEC);
  EXPECT_EQ(Log(), "shown: execve error\n0: FAILED_TO_START\n");
  bench_end(1, REX_BIRTH_NO_PROCESS);
  EXPECT_EQ(Log(), "shown: start\n1: FAILED_TO_START\n");
  LetGo();
  bench_signal_all(SIGUSR1);
  EXPECT_EQ(Log(), "");
}

TEST_F(LocalRanks, OneThatORTEKilledMeanwhileDoesNotRun) {
  OrderTwo();
  bench_signal(0, SIGUSR1);
  bench_mark_dead(0);
  EXPECT_FALSE(bench_held(0));
  bench_end(0, REX_BIRTH_REFUSED);
  EXPECT_EQ(Log(), "");  // ORTE has its state already
  Bear(1);
  LetGo();
}

}  // namespace
}  // namespace rex::openmpi
