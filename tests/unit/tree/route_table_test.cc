#include "launcher/tree/route_table.h"

#include <gtest/gtest.h>

#include "launcher/tree/relay_pressure.h"

namespace rex {
namespace {

std::vector<NodeId> Ids(std::initializer_list<uint32_t> ids) {
  std::vector<NodeId> nodes;
  for (const uint32_t id : ids) nodes.push_back(NodeId{id});
  return nodes;
}

class RouteTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    table_.AddChild(NodeId{1}, Ids({4, 5}));
    table_.AddChild(NodeId{2}, {});
  }
  RouteTable table_;
};

TEST_F(RouteTableTest, FindsTheChildWhoseSubtreeHoldsANode) {
  EXPECT_EQ(table_.ChildFor(NodeId{1}), NodeId{1});
  EXPECT_EQ(table_.ChildFor(NodeId{5}), NodeId{1});
  EXPECT_EQ(table_.ChildFor(NodeId{2}), NodeId{2});
  EXPECT_EQ(table_.ChildFor(NodeId{3}), std::nullopt);
  EXPECT_TRUE(table_.InSubtree(NodeId{1}, NodeId{4}));
  EXPECT_FALSE(table_.InSubtree(NodeId{2}, NodeId{4}));
  EXPECT_EQ(table_.children(), Ids({1, 2}));
  EXPECT_TRUE(table_.IsChild(NodeId{2}));
  EXPECT_FALSE(table_.IsChild(NodeId{4}));
}

TEST_F(RouteTableTest, ALostChildTakesAllBelowWithIt) {
  EXPECT_EQ(table_.RemoveChild(NodeId{1}), Ids({1, 4, 5}));
  EXPECT_EQ(table_.ChildFor(NodeId{4}), std::nullopt);
  EXPECT_EQ(table_.children(), Ids({2}));
  EXPECT_TRUE(table_.RemoveChild(NodeId{1}).empty());
  EXPECT_TRUE(table_.RemoveChild(NodeId{4}).empty());
}

TEST_F(RouteTableTest, ANodeMayMoveFromBelowAChildToBeAChild) {
  table_.RemoveBelow(NodeId{1}, NodeId{4});
  EXPECT_EQ(table_.below(NodeId{1}), Ids({5}));
  table_.AddChild(NodeId{4}, {});
  EXPECT_EQ(table_.ChildFor(NodeId{4}), NodeId{4});
  EXPECT_EQ(table_.RemoveChild(NodeId{1}), Ids({1, 5}));
  EXPECT_EQ(table_.ChildFor(NodeId{4}), NodeId{4});
}

TEST_F(RouteTableTest, OnlyWhatIsBelowAChildIsRemovedFromBelowIt) {
  table_.RemoveBelow(NodeId{1}, NodeId{2});
  table_.RemoveBelow(NodeId{2}, NodeId{4});
  table_.RemoveBelow(NodeId{1}, NodeId{1});
  table_.RemoveBelow(NodeId{9}, NodeId{4});
  EXPECT_EQ(table_.children(), Ids({1, 2}));
  EXPECT_EQ(table_.below(NodeId{1}), Ids({4, 5}));
  EXPECT_TRUE(table_.below(NodeId{9}).empty());
}

constexpr NodeId kA{1};
constexpr NodeId kB{2};
constexpr NodeId kC{3};

TEST(RelayPressure, ASourcePausesAboveTheHighMarkAndGoesOnBelowTheLowOne) {
  RelayPressure pressure;
  EXPECT_FALSE(pressure.OnForward(kA, kB, kRelayHighBytes));
  EXPECT_FALSE(pressure.Paused(kA));
  EXPECT_TRUE(pressure.OnForward(kA, kB, kRelayHighBytes + 1));
  EXPECT_FALSE(pressure.OnForward(kA, kB, kRelayHighBytes + 2)) << "is paused already";
  EXPECT_TRUE(pressure.Paused(kA));
  EXPECT_EQ(pressure.congested(), Ids({2}));
  EXPECT_TRUE(pressure.OnQueue(kB, kRelayLowBytes + 1).empty());
  EXPECT_EQ(pressure.OnQueue(kB, kRelayLowBytes), Ids({1}));
  EXPECT_FALSE(pressure.Paused(kA));
  EXPECT_TRUE(pressure.congested().empty());
}

TEST(RelayPressure, ASourceWaitsForAllThatItFilled) {
  RelayPressure pressure;
  pressure.OnForward(kA, kB, 2 << 20);
  EXPECT_FALSE(pressure.OnForward(kA, kC, 2 << 20));
  EXPECT_EQ(pressure.congested(), Ids({2, 3}));
  EXPECT_TRUE(pressure.OnQueue(kB, 0).empty());
  EXPECT_EQ(pressure.OnQueue(kC, 0), Ids({1}));
}

TEST(RelayPressure, AllSourcesOfALinkGoOnTogether) {
  RelayPressure pressure;
  pressure.OnForward(kA, kC, 2 << 20);
  pressure.OnForward(kB, kC, 2 << 20);
  EXPECT_EQ(pressure.OnQueue(kC, 0), Ids({1, 2}));
}

TEST(RelayPressure, ALinkThatIsGoneHoldsNobodyUp) {
  RelayPressure pressure;
  pressure.OnForward(kA, kC, 2 << 20);
  pressure.OnForward(kC, kB, 2 << 20);
  EXPECT_EQ(pressure.Remove(kC), Ids({1}));
  EXPECT_TRUE(pressure.congested().empty());
}

}  // namespace
}  // namespace rex
