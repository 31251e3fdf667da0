#include "launcher/ranks/part_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace rex {
namespace {

// The whole grid: every pair that is not an edge is ignored, every edge goes where it says, no pair
// has two edges.
TEST(PartStates, EveryPairHasAtMostOneMeaning) {
  std::set<std::pair<int, int>> seen;
  for (const PartEdge& edge : kPartEdges) {
    EXPECT_TRUE(seen.emplace(static_cast<int>(edge.from), static_cast<int>(edge.on)).second);
  }
  for (int s = 0; s < kPartStates; ++s) {
    for (int e = 0; e < kPartSteps; ++e) {
      const auto next = Next(static_cast<PartState>(s), static_cast<PartStep>(e));
      EXPECT_EQ(next.has_value(), seen.contains({s, e})) << s << " " << e;
    }
  }
}

TEST(PartStates, EveryStateBeforeStoppingCanBeStopped) {
  for (const PartState s : {PartState::kPlanned, PartState::kRegistering, PartState::kForking,
                            PartState::kBorn, PartState::kRunning}) {
    EXPECT_EQ(Next(s, PartStep::kStop), PartState::kStopping) << StateName(s);
  }
}

TEST(PartStates, StoppingIsNotEnteredTwice) {
  EXPECT_FALSE(Next(PartState::kStopping, PartStep::kStop));
  EXPECT_FALSE(Next(PartState::kDraining, PartStep::kStop));
}

TEST(PartStates, EveryStateLeadsToTheEnd) {
  for (int s = 0; s < kPartStates; ++s) {
    std::set<PartState> reach{static_cast<PartState>(s)};
    for (int round = 0; round < kPartStates; ++round) {
      for (const PartEdge& edge : kPartEdges) {
        if (reach.contains(edge.from)) reach.insert(edge.to);
      }
    }
    EXPECT_TRUE(reach.contains(PartState::kEnded)) << s;
  }
}

}  // namespace
}  // namespace rex
