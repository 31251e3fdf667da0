#include "launcher/ranks/start_up_times.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::microseconds;

TEST(StartUpTimes, NoFenceNoAnswer) { EXPECT_FALSE(StartUpTimes().LastOutOfInit()); }

TEST(StartUpTimes, OpenMpiHasTwoFencesInInitAndOneInFinalize) {
  StartUpTimes t;
  for (const int us : {100, 200, 300}) t.OnFence(microseconds(us));
  t.OnFinalize(microseconds(310));
  EXPECT_EQ(t.LastOutOfInit(), microseconds(200));
}

TEST(StartUpTimes, WithOneFenceInInitTheFinalizeFenceIsNotTaken) {
  StartUpTimes t;
  t.OnFence(microseconds(100));
  t.OnFence(microseconds(300));
  t.OnFinalize(microseconds(310));
  EXPECT_EQ(t.LastOutOfInit(), microseconds(100));
}

TEST(StartUpTimes, RanksThatNeverFinalizeStillHaveTheirInit) {
  StartUpTimes t;
  t.OnFence(microseconds(100));
  t.OnFence(microseconds(200));
  EXPECT_EQ(t.LastOutOfInit(), microseconds(200));
}

TEST(StartUpTimes, BirthsSayWhichWay) {
  StartUpTimes t;
  t.births = {microseconds(1), microseconds(2)};
  t.births_note = "template";
  const auto phases = t.Phases("n1");
  ASSERT_EQ(phases.size(), 1U);
  EXPECT_EQ(phases[0].note, "template");
}

TEST(StartUpTimes, PhasesLeaveOutWhatDidNotHappen) {
  StartUpTimes t;
  t.agent = {microseconds(1), microseconds(2)};
  const auto phases = t.Phases("n1");
  ASSERT_EQ(phases.size(), 1U);
  EXPECT_EQ(phases[0].name, "agent");
  EXPECT_EQ(phases[0].node, "n1");
}

}  // namespace
}  // namespace rex
