#include "sched/placement/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "sched/placement/job_map.h"
#include "tests/unit/sched/mpirun_maps.h"

namespace rex {
namespace {

constexpr MapBy kSlot = MapBy::kSlot;
constexpr MapBy kNode = MapBy::kNode;

void MapAll(PlacementRequest* request, MapBy map) {
  for (PlacementApp& app : request->apps) app.policy.map = map;
}

std::vector<PlacementNode> Nodes(const std::vector<uint32_t>& slots) {
  std::vector<PlacementNode> nodes;
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto id = static_cast<uint32_t>(i);
    nodes.push_back({.slots = slots[i], .id = NodeId(id), .name = "n" + std::to_string(i)});
  }
  return nodes;
}

std::vector<uint32_t> Take(std::istringstream& in, size_t count) {
  std::vector<uint32_t> numbers(count);
  for (uint32_t& number : numbers) in >> number;
  return numbers;
}

// The notation of mpirun_maps.h.
PlacementRequest RequestOf(const char* text) {
  std::istringstream in(text);
  PlacementRequest request;
  const std::vector<uint32_t> head = Take(in, 3);
  request.oversubscribe = head[1] == 1;
  request.nodes = Nodes(Take(in, head[2]));
  const uint32_t apps = Take(in, 1)[0];
  for (uint32_t i = 0; i < apps; ++i) {
    const std::vector<uint32_t> app = Take(in, 3);
    request.apps.push_back({app[0], app[1], Take(in, app[2])});
  }
  MapAll(&request, head[0] == 0 ? kSlot : kNode);
  EXPECT_TRUE(in) << text;
  return request;
}

std::string NodesOf(const Placement& placement) {
  std::string text;
  for (const NodeId node : placement.node_of_rank) {
    text += (text.empty() ? "" : " ") + std::to_string(Index(node));
  }
  return text;
}

// What must hold of every answer.
void ExpectConsistent(const PlacementRequest& request, const Placement& placement) {
  std::vector<uint32_t> counts(request.nodes.size(), 0);
  for (const NodeId node : placement.node_of_rank) ++counts.at(Index(node));
  EXPECT_EQ(counts, placement.node_ranks);
  EXPECT_EQ(std::accumulate(placement.app_ranks.begin(), placement.app_ranks.end(), size_t{0}),
            placement.node_of_rank.size());
  bool any = false;
  for (size_t i = 0; i < counts.size(); ++i) {
    EXPECT_EQ(placement.node_oversubscribed[i], counts[i] > request.nodes[i].slots) << i;
    any = any || counts[i] > request.nodes[i].slots;
  }
  EXPECT_EQ(placement.oversubscribed, any);
}

class PlacesAsMpirun : public testing::TestWithParam<MpirunMap> {};

TEST_P(PlacesAsMpirun, RankByRank) {
  const PlacementRequest request = RequestOf(GetParam().request);
  const Result<Placement> placement = Place(request);
  if (std::string_view(GetParam().nodes) == "REFUSED") {
    EXPECT_FALSE(placement) << NodesOf(*placement);
    return;
  }
  ASSERT_TRUE(placement) << placement.error().text;
  EXPECT_EQ(NodesOf(*placement), GetParam().nodes);
  ExpectConsistent(request, *placement);
}
INSTANTIATE_TEST_SUITE_P(Maps, PlacesAsMpirun, testing::ValuesIn(kMpirunMaps),
                         [](const auto& test) {
                           std::string name = test.param.request;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

std::string Placed(const PlacementRequest& request, uint32_t most_total = UINT32_MAX) {
  const Result<Placement> placement = Place(request, most_total);
  if (!placement) {
    EXPECT_EQ(placement.error().code, Errc::kInvalid);
    return placement.error().text;
  }
  ExpectConsistent(request, *placement);
  return NodesOf(*placement);
}

TEST(Placement, OwnCoresLimitNothing) {
  PlacementRequest request{.apps = {{.ranks = 5}}, .nodes = Nodes({2, 1})};
  for (PlacementNode& node : request.nodes) node.slots_from_cores = true;
  EXPECT_EQ(Placed(request), "0 0 0 1 1");
  request.nodes[1].slots_from_cores = false;  // now somebody has named slots
  EXPECT_EQ(Placed(request),
            "not enough slots: 5 ranks, but 3 slots on 2 nodes (n0: 2, n1: 1); give "
            "--oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  request.apps[0].nodes = {0};  // an app that only its cores limit
  EXPECT_EQ(Placed(request), "0 0 0 0 0");
}

TEST(Placement, NodesHaveTheIdsOfTheRequest) {
  PlacementRequest request{.apps = {{.ranks = 2}}, .nodes = Nodes({1, 1})};
  request.nodes[0].id = NodeId(7);
  request.nodes[1].id = NodeId(3);
  EXPECT_EQ(NodesOf(*Place(request)), "7 3");
}

TEST(Placement, PerNodeIsALimitForAnAppWithANumber) {
  PlacementRequest request{.apps = {{.ranks = 3, .per_node = 2}}, .nodes = Nodes({1, 4, 4})};
  EXPECT_EQ(Placed(request), "0 1 1");
  request.apps[0].ranks = 5;
  EXPECT_EQ(Placed(request), "0 1 1 2 2");
  MapAll(&request, kNode);
  EXPECT_EQ(Placed(request), "0 1 2 1 2");
  request.nodes[0].slots = 4;
  request.apps = {{.ranks = 0, .per_node = 1}, {.ranks = 0, .per_node = 2, .nodes = {0, 2}}};
  MapAll(&request, kNode);
  EXPECT_EQ(Placed(request), "0 1 2 0 2 0 2");
}

TEST(Placement, MaxSlotsHoldsWhenOversubscribing) {
  PlacementRequest request{
      .apps = {{.ranks = 8}}, .nodes = Nodes({2, 2, 2}), .oversubscribe = true};
  request.nodes[0].most_ranks = 2;
  request.nodes[1].most_ranks = 3;
  EXPECT_EQ(Placed(request), "0 0 1 1 1 2 2 2");
  MapAll(&request, kNode);
  EXPECT_EQ(Placed(request), "0 1 2 0 1 2 1 2");
  request.nodes[2].most_ranks = 2;
  EXPECT_EQ(Placed(request),
            "no room for 8 ranks: the limits of 3 nodes (n0: 2, n1: 3, n2: 2) leave room for 7; "
            "raise max_slots in the hostfile, or name more nodes");
  request.apps = {{.ranks = 1}, {.ranks = 6, .per_node = 2}};
  EXPECT_EQ(Placed(request),
            "program 2: no room for 6 ranks: the limits of 3 nodes (n0: 2, n1: 3, n2: 2) leave "
            "room for 5; raise max_slots in the hostfile or -N, or name more nodes");
}

TEST(Placement, RefusalsNameSlotsNodesAndTheOption) {
  EXPECT_EQ(Placed({.apps = {{.ranks = 2}, {.ranks = 1}}, .nodes = Nodes({2})}),
            "program 2: not enough slots: 3 ranks, but 2 slots on 1 node (n0: 2); give "
            "--oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  EXPECT_EQ(Placed({.apps = {{.ranks = 6}}, .nodes = Nodes({1, 1, 1, 1, 1})}),
            "not enough slots: 6 ranks, but 5 slots on 5 nodes (n0: 1, n1: 1, n2: 1, …); give "
            "--oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  EXPECT_EQ(Placed({.apps = {{.ranks = 2}}, .nodes = {PlacementNode{}}}),
            "not enough slots: 2 ranks, but 1 slot on 1 node; give --oversubscribe (or set "
            "REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  EXPECT_EQ(Placed({.apps = {{.ranks = 0, .per_node = 2}}, .nodes = Nodes({2, 1})}),
            "not enough slots on node n1: -N 2, but 1 free slot there; give --oversubscribe (or "
            "set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  EXPECT_EQ(Placed({.apps = {{.ranks = 4, .per_node = 1}}, .nodes = Nodes({2, 2, 2})}),
            "-n 4 is more than -N 1 allows on 3 nodes; raise -N, lower -n or name more nodes");
}

TEST(Placement, RefusesNothingToPlace) {
  EXPECT_EQ(Placed({.nodes = Nodes({1})}), "there is nothing to place: no program or no node");
  EXPECT_EQ(Placed({.apps = {{}}}), "there is nothing to place: no program or no node");
  EXPECT_EQ(Placed({.apps = {{.ranks = 0}}, .nodes = Nodes({0})}),
            "a program without ranks cannot be placed; give -n 1 or more");
}

TEST(Placement, RefusesMoreRanksThanAJobMayHave) {
  EXPECT_EQ(Placed({.apps = {{.ranks = 0}}, .nodes = Nodes({4, 5})}, 8),
            "too many ranks: 9; a job has at most 8");
  EXPECT_EQ(Placed({.apps = {{.ranks = 4}, {.ranks = 5}}, .nodes = Nodes({9})}, 8),
            "too many ranks: 9; a job has at most 8");
  EXPECT_NE(Placed({.apps = {{.ranks = 0}}, .nodes = Nodes({UINT32_MAX, UINT32_MAX})}), "");
}

TEST(Placement, SlotsThatAreZeroTakeRanksOnlyWhenOversubscribing) {
  EXPECT_EQ(Placed({.apps = {{.ranks = 1}}, .nodes = Nodes({0, 1})}), "1");
  EXPECT_EQ(Placed({.apps = {{.ranks = 3}}, .nodes = Nodes({0, 0}), .oversubscribe = true}),
            "0 0 1");
}

// Every mixture of small sizes: each rank has one place, and limits hold.
TEST(Placement, EveryRankHasExactlyOnePlace) {
  for (uint32_t ranks = 1; ranks <= 40; ++ranks) {
    for (const MapBy policy : {kSlot, kNode}) {
      PlacementRequest request{.apps = {{.ranks = ranks}, {.ranks = 7, .per_node = 3}},
                               .nodes = Nodes({2, 5, 0, 1}),
                               .oversubscribe = true};
      MapAll(&request, policy);
      const Result<Placement> placement = Place(request);
      ASSERT_TRUE(placement) << placement.error().text;
      ExpectConsistent(request, *placement);
      EXPECT_EQ(placement->app_ranks, (std::vector<uint32_t>{ranks, 7}));
      std::vector<uint32_t> second(4, 0);
      for (uint32_t rank = ranks; rank < ranks + 7; ++rank) {
        EXPECT_LE(++second[Index(placement->node_of_rank[rank])], 3u);
      }
    }
  }
}

TEST(Placement, PprRefusalsNameTheNumbers) {
  PlacementRequest request{.apps = {{.ranks = 5}}, .nodes = Nodes({4, 1})};
  request.apps[0].policy.map = MapBy::kPpr;
  request.apps[0].policy.ppr = {{.count = 2, .per_node = true}};
  EXPECT_EQ(
      Placed(request),
      "-n 5 is more than --map-by ppr:2:node allows: 4 on 2 nodes; lower -n, raise the ppr or "
      "name more nodes");
  request.apps[0].ranks = 0;
  EXPECT_EQ(Placed(request),
            "not enough slots on node n1: --map-by ppr:2:node puts 2 ranks there, but 1 slot is "
            "free; give --oversubscribe (or set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
  request.oversubscribe = true;
  EXPECT_EQ(Placed(request), "0 0 1 1");
}

TEST(Placement, PeBeyondTheObjectsIsRefusedWithTheirSize) {
  PlacementRequest request{.apps = {{.ranks = 1}}, .nodes = Nodes({4})};
  request.nodes[0].hardware = std::make_shared<const Hardware>(PlainHardware(4));
  request.apps[0].policy.map = MapBy::kObject;
  request.apps[0].policy.map_object = HwObject::kSocket;
  request.apps[0].policy.cpus_per_rank = 5;
  EXPECT_EQ(
      Placed(request),
      "PE=5: a socket on node n0 has only 4 usable cores; lower PE, or map by something larger, "
      "such as --map-by slot:PE=5");
}

TEST(Placement, NamedPlacesAreKeptAndCounted) {
  PlacementRequest request{.apps = {{.ranks = 0}}, .nodes = Nodes({1, 2})};
  request.apps[0].policy.map = MapBy::kRankfile;
  request.apps[0].fixed = {1, 0, 1};
  EXPECT_EQ(Placed(request), "1 0 1");
  request.apps[0].fixed = {0, 0};
  EXPECT_EQ(
      Placed(request),
      "not enough slots on node n0: 2 ranks named for it, but 1 slot; give --oversubscribe (or "
      "set REX_OVERSUBSCRIBE=1) to run more ranks than slots");
}

TEST(Placement, AMillionRanksOnTenThousandNodesAreOneRunANode) {
  constexpr uint32_t kNodes = 10'000;
  for (const MapBy policy : {kSlot, kNode}) {
    PlacementRequest request{.apps = {{.ranks = 1'000'000}},
                             .nodes = Nodes(std::vector<uint32_t>(kNodes, 100))};
    MapAll(&request, policy);
    const Result<Placement> placement = Place(request);
    ASSERT_TRUE(placement) << placement.error().text;
    const std::vector<MapRun> runs = RunsOf(placement->node_of_rank);
    ASSERT_EQ(runs.size(), kNodes);
    EXPECT_EQ(runs[1], policy == kSlot ? (MapRun{NodeId(1), 100, 100, 1})
                                       : (MapRun{NodeId(1), 1, 100, kNodes}));
  }
}

}  // namespace
}  // namespace rex
