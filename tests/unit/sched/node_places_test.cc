#include "sched/placement/node_places.h"

#include <gtest/gtest.h>

#include "sched/placement/resolve.h"
#include "sched/policy/policy_words.h"
#include "tests/unit/sched/synthetic.h"

namespace rex {
namespace {

const Hardware& TwoSockets() {  // cores 0-7, two threads each
  static const Hardware hardware = HardwareOf(Synthetic("pack:2 core:4 pu:2"));
  return hardware;
}

PlacePolicy Policy(const std::string& map, const std::string& bind = "") {
  PlacePolicy policy;
  MapModifiers modifiers;
  EXPECT_TRUE(map.empty() || TakeMapBy(map, &policy, &modifiers)) << map;
  EXPECT_TRUE(bind.empty() || TakeBindTo(bind, &policy)) << bind;
  EXPECT_TRUE(ResolveMapping(&policy, 4));
  ResolveBinding(&policy, 4, false, false);
  return policy;
}

std::vector<uint32_t> UpTo(uint32_t count) {
  std::vector<uint32_t> ranks;
  for (uint32_t i = 0; i < count; ++i) ranks.push_back(i);
  return ranks;
}

std::string PlanText(const Hardware& hardware, const std::vector<NodeApp>& apps,
                     const std::vector<uint32_t>& taken = {}) {
  const auto plan = PlanNode(hardware, apps, taken);
  if (!plan) return plan.error().text;
  std::string text;
  for (const NodeRank& rank : plan->ranks) {
    text += (text.empty() ? "" : " ") + std::to_string(rank.rank) + ":" +
            (rank.cpus.empty() ? "-" : CpuList(rank.cpus));
  }
  return text + (plan->default_left_out ? " left out" : "");
}

std::string Planned(const PlacePolicy& policy, uint32_t ranks,
                    const std::vector<uint32_t>& taken = {}) {
  return PlanText(TwoSockets(), {{&policy, UpTo(ranks), {}}}, taken);
}

TEST(PlanNode, AppsMayHavePoliciesOfTheirOwn) {
  const PlacePolicy cores = Policy("core");
  const PlacePolicy sockets = Policy("socket", "none");
  EXPECT_EQ(PlanText(TwoSockets(), {{&cores, {0, 1}, {}}, {&sockets, {2, 3}, {}}}),
            "0:0-1 1:2-3 2:- 3:-");
}

TEST(PlanNode, ProcessorsThatOthersHoldAreAvoided) {
  EXPECT_EQ(Planned(Policy("slot", "core"), 2, {0, 1, 2}), "0:4-5 1:6-7");
  EXPECT_EQ(Planned(Policy("core"), 2, {0, 1}), "0:2-3 1:4-5");
  EXPECT_EQ(Planned(Policy("socket", "core"), 2, {8}), "0:0-1 1:10-11");
}

TEST(PlanNode, ADefaultThatCanNotBeMetIsLeftOutForTheWholeNode) {
  PlacePolicy policy;
  ASSERT_TRUE(ResolveMapping(&policy, 9));
  ResolveBinding(&policy, 9, false, false);
  EXPECT_EQ(Planned(policy, 8), "0:0-15 1:0-15 2:0-15 3:0-15 4:0-15 5:0-15 6:0-15 7:0-15");
  EXPECT_EQ(Planned(policy, 9), "0:- 1:- 2:- 3:- 4:- 5:- 6:- 7:- 8:- left out");
}

TEST(PlanNode, WhatWasAskedForAndCanNotBeIsAnError) {
  EXPECT_EQ(Planned(Policy("slot", "core"), 9),
            "binding to core would put more ranks on a core than it has usable cores; give "
            "--bind-to core:overload-allowed to share them, or --bind-to none");
  EXPECT_EQ(Planned(Policy("slot", "l2cache"), 1),
            "there is no l2cache to bind a rank to; choose another object for --bind-to");
  EXPECT_EQ(
      Planned(Policy("slot:PE=3"), 3),
      "PE=3: fewer than 3 usable cores are left for a rank; lower PE, or start fewer ranks on "
      "the node");
  EXPECT_EQ(Planned(Policy("slot", "core:overload-allowed"), 9).substr(0, 11), "0:0-1 1:2-3");
}

TEST(PlanNode, RankFilesNameCpus) {
  const PlacePolicy policy = Policy("rankfile", "none");
  EXPECT_EQ(PlanText(TwoSockets(), {{&policy, {3, 5}, {"1", "1:0-1"}}}), "3:2-3 5:8-11");
  EXPECT_EQ(PlanText(TwoSockets(), {{&policy, {3}, {"8"}}}),
            "rank 3: there is no core number 8; usable are 8, counted from 0");
}

TEST(PlanNode, EqualPlansHaveEqualDigests) {
  const PlacePolicy cores = Policy("core");
  const PlacePolicy sockets = Policy("socket");
  const auto digest = [](const PlacePolicy& policy, uint32_t ranks) {
    return Digest(*PlanNode(TwoSockets(), {{&policy, UpTo(ranks), {}}}));
  };
  EXPECT_EQ(digest(cores, 3), digest(cores, 3));
  EXPECT_NE(digest(cores, 3), digest(cores, 4));
  EXPECT_NE(digest(cores, 3), digest(sockets, 3));
}

TEST(Ppr, SmallerObjectsFillEvenlyUnderTheLimitsOfLarger) {
  const PlacePolicy policy = Policy("ppr:2:core,3:socket", "core:overload-allowed");
  EXPECT_EQ(PprRoom(TwoSockets(), policy), 6u);
  EXPECT_EQ(Planned(policy, 6), "0:0-1 1:2-3 2:4-5 3:8-9 4:10-11 5:12-13");
  EXPECT_EQ(PprRoom(TwoSockets(), Policy("ppr:3:core,5:node")), 5u);
}

TEST(Dist, NumaNodesAreFilledFromTheNearest) {
  const auto hardware = DecodeHardware("p 0-7;n 4*2;s 4*2;3;2;1;c 1*8;d ib0=1,0");
  ASSERT_TRUE(hardware);
  PlacePolicy policy = Policy("dist", "numa");
  policy.device = "ib0";
  EXPECT_EQ(PlanText(*hardware, {{&policy, UpTo(5), {}}}), "0:4-7 1:4-7 2:4-7 3:4-7 4:0-3");
}

struct SlotCase {
  const char* text;
  const char* cpus;
};
class SlotLists : public testing::TestWithParam<SlotCase> {};
TEST_P(SlotLists, AreOpenMpis) {
  const auto cpus = ParseSlotList(TwoSockets(), GetParam().text, false);
  EXPECT_EQ(cpus ? CpuList(*cpus) : cpus.error().text, GetParam().cpus) << GetParam().text;
}
INSTANTIATE_TEST_SUITE_P(
    All, SlotLists,
    testing::Values(SlotCase{"1", "2-3"}, SlotCase{"0-2", "0-5"}, SlotCase{"0,7", "0-1,14-15"},
                    SlotCase{"1:2", "12-13"}, SlotCase{"1:0-2", "8-13"}, SlotCase{"0:*", "0-7"},
                    SlotCase{"*", "0-15"}, SlotCase{"s1", "8-15"}, SlotCase{"S0-1", "0-15"},
                    SlotCase{"0:0;1:3", "0-1,14-15"}, SlotCase{"0:0,1:1", "0-1,10-11"},
                    SlotCase{"0:0,2", "0-1,4-5"}, SlotCase{"1:c1", "10-11"},
                    SlotCase{"2:0", "there is no socket number 2; usable are 2, counted from 0"},
                    SlotCase{"0:4",
                             "there is no core of socket 0 number 4; usable are 4, counted from 0"},
                    SlotCase{"x", "'x' is not a number or a range of numbers"},
                    SlotCase{"3-1", "'3-1' is not a number or a range of numbers"},
                    SlotCase{"", "'' is not a number or a range of numbers"},
                    SlotCase{"a:0", "'a' is not a socket's number"}));

TEST(Resolve, PeNeedsObjectsWithProcessors) {
  const auto error = [](const std::string& map, const std::string& bind) {
    PlacePolicy policy;
    MapModifiers modifiers;
    EXPECT_TRUE(TakeMapBy(map, &policy, &modifiers));
    EXPECT_TRUE(bind.empty() || TakeBindTo(bind, &policy));
    const Status resolved = ResolveMapping(&policy, 4);
    return resolved ? "" : resolved.error().text;
  };
  EXPECT_EQ(error("core:PE=2", ""),
            "PE=2: one core does not have 2 cores; map by something larger, for example --map-by "
            "socket:PE=2");
  EXPECT_EQ(error("hwthread:PE=2", ""),
            "PE=2: one hwthread does not have 2 hwthreads; map by something larger, for example "
            "--map-by socket:PE=2");
  EXPECT_EQ(error("core:PE=2,HWTCPUS", ""), "");
  EXPECT_EQ(error("socket:PE=2", "socket"),
            "PE=2 binds each rank to so many cores, which does not go together with --bind-to "
            "socket; leave one of them out");
}

}  // namespace
}  // namespace rex
