// Placement by load, and what is known of loads.
#include <gtest/gtest.h>

#include <algorithm>

#include "sched/placement/job_map.h"
#include "sched/placement/load_table.h"
#include "sched/placement/placement.h"

namespace rex {
namespace {

struct LoadedNode {
  uint32_t slots;
  uint32_t foreign;  // threads
  uint32_t cores = 1;
};

PlacementRequest RequestOf(const std::vector<LoadedNode>& nodes, uint32_t ranks) {
  PlacementRequest request;
  for (const LoadedNode& node : nodes) {
    const auto id = static_cast<uint32_t>(request.nodes.size());
    request.nodes.push_back({.slots = node.slots,
                             .id = NodeId(id),
                             .name = "n" + std::to_string(id),
                             .load = {0, node.foreign * 100, node.cores * 100}});
  }
  request.apps.push_back({.ranks = ranks});
  return request;
}

PlacementRequest ByLoad(const std::vector<LoadedNode>& nodes, uint32_t ranks) {
  PlacementRequest request = RequestOf(nodes, ranks);
  request.apps[0].policy.map = MapBy::kLoad;
  return request;
}

PlacementRequest Lightest(const std::vector<LoadedNode>& nodes, uint32_t ranks) {
  PlacementRequest request = RequestOf(nodes, ranks);
  request.lightest_first = true;
  return request;
}

std::string Placed(const PlacementRequest& request) {
  const auto placement = Place(request);
  if (!placement) return placement.error().text;
  std::string text;
  for (const NodeId node : placement->node_of_rank) {
    text += (text.empty() ? "" : " ") + std::to_string(Index(node));
  }
  return text;
}

// ---- the number

TEST(NodeLoad, IsThreadsPerCore) {
  EXPECT_EQ(LoadText(LoadHundredths({})), "0.00");
  EXPECT_EQ(LoadText(LoadHundredths({.ranks = 1, .foreign = 200, .capacity = 200})), "1.50");
  EXPECT_EQ(LoadText(LoadHundredths({.ranks = 0, .foreign = 100, .capacity = 300})), "0.33");
  EXPECT_EQ(LoadText(LoadHundredths({.ranks = 2, .foreign = 0, .capacity = 150})), "1.33");
  EXPECT_EQ(LoadText(LoadHundredths({.ranks = 3, .foreign = 0, .capacity = 0})), "3.00");
}

TEST(NodeLoad, IsEqualInTenths) {
  const auto tenths = [](uint32_t threads, uint32_t cores) {
    return LoadTenths({.foreign = threads * 100, .capacity = cores * 100});
  };
  EXPECT_EQ(tenths(3, 64), tenths(0, 64));
  EXPECT_NE(tenths(4, 64), tenths(0, 64));
  EXPECT_NE(tenths(1, 1), tenths(0, 1));
}

TEST(NodeLoad, TextsOfWholeNumbersHaveNoPoint) {
  EXPECT_EQ(PlainText(200), "2");
  EXPECT_EQ(PlainText(150), "1.5");
  EXPECT_EQ(PlainText(7), "0.07");
}

TEST(NodeLoad, ListsBeginWithTheLightest) {
  EXPECT_EQ(ListedLoads({{"a", {0, 200, 100}}, {"b", {}}, {"c", {0, 100, 100}}, {"d", {}}}),
            "b 0.00, d 0.00, c 1.00, a 2.00");
}

// ---- the table

TEST(LoadTable, RanksCountAtOnce) {
  LoadTable table;
  const NodeId node{1};
  EXPECT_FALSE(table.Knows(node));
  table.AddRanks(node, 4);
  EXPECT_EQ(table.Of(node).load.ranks, 4u);
  EXPECT_FALSE(table.Knows(node));  // of what else there is
  EXPECT_TRUE(table.OnTold(node, 100, 200, Clock::Time(5)));
  EXPECT_EQ(table.Of(node).load, (NodeLoad{4, 100, 200}));
  table.AddRanks(node, -3);
  EXPECT_EQ(table.Of(node).load, (NodeLoad{1, 100, 200}));
}

TEST(LoadTable, OnlyChangesAreNews) {
  LoadTable table;
  const NodeId node{1};
  EXPECT_TRUE(table.OnTold(node, 0, 200, Clock::Time(5)));
  EXPECT_FALSE(table.OnTold(node, 0, 200, Clock::Time(6)));
  EXPECT_EQ(table.Of(node).told, Clock::Time(6));
  EXPECT_TRUE(table.OnTold(node, 0, 100, Clock::Time(7)));
}

TEST(LoadTable, NodesThatAreLostAreForgotten) {
  LoadTable table;
  const NodeId node{1};
  table.OnTold(node, 100, 100, Clock::Time(5));
  table.AddRanks(node, 2);
  table.Forget(node);
  EXPECT_FALSE(table.Knows(node));
  table.AddRanks(node, -2);  // their ends are told all the same
  EXPECT_EQ(table.Of(node).load, NodeLoad{});
}

// ---- lightest first

TEST(LightestFirst, ThenSlotsOfOneNodeAfterTheOther) {
  EXPECT_EQ(Placed(Lightest({{2, 2}, {2, 0}, {2, 1}}, 4)), "1 1 2 2");
  EXPECT_EQ(Placed(Lightest({{2, 2}, {2, 0}, {2, 1}}, 6)), "1 1 2 2 0 0");
}

TEST(LightestFirst, AmongEqualsTheHostfileDecides) {
  EXPECT_EQ(Placed(Lightest({{1, 0}, {1, 0}, {1, 0}}, 2)), "0 1");
  EXPECT_EQ(Placed(Lightest({{8, 3, 64}, {8, 0, 64}}, 1)), "0");  // equal in tenths
}

TEST(LightestFirst, TwelveRanksGoToTheLightestOfMany) {
  EXPECT_EQ(Placed(Lightest({{4, 4, 4}, {4, 0, 4}, {4, 1, 4}, {4, 0, 4}, {4, 3, 4}}, 12)),
            "1 1 1 1 3 3 3 3 2 2 2 2");
}

TEST(LightestFirst, DoesNothingWhereAMappingIsNamed) {
  for (const MapBy map : {MapBy::kSlot, MapBy::kNode}) {
    PlacementRequest request = Lightest({{1, 2}, {1, 0}}, 1);
    request.apps[0].policy.map = map;
    EXPECT_EQ(Placed(request), "0");
  }
}

TEST(LightestFirst, ModifiersNameNoMapping) {
  PlacementRequest request = Lightest({{2, 2}, {2, 0}}, 2);
  request.apps[0].policy.cpus_per_rank = 1;
  request.apps[0].per_node = 1;
  EXPECT_EQ(Placed(request), "1 0");
}

TEST(LightestFirst, ALaterAppSeesTheRanksOfTheOneBefore) {
  PlacementRequest request = Lightest({{2, 0}, {2, 0}, {2, 3}}, 2);
  request.apps.push_back({.ranks = 1});
  EXPECT_EQ(Placed(request), "0 0 1");
}

TEST(LightestFirst, RanksOfOtherJobsCount) {
  PlacementRequest request = Lightest({{2, 0}, {2, 0}}, 1);
  request.nodes[0].load.ranks = 1;
  EXPECT_EQ(Placed(request), "1");
}

TEST(LightestFirst, WithoutItTheUsersOrderHolds) {
  EXPECT_EQ(Placed(RequestOf({{2, 2}, {2, 0}, {2, 1}}, 3)), "0 0 1");
}

// ---- rank by rank

TEST(MapByLoad, EachRankGoesToTheLeastLoaded) {
  EXPECT_EQ(Placed(ByLoad({{4, 0}, {4, 0}, {4, 0}}, 3)), "0 1 2");
  EXPECT_EQ(Placed(ByLoad({{4, 2}, {4, 0}, {4, 1}}, 3)), "1 1 2");
  EXPECT_EQ(Placed(ByLoad({{4, 2}, {4, 0}, {4, 1}}, 6)), "0 1 1 1 2 2");
}

TEST(MapByLoad, CoresCount) {
  // 8 cores take 8 of 9 ranks before one core is as light.
  EXPECT_EQ(Placed(ByLoad({{9, 0, 1}, {9, 0, 8}}, 9)), "0 1 1 1 1 1 1 1 1");
}

TEST(MapByLoad, SlotsLimitUntilNoneIsFree) {
  PlacementRequest request = ByLoad({{1, 0}, {2, 9}}, 3);
  EXPECT_EQ(Placed(request), "0 1 1");
  request.apps[0].ranks = 5;
  EXPECT_NE(Placed(request).find("not enough slots"), std::string::npos);
  request.oversubscribe = true;
  EXPECT_EQ(Placed(request), "0 0 0 1 1");
}

TEST(MapByLoad, RankByNodeDealsNumbersOut) {
  PlacementRequest request = ByLoad({{4, 0}, {4, 0}}, 4);
  request.apps[0].policy.rank = RankBy::kNode;
  EXPECT_EQ(Placed(request), "0 1 0 1");
}

TEST(MapByLoad, RanksOfSeveralCoresWeighMore) {
  PlacementRequest request = ByLoad({{4, 0, 4}, {4, 1, 4}}, 3);
  request.apps[0].policy.cpus_per_rank = 2;
  EXPECT_EQ(Placed(request), "0 0 1");
  request.apps[0].policy.cpus_per_rank = 1;
  EXPECT_EQ(Placed(request), "0 0 1");
  request.apps[0].ranks = 4;
  EXPECT_EQ(Placed(request), "0 0 0 1");  // 3 and 2 of 4: then the first of equals
}

TEST(MapByLoad, StaysLinearInNodes) {
  std::vector<LoadedNode> nodes(1000, {100, 0});
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i].foreign = static_cast<uint32_t>(i * 7 % 13);
  const auto placement = Place(ByLoad(nodes, 20'000));
  ASSERT_TRUE(placement);
  EXPECT_LE(RunsOf(placement->node_of_rank).size(), nodes.size());
  const auto loads = [&](size_t i) { return placement->node_ranks[i] + nodes[i].foreign; };
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_GE(loads(i), 25u);  // 20000 + 6000 threads on 1000 cores
    EXPECT_LE(loads(i), 26u);
  }
}

// ---- --max-load

TEST(MaxLoad, BusierNodesAreNotThere) {
  PlacementRequest request = RequestOf({{1, 2}, {1, 1}, {1, 0}}, 2);
  request.max_load = 100;
  EXPECT_EQ(Placed(request), "1 2");
  request.apps[0].policy.map = MapBy::kNode;
  EXPECT_EQ(Placed(request), "1 2");
}

TEST(MaxLoad, RefusalsListTheLoads) {
  PlacementRequest request = RequestOf({{1, 2}, {1, 1}, {1, 0}}, 2);
  request.max_load = 50;
  EXPECT_EQ(Placed(request),
            "not enough slots: 2 ranks, but 1 free slot on the 1 node with a load of at most "
            "0.50; the loads: n2 0.00, n1 1.00, n0 2.00");
  request.nodes.pop_back();
  EXPECT_EQ(Placed(request), "no node has a load of at most 0.50; the loads: n1 1.00, n0 2.00");
}

TEST(MaxLoad, OversubscribingNeedsANodeThatIsThere) {
  PlacementRequest request = RequestOf({{1, 2}, {1, 0}}, 3);
  request.max_load = 50;
  request.oversubscribe = true;
  EXPECT_EQ(Placed(request), "1 1 1");
}

TEST(MaxLoad, RanksThatAreNotCountedAreThoseOfFreeNodes) {
  PlacementRequest request = RequestOf({{2, 2}, {3, 0}}, 0);
  request.max_load = 50;
  EXPECT_EQ(Placed(request), "1 1 1");
  request.nodes[1].load.foreign = 100;
  EXPECT_EQ(Placed(request), "no node has a load of at most 0.50; the loads: n1 1.00, n0 2.00");
}

TEST(MaxLoad, NamedPlacesAreRefused) {
  PlacementRequest request = RequestOf({{2, 2}, {2, 0}}, 2);
  request.max_load = 50;
  request.apps[0].policy.map = MapBy::kSeq;
  request.apps[0].fixed = {1, 0};
  EXPECT_EQ(Placed(request),
            "ranks are named for node n0, which does not have a load of at most 0.50; the loads: "
            "n1 0.00, n0 2.00");
  request.apps[0].fixed = {1, 1};
  EXPECT_EQ(Placed(request), "1 1");
}

TEST(MaxLoad, WithEnoughNodesNothingIsSaid) {
  PlacementRequest request = RequestOf({{1, 0}, {1, 0}}, 2);
  request.max_load = 0;
  EXPECT_EQ(Placed(request), "0 1");
}

}  // namespace
}  // namespace rex
