#include "launcher/openmpi/birth_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace rex::openmpi {
namespace {

constexpr BatchState kStates[] = {BatchState::kWaiting,  BatchState::kSent, BatchState::kReturning,
                                  BatchState::kReleased, BatchState::kLate, BatchState::kBorn,
                                  BatchState::kFailed};
constexpr BatchEvent kEvents[] = {
    BatchEvent::kToTemplate, BatchEvent::kToSpawner, BatchEvent::kTold, BatchEvent::kMakerLost,
    BatchEvent::kNoMaker,    BatchEvent::kSlow,      BatchEvent::kOver};

bool IsLast(BatchState state) { return state == BatchState::kBorn || state == BatchState::kFailed; }

TEST(BirthState, EachEventLeadsToOneState) {
  std::set<std::pair<BatchState, BatchEvent>> seen;
  for (const BatchEdge& edge : kBatchEdges) {
    EXPECT_TRUE(seen.insert({edge.from, edge.on}).second);
    EXPECT_EQ(Next(edge.from, edge.on), edge.to);
  }
}

TEST(BirthState, TheWholeGrid) {
  for (const BatchState state : kStates) {
    size_t ways = 0;
    for (const BatchEvent event : kEvents) {
      const auto next = Next(state, event);
      ways += next.has_value() ? 1 : 0;
      EXPECT_FALSE(IsLast(state) && next) << "nothing follows an end";
    }
    EXPECT_EQ(ways == 0, IsLast(state));
  }
}

TEST(BirthState, EveryStateCanEnd) {
  for (const BatchState from : kStates) {
    std::set<BatchState> reached = {from};
    for (size_t round = 0; round < std::size(kStates); ++round) {
      for (const BatchEdge& edge : kBatchEdges) {
        if (reached.contains(edge.from)) reached.insert(edge.to);
      }
    }
    EXPECT_TRUE(reached.contains(BatchState::kBorn) || reached.contains(BatchState::kFailed));
  }
}

}  // namespace
}  // namespace rex::openmpi
