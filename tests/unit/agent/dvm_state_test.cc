#include "launcher/agent/dvm_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace rex {
namespace {

TEST(DvmStates, EveryPairHasAtMostOneMeaning) {
  std::set<std::pair<int, int>> seen;
  for (const DvmEdge& edge : kDvmEdges) {
    EXPECT_TRUE(seen.emplace(static_cast<int>(edge.from), static_cast<int>(edge.on)).second);
  }
  for (int s = 0; s < kDvmStates; ++s) {
    for (int e = 0; e < kDvmEvents; ++e) {
      const auto next = Next(static_cast<DvmState>(s), static_cast<DvmEvent>(e));
      EXPECT_EQ(next.has_value(), seen.contains({s, e})) << s << " " << e;
    }
  }
}

TEST(DvmStates, StopLeadsToTheEndFromEverywhere) {
  for (int s = 0; s < kDvmStates; ++s) {
    auto state = static_cast<DvmState>(s);
    if (const auto next = Next(state, DvmEvent::kStop)) state = *next;
    if (const auto next = Next(state, DvmEvent::kJobsOver)) state = *next;
    EXPECT_EQ(state, DvmState::kOver) << s;
  }
}

TEST(DvmStates, NothingLeadsBackFromTheEnd) {
  for (int e = 0; e < kDvmEvents; ++e) {
    EXPECT_FALSE(Next(DvmState::kOver, static_cast<DvmEvent>(e)));
    EXPECT_NE(Next(DvmState::kEnding, static_cast<DvmEvent>(e)), DvmState::kIdle);
    EXPECT_NE(Next(DvmState::kDraining, static_cast<DvmEvent>(e)), DvmState::kIdle);
  }
}

TEST(DvmStates, OnlyAnIdleOneEndsForWantOfJobs) {
  for (int s = 0; s < kDvmStates; ++s) {
    const auto state = static_cast<DvmState>(s);
    EXPECT_EQ(Next(state, DvmEvent::kIdleOver).has_value(), state == DvmState::kIdle) << s;
  }
}

TEST(DvmStates, NoJobIsTakenBeforeItIsUpOrOnceItEnds) {
  EXPECT_TRUE(TakesJobs(DvmState::kIdle) && TakesJobs(DvmState::kBusy));
  for (const DvmState s :
       {DvmState::kStarting, DvmState::kDraining, DvmState::kEnding, DvmState::kOver}) {
    EXPECT_FALSE(TakesJobs(s)) << StateName(s);
  }
}

}  // namespace
}  // namespace rex
