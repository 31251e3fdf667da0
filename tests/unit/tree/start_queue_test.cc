#include "launcher/tree/start_queue.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace rex {
namespace {

using namespace std::chrono_literals;

constexpr StartState kAllStates[] = {StartState::kQueued,  StartState::kSpawned,
                                     StartState::kGreeted, StartState::kJoined,
                                     StartState::kReady,   StartState::kFailed};
constexpr StartEvent kAllEvents[] = {
    StartEvent::kTurn,       StartEvent::kMarker,  StartEvent::kHandshake, StartEvent::kFacts,
    StartEvent::kServerBusy, StartEvent::kMissing, StartEvent::kEnd};
static_assert(std::size(kAllStates) == kStartStates && std::size(kAllEvents) == kStartEvents);

TEST(StartState, TheWholeGrid) {
  size_t moves = 0;
  for (const StartState from : kAllStates) {
    for (const StartEvent on : kAllEvents) {
      const auto next = NextStart(from, on);
      moves += next.has_value() ? 1 : 0;
      if (on == StartEvent::kEnd) {
        EXPECT_EQ(next, StartBounded(from) ? std::optional(StartState::kFailed) : std::nullopt);
      }
      const bool final = from == StartState::kReady || from == StartState::kFailed;
      EXPECT_FALSE(final && next.has_value());
    }
  }
  EXPECT_EQ(moves, std::size(kStartEdges));
}

class StartQueueTest : public ::testing::Test {
 protected:
  StartQueue queue_{30s, [this] { return random_; }};
  testing::FakeClock clock_;
  double random_ = 0;

  NodeId Node(uint32_t i) { return NodeId{i}; }
  void AddMany(uint32_t n) {
    for (uint32_t i = 1; i <= n; ++i) queue_.Add(Node(i));
  }
  std::vector<NodeId> Turns() { return queue_.TakeTurns(clock_.Now()); }
  std::optional<StartState> On(uint32_t node, StartEvent event) {
    return queue_.On(Node(node), event, clock_.Now());
  }
};

TEST_F(StartQueueTest, NodesGetTheirTurnInOrderAndAtMostThirtyTwoAtOnce) {
  AddMany(70);
  const auto first = Turns();
  ASSERT_EQ(first.size(), 32u);
  EXPECT_EQ(first.front(), Node(1));
  EXPECT_EQ(first.back(), Node(32));
  EXPECT_TRUE(Turns().empty());
  On(5, StartEvent::kMarker);
  EXPECT_TRUE(Turns().empty()) << "greeted is under way still";
  On(5, StartEvent::kHandshake);
  EXPECT_EQ(Turns(), std::vector<NodeId>{Node(33)});
  On(1, StartEvent::kEnd);
  On(2, StartEvent::kEnd);
  EXPECT_EQ(Turns(), (std::vector<NodeId>{Node(34), Node(35)}));
  EXPECT_EQ(queue_.under_way(), 32u);
}

TEST_F(StartQueueTest, TheBoundCountsFromTheSpawnToTheFacts) {
  AddMany(4);
  Turns();
  On(2, StartEvent::kMarker);
  On(3, StartEvent::kMarker);
  On(3, StartEvent::kHandshake);
  On(4, StartEvent::kMarker);
  On(4, StartEvent::kHandshake);
  On(4, StartEvent::kFacts);
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 30s);
  clock_.Advance(30s - 1us);
  EXPECT_TRUE(queue_.Overdue(clock_.Now()).empty());
  clock_.Advance(1us);
  EXPECT_EQ(queue_.Overdue(clock_.Now()), (std::vector<NodeId>{Node(1), Node(2), Node(3)}));
  for (const uint32_t node : {1, 2, 3}) EXPECT_EQ(On(node, StartEvent::kEnd), StartState::kFailed);
  EXPECT_TRUE(queue_.Overdue(clock_.Now()).empty());
  EXPECT_EQ(queue_.NextDue(), std::nullopt);
}

TEST_F(StartQueueTest, ATryThatIsAboutToEndIsNotOverdueOnTopOfIt) {
  AddMany(1);
  Turns();
  queue_.StopClock(Node(1));
  EXPECT_EQ(queue_.NextDue(), std::nullopt);
  clock_.Advance(60s);
  EXPECT_TRUE(queue_.Overdue(clock_.Now()).empty());
  EXPECT_EQ(On(1, StartEvent::kEnd), StartState::kFailed);
}

TEST_F(StartQueueTest, ABusyServerIsTriedAgainAfterGrowingPauses) {
  AddMany(1);
  for (const auto pause : {500ms, 1000ms, 2000ms}) {
    ASSERT_EQ(Turns().size(), 1u);
    ASSERT_TRUE(queue_.MayRetry(Node(1)));
    EXPECT_EQ(On(1, StartEvent::kServerBusy), StartState::kQueued);
    EXPECT_EQ(queue_.under_way(), 0u);
    EXPECT_EQ(queue_.NextDue(), clock_.Now() + pause);
    EXPECT_TRUE(Turns().empty());
    clock_.Advance(pause);
  }
  EXPECT_EQ(Turns().size(), 1u);
  EXPECT_FALSE(queue_.MayRetry(Node(1)));
}

TEST_F(StartQueueTest, PausesAreJittered) {
  random_ = 0.5;
  AddMany(1);
  Turns();
  On(1, StartEvent::kServerBusy);
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 750ms);
}

TEST_F(StartQueueTest, ARetryGetsItsWholeBound) {
  AddMany(1);
  Turns();
  clock_.Advance(20s);
  On(1, StartEvent::kServerBusy);
  clock_.Advance(500ms);
  Turns();
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 30s);
}

TEST_F(StartQueueTest, AFailedNodeMayBeAddedAgain) {
  AddMany(1);
  Turns();
  On(1, StartEvent::kServerBusy);
  clock_.Advance(1s);
  Turns();
  On(1, StartEvent::kEnd);
  EXPECT_EQ(queue_.state(Node(1)), StartState::kFailed);
  queue_.Add(Node(1));
  EXPECT_EQ(Turns(), std::vector<NodeId>{Node(1)});
  EXPECT_TRUE(queue_.MayRetry(Node(1)));
}

TEST_F(StartQueueTest, WhatMeansNothingChangesNothing) {
  AddMany(1);
  EXPECT_EQ(On(1, StartEvent::kMarker), std::nullopt);
  EXPECT_EQ(On(9, StartEvent::kEnd), std::nullopt);
  EXPECT_EQ(queue_.state(Node(1)), StartState::kQueued);
  EXPECT_EQ(queue_.state(Node(9)), std::nullopt);
}

TEST_F(StartQueueTest, AFullTableDoesNotWakeForThoseThatWait) {
  AddMany(33);
  Turns();
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 30s);
}

TEST_F(StartQueueTest, WhatIsMissingIsSentAtTheNextTurnWithABoundOfItsOwn) {
  AddMany(1);
  Turns();
  clock_.Advance(10s);
  EXPECT_EQ(On(1, StartEvent::kMissing), StartState::kQueued);
  EXPECT_EQ(Turns().size(), 1u) << "at once";
  clock_.Advance(29s);
  EXPECT_TRUE(queue_.Overdue(clock_.Now()).empty());
  queue_.Extend(Node(1), clock_.Now());
  clock_.Advance(29s);
  EXPECT_TRUE(queue_.Overdue(clock_.Now()).empty()) << "something moved";
  clock_.Advance(1s);
  EXPECT_EQ(queue_.Overdue(clock_.Now()).size(), 1u);
}

}  // namespace
}  // namespace rex
