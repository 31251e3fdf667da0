#include "sched/placement/job_map.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

constexpr NodeId kA{0}, kB{1}, kC{2};

std::vector<NodeId> NodesOf(const JobMap& map) {
  std::vector<NodeId> nodes;
  for (uint32_t rank = 0; rank < map.total(); ++rank) nodes.push_back(map.NodeOf(rank));
  return nodes;
}

TEST(JobMapTest, RunsAreLookedUpByRankAndByNode) {
  const auto map = JobMap::Make({{kC, 0, 2, 1}, {kA, 2, 3, 1}}, 5, 3);
  ASSERT_TRUE(map) << map.error().text;
  EXPECT_EQ(NodesOf(*map), (std::vector<NodeId>{kC, kC, kA, kA, kA}));
  EXPECT_EQ(map->RanksOf(kA), (std::vector<uint32_t>{2, 3, 4}));
  EXPECT_TRUE(map->RanksOf(kB).empty());
  EXPECT_EQ(map->CountOn(kC), 2U);
  EXPECT_EQ(map->nodes(), (std::vector<NodeId>{kA, kC}));
}

TEST(JobMapTest, StridesInterleaveNodes) {
  const auto map = JobMap::Make({{kA, 0, 3, 2}, {kB, 1, 2, 2}}, 5, 2);
  ASSERT_TRUE(map) << map.error().text;
  EXPECT_EQ(NodesOf(*map), (std::vector<NodeId>{kA, kB, kA, kB, kA}));
  EXPECT_EQ(map->RanksOf(kA), (std::vector<uint32_t>{0, 2, 4}));
}

TEST(JobMapTest, TwoRunsOfOneNodeAreOneNode) {
  const auto map = JobMap::Make({{kA, 4, 1, 1}, {kB, 1, 3, 1}, {kA, 0, 1, 1}}, 5, 2);
  ASSERT_TRUE(map) << map.error().text;
  EXPECT_EQ(map->RanksOf(kA), (std::vector<uint32_t>{0, 4}));
  EXPECT_EQ(map->nodes(), (std::vector<NodeId>{kA, kB}));
}

struct BadCase {
  const char* says;
  std::vector<MapRun> runs;
  uint32_t total;
};
void PrintTo(const BadCase& c, std::ostream* out) { *out << c.says; }
class RefusesRuns : public testing::TestWithParam<BadCase> {};

TEST_P(RefusesRuns, ThatDoNotHoldEachRankOnce) {
  const auto map = JobMap::Make(GetParam().runs, GetParam().total, 2);
  ASSERT_FALSE(map);
  EXPECT_EQ(map.error().code, Errc::kInvalid);
  EXPECT_NE(map.error().text.find(GetParam().says), std::string::npos) << map.error().text;
}

const BadCase kBad[] = {
    {"rank 1 twice", {{kA, 0, 2, 1}, {kB, 1, 1, 1}}, 2},
    {"rank 2 is on no node", {{kA, 0, 2, 1}}, 3},
    {"beyond the last rank", {{kA, 0, 4, 1}}, 3},
    {"beyond the last rank", {{kA, 0, UINT32_MAX, UINT32_MAX}}, 3},
    {"empty", {{kA, 0, 0, 1}}, 1},
    {"empty", {{kA, 0, 1, 0}}, 1},
    {"there is no such node", {{kC, 0, 1, 1}}, 1},
};
INSTANTIATE_TEST_SUITE_P(JobMap, RefusesRuns, testing::ValuesIn(kBad));

TEST(JobMapTest, DigestsTellMapsApart) {
  const auto one = JobMap::Make({{kA, 0, 2, 1}, {kB, 2, 2, 1}}, 4, 2);
  const auto same = JobMap::Make({{kB, 2, 2, 1}, {kA, 0, 1, 1}, {kA, 1, 1, 1}}, 4, 2);
  const auto other = JobMap::Make({{kA, 0, 2, 2}, {kB, 1, 2, 2}}, 4, 2);
  ASSERT_TRUE(one && same && other);
  EXPECT_EQ(one->Digest(), same->Digest());
  EXPECT_NE(one->Digest(), other->Digest());
}

TEST(JobMapTest, RunsOfTakesOneRunANodeWhenRanksFillOrDealOut) {
  EXPECT_EQ(RunsOf({kA, kA, kB, kB}), (std::vector<MapRun>{{kA, 0, 2, 1}, {kB, 2, 2, 1}}));
  EXPECT_EQ(RunsOf({kA, kB, kA, kB}), (std::vector<MapRun>{{kA, 0, 2, 2}, {kB, 1, 2, 2}}));
  EXPECT_EQ(RunsOf({kB}), (std::vector<MapRun>{{kB, 0, 1, 1}}));
}

TEST(JobMapTest, RunsOfAndMakeAreEachOthersInverse) {
  const std::vector<NodeId> nodes = {kA, kB, kB, kC, kA, kA, kC, kB, kA, kC, kC};
  const auto map = JobMap::Make(RunsOf(nodes), static_cast<uint32_t>(nodes.size()), 3);
  ASSERT_TRUE(map) << map.error().text;
  EXPECT_EQ(NodesOf(*map), nodes);
}

}  // namespace
}  // namespace rex
