#include "launcher/job/job_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace rex {
namespace {

// The whole grid: every pair that is not an edge is ignored, every edge goes where it says, no pair
// has two edges.
TEST(JobStates, EveryPairHasAtMostOneMeaning) {
  std::set<std::pair<int, int>> seen;
  for (const JobEdge& edge : kJobEdges) {
    EXPECT_TRUE(seen.emplace(static_cast<int>(edge.from), static_cast<int>(edge.on)).second);
  }
  for (int s = 0; s < kJobStates; ++s) {
    for (int e = 0; e < kJobEvents; ++e) {
      const auto next = Next(static_cast<JobState>(s), static_cast<JobEvent>(e));
      EXPECT_EQ(next.has_value(), seen.contains({s, e})) << s << " " << e;
    }
  }
}

TEST(JobStates, WhatPartsWereToldOfIsStoppedThroughThem) {
  for (const JobState s : {JobState::kLaunching, JobState::kReleasing, JobState::kRunning}) {
    EXPECT_EQ(Next(s, JobEvent::kStop), JobState::kStopping) << StateName(s);
  }
  EXPECT_EQ(Next(JobState::kPlanned, JobEvent::kStop), JobState::kEnding);
}

TEST(JobStates, StoppingIsNotEnteredTwice) {
  EXPECT_FALSE(Next(JobState::kStopping, JobEvent::kStop));
  EXPECT_FALSE(Next(JobState::kDraining, JobEvent::kStop));
}

TEST(JobStates, EveryStateLeadsToDone) {
  for (int s = 0; s < kJobStates; ++s) {
    std::set<JobState> reach{static_cast<JobState>(s)};
    for (int round = 0; round < kJobStates; ++round) {
      for (const JobEdge& edge : kJobEdges) {
        if (reach.contains(edge.from)) reach.insert(edge.to);
      }
    }
    EXPECT_TRUE(reach.contains(JobState::kDone)) << s;
  }
}

}  // namespace
}  // namespace rex
