#include "sched/placement/placement.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

struct Case {
  const char* name;
  PlacementRequest request;
  std::vector<PlacementRun> runs;  // node, app, first rank, count
  bool oversubscribed;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class PlacesBySlot : public testing::TestWithParam<Case> {};

TEST_P(PlacesBySlot, AsTheTableSays) {
  const Result<Placement> placement = Place(GetParam().request);
  ASSERT_TRUE(placement) << placement.error().text;
  EXPECT_EQ(placement->runs, GetParam().runs);
  EXPECT_EQ(placement->oversubscribed, GetParam().oversubscribed);
}

// The oversubscribed ones are mpirun 4.1.4's maps (--map-by slot --oversubscribe --display-map).
const Case kCases[] = {
    {"OneRank", {{1}, {{2, true}}, false}, {{0, 0, 0, 1}}, false},
    {"Full", {{2}, {{2, true}}, false}, {{0, 0, 0, 2}}, false},
    {"OwnCoresLimitNothing", {{9}, {{2, true}}, false}, {{0, 0, 0, 9}}, true},
    {"FillsInOrder", {{3}, {{2}, {1}, {3}}, false}, {{0, 0, 0, 2}, {1, 0, 2, 1}}, false},
    {"EveryNodeFull",
     {{6}, {{2}, {1}, {3}}, false},
     {{0, 0, 0, 2}, {1, 0, 2, 1}, {2, 0, 3, 3}},
     false},
    {"SpreadsTheRest",
     {{10}, {{2}, {1}, {3}}, true},
     {{0, 0, 0, 4}, {1, 0, 4, 2}, {2, 0, 6, 4}},
     true},
    {"SecondAppContinues",
     {{1, 3}, {{2}, {2}}, false},
     {{0, 0, 0, 1}, {0, 1, 1, 1}, {1, 1, 2, 2}},
     false},
    {"SkipsNodesWithoutSlots", {{1}, {{0}, {1}}, false}, {{1, 0, 0, 1}}, false},
    {"NoSlotsAtAllOversubscribed", {{3}, {{0}, {0}}, true}, {{0, 0, 0, 2}, {1, 0, 2, 1}}, true},
    {"AllowedButNotNeeded", {{2}, {{2}}, true}, {{0, 0, 0, 2}}, false},
};
INSTANTIATE_TEST_SUITE_P(Table, PlacesBySlot, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Placement, RefusesMoreRanksThanGivenSlotsAndNamesTheOption) {
  const Result<Placement> placement = Place({{3, 2}, {{2, true}, {2, false}}, false});
  ASSERT_FALSE(placement);
  EXPECT_EQ(placement.error().code, Errc::kInvalid);
  EXPECT_NE(placement.error().text.find("5 ranks, but 4 slots"), std::string::npos);
  EXPECT_NE(placement.error().text.find("--oversubscribe"), std::string::npos);
}

TEST(Placement, RefusesNothingToPlace) {
  EXPECT_FALSE(Place({{}, {{1}}, false}));
  EXPECT_FALSE(Place({{1}, {}, false}));
  EXPECT_FALSE(Place({{1, 0}, {{4}}, false}));
}

TEST(Placement, RefusesMoreRanksThanCanBeNumbered) {
  EXPECT_FALSE(Place({{UINT32_MAX, 2}, {{1, true}}, false}));
}

TEST(Placement, EveryRankHasExactlyOnePlace) {
  for (uint32_t ranks = 1; ranks <= 40; ++ranks) {
    const Result<Placement> placement = Place({{ranks, 3}, {{2}, {5}, {0}, {1}}, true});
    ASSERT_TRUE(placement);
    uint32_t next = 0;
    std::vector<uint32_t> per_node(4, 0);
    for (const PlacementRun& run : placement->runs) {
      EXPECT_EQ(run.first_rank, next);
      next += run.count;
      per_node[run.node] += run.count;
    }
    EXPECT_EQ(next, ranks + 3);
    EXPECT_EQ(per_node, placement->node_ranks);
  }
}

}  // namespace
}  // namespace rex
