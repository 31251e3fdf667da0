#include "sched/sim/simulation.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

SimResult Of(Chooser chooser, uint64_t seed = 1, uint32_t nodes = 100) {
  SimOptions options;
  options.nodes = nodes;
  options.chooser = chooser;
  options.seed = seed;
  options.seconds = 20;
  return Simulate(options);
}

TEST(Simulation, EqualInputGivesEqualResults) {
  for (const Chooser chooser : kChoosers) {
    const SimResult one = Of(chooser);
    const SimResult two = Of(chooser);
    EXPECT_EQ(one.imbalance, two.imbalance) << ChooserName(chooser);
    EXPECT_EQ(one.messages, two.messages);
    EXPECT_EQ(one.staleness, two.staleness);
    EXPECT_EQ(one.ranks, two.ranks);
    EXPECT_NE(one.imbalance, Of(chooser, 2).imbalance) << "the seed counts";
  }
}

// So many ranks come and go as were asked for, whoever chooses their nodes.
TEST(Simulation, TheWorkIsTheSameForAll) {
  for (const Chooser chooser : kChoosers) {
    const SimResult result = Of(chooser);
    const double expected = 100 * 8 * 0.7 / 2 * 16;  // cores, load, seconds a rank, seconds
    EXPECT_NEAR(static_cast<double>(result.ranks), expected, expected * 0.3)
        << ChooserName(chooser);
    EXPECT_GE(result.slowdown, 0.99);
    EXPECT_GE(result.imbalance, 1);
  }
}

TEST(Simulation, KnowingLoadsMakesThemMoreEven) {
  for (const uint64_t seed : {1, 2, 3}) {
    const double random = Of(Chooser::kRandom, seed).imbalance;
    EXPECT_LT(Of(Chooser::kCentral, seed).imbalance, random) << seed;
    EXPECT_LT(Of(Chooser::kTwoChoices, seed).imbalance, random) << seed;
    EXPECT_LT(Of(Chooser::kCentral, seed).imbalance, Of(Chooser::kGossip, seed).imbalance) << seed;
  }
}

TEST(Simulation, WhoKnowsLessIsToldLess) {
  EXPECT_EQ(Of(Chooser::kRandom).messages, 0);
  EXPECT_EQ(Of(Chooser::kRoundRobin).messages, 0);
  EXPECT_FALSE(Of(Chooser::kRandom).knows);
  EXPECT_EQ(Of(Chooser::kTwoChoices).staleness, 0) << "it asks";
  const SimResult central = Of(Chooser::kCentral);
  const SimResult gossip = Of(Chooser::kGossip);
  EXPECT_GT(central.messages, 0);
  EXPECT_GT(gossip.messages, central.messages);
  EXPECT_GT(gossip.staleness, central.staleness);
}

// At most ten messages a second on a link, each way.
TEST(Simulation, LinksCarryAtMostAMessageARound) {
  const uint32_t nodes = 65;
  EXPECT_LE(Of(Chooser::kCentral, 1, nodes).messages, 10.0 * (nodes - 1) + 1);
  EXPECT_LE(Of(Chooser::kGossip, 1, nodes).messages, 20.0 * (nodes - 1) + 1);
}

TEST(Simulation, ATreeOfTwoLevelsTellsToo) {
  const SimResult result = Of(Chooser::kGossip, 1, 200);
  EXPECT_TRUE(result.knows);
  EXPECT_LT(result.staleness, 2);
}

}  // namespace
}  // namespace rex
