// Leases among invented jobs: what a job is bound to and holds when others hold cores already, or
// take them at the same moment.
#include "sched/placement/lease_plan.h"

#include <gtest/gtest.h>

#include <set>

#include "sched/placement/resolve.h"
#include "sched/policy/policy_words.h"
#include "tests/unit/sched/synthetic.h"

namespace rex {
namespace {

std::vector<uint32_t> UpTo(uint32_t count) {
  std::vector<uint32_t> ranks;
  for (uint32_t i = 0; i < count; ++i) ranks.push_back(i);
  return ranks;
}

// As a job of `ranks` on one node has it, nothing being said but `map` and `bind`.
PlacePolicy Policy(uint32_t ranks, const std::string& map = "", const std::string& bind = "") {
  PlacePolicy policy;
  MapModifiers modifiers;
  EXPECT_TRUE(map.empty() || TakeMapBy(map, &policy, &modifiers)) << map;
  EXPECT_TRUE(bind.empty() || TakeBindTo(bind, &policy)) << bind;
  EXPECT_TRUE(ResolveMapping(&policy, ranks));
  ResolveBinding(&policy, ranks, false, false);
  return policy;
}

// As OMP_NUM_THREADS makes it.
PlacePolicy Threads(uint32_t ranks, uint32_t threads) {
  PlacePolicy policy = Policy(ranks, "slot:PE=" + std::to_string(threads));
  policy.bind_is_default = true;
  return policy;
}

// A machine of 2 sockets with 4 cores of 2 threads each: cpus 2k and 2k+1 are core 2k's.
class LeasePlan : public ::testing::Test {
 protected:
  std::string Plan(const std::vector<NodeApp>& apps) {
    const LeaseCalls calls = {[this](CoreNumber core) { return others_.contains(core); },
                              [this](CoreNumber core) {
                                if (raced_.erase(core) > 0) others_.insert(core);
                                if (others_.contains(core)) return false;
                                held_.insert(core);
                                return true;
                              },
                              [this](CoreNumber core) { EXPECT_EQ(held_.erase(core), 1u); }};
    const auto plan = PlanOnFreeCores(hardware_, apps, numbers_, calls);
    if (!plan) return plan.error().text;
    const auto plain = PlanNode(hardware_, apps);
    EXPECT_EQ(plan->digest, Digest(*plain)) << "the head knows of no leases";
    std::string text;
    for (const NodeRank& rank : plan->plan.ranks) {
      text += (text.empty() ? "" : " ") + (rank.cpus.empty() ? "-" : CpuList(rank.cpus));
    }
    if (plan->left_out) text += " left out " + std::to_string(plan->held_by_others);
    return text;
  }
  std::string Plan(const PlacePolicy& policy, uint32_t ranks) {
    return Plan({{&policy, UpTo(ranks), {}}});
  }
  std::string Held() const {
    std::string text;
    for (const CoreNumber core : held_) text += (text.empty() ? "" : ",") + std::to_string(core);
    return text;
  }

  Topology topology_ = Synthetic("pack:2 numa:1 core:4 pu:2");
  Hardware hardware_ = HardwareOf(topology_);
  std::vector<CoreNumber> numbers_ = CoreNumbersOf(topology_, hardware_);
  std::set<CoreNumber> others_;
  std::set<CoreNumber> raced_;  // others take these just before we do
  std::set<CoreNumber> held_;
};

TEST_F(LeasePlan, OnAnIdleNodeRanksAreWhereMpirunBindsThem) {
  EXPECT_EQ(Plan(Policy(2), 2), "0-1 2-3");
  EXPECT_EQ(Held(), "0,2");
}

TEST_F(LeasePlan, TheNextJobHasTheNextCores) {
  others_ = {0, 2};
  EXPECT_EQ(Plan(Policy(2), 2), "4-5 6-7");
  EXPECT_EQ(Held(), "4,6");
}

TEST_F(LeasePlan, RanksBoundToMoreThanACoreHoldOneEachAndKeepOffThoseOfOthers) {
  others_ = {0, 10};
  EXPECT_EQ(Plan(Policy(4), 4), "2-7 8-9,12-15 2-7 8-9,12-15");
  EXPECT_EQ(Held(), "2,4,8,12");
}

TEST_F(LeasePlan, AFullObjectSendsRanksToTheNext) {
  others_ = {0, 2, 4};
  EXPECT_EQ(Plan(Policy(4), 4), "6-7 8-15 8-15 8-15");
  EXPECT_EQ(Held(), "6,8,10,12");
}

TEST_F(LeasePlan, TooFewFreeCoresLeaveAllUnboundAndHoldNothing) {
  others_ = {0, 2, 4, 6, 8, 10, 12};
  EXPECT_EQ(Plan(Policy(2), 2), "- - left out 7");
  EXPECT_EQ(Held(), "");
  EXPECT_EQ(Plan(Policy(1), 1), "14-15");
}

TEST_F(LeasePlan, WhoIsFasterHasTheCoreAndNothingElseIsKept) {
  raced_ = {0, 4};
  EXPECT_EQ(Plan(Policy(2), 2), "2-3 6-7");
  EXPECT_EQ(Held(), "2,6");
}

TEST_F(LeasePlan, WhenOthersOnlyTriedTheSecondLookFindsWhatTheyGaveBack) {
  const PlacePolicy policy = Policy(2);
  int looks = 0;
  const LeaseCalls calls = {[&](CoreNumber core) {
                              looks += core == 0 ? 1 : 0;
                              return looks == 1 && core < 14;
                            },
                            [&](CoreNumber core) { return held_.insert(core).second; },
                            [&](CoreNumber core) { held_.erase(core); }};
  const auto plan = PlanOnFreeCores(hardware_, {{&policy, UpTo(2), {}}}, numbers_, calls);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->left_out);
  EXPECT_EQ(looks, 2);
  EXPECT_EQ(Held(), "0,2");
}

TEST_F(LeasePlan, WhatIsAskedForIsDoneAndTakenWhereItIsFree) {
  others_ = {0};
  EXPECT_EQ(Plan(Policy(2, "", "core"), 2), "0-1 2-3");
  EXPECT_EQ(Held(), "2");
  held_.clear();
  EXPECT_EQ(Plan(Policy(2, "core"), 2), "0-1 2-3") << "cores were named for mapping";
  held_.clear();
  EXPECT_EQ(Plan(Policy(2, "slot:PE=3"), 2), "0-5 6-11");
  EXPECT_EQ(Held(), "2,4,6,8,10");
}

TEST_F(LeasePlan, MappingThatNamesNoHardwareLeavesTheCoresToUs) {
  others_ = {0};
  EXPECT_EQ(Plan(Policy(2, "node"), 2), "2-3 4-5");
  EXPECT_EQ(Plan(Policy(2, "ppr:2:node"), 2), "2-3 4-5");
  EXPECT_EQ(Plan(Policy(2, "ppr:1:socket"), 2), "0-1 8-9");
}

TEST_F(LeasePlan, ListsAndRankFilesTakeAllThatTheyName) {
  PlacePolicy list = Policy(1);
  list.bind = BindTo::kCpuList;
  list.cpu_list = "1-3";
  EXPECT_EQ(Plan(list, 1), "2-7");
  EXPECT_EQ(Held(), "2,4,6");
  held_.clear();
  PlacePolicy file = Policy(1);
  file.map = MapBy::kRankfile;
  EXPECT_EQ(Plan({{&file, {0}, {"1:0-1"}}}), "8-11");
  EXPECT_EQ(Held(), "8,10");
}

TEST_F(LeasePlan, UnboundRanksHoldNothing) {
  EXPECT_EQ(Plan(Policy(2, "", "none"), 2), "- -");
  EXPECT_EQ(Held(), "");
}

TEST_F(LeasePlan, ProgramsWithoutBindingDoNotKeepOthersFromBeingMoved) {
  others_ = {0};
  const PlacePolicy none = Policy(2, "", "none");
  const PlacePolicy ours = Policy(2);
  EXPECT_EQ(Plan({{&none, {0}, {}}, {&ours, {1}, {}}}), "- 2-3");
  const PlacePolicy asked = Policy(2, "", "core");
  EXPECT_EQ(Plan({{&asked, {0}, {}}, {&ours, {1}, {}}}), "0-1 2-3") << "as asked, all of it";
}

TEST_F(LeasePlan, SeveralCoresForEachRankAreNeighboursWhereTheyCanBe) {
  EXPECT_EQ(Plan(Threads(2, 3), 2), "0-5 6-11");
  held_.clear();
  others_ = {2};
  EXPECT_EQ(Plan(Threads(2, 3), 2), "4-9 10-15");
  EXPECT_EQ(Held(), "4,6,8,10,12,14");
  held_.clear();
  others_ = {2, 8};
  EXPECT_EQ(Plan(Threads(2, 3), 2), "10-15 0-1,4-7");
  held_.clear();
  others_ = {2, 6, 10};
  EXPECT_EQ(Plan(Threads(2, 3), 2), "- - left out 3");
  EXPECT_EQ(Held(), "");
}

TEST_F(LeasePlan, OversubscribingIsAboutTheJobsOwnRanks) {
  others_ = {0};
  PlacePolicy policy = Policy(2);
  policy.overload = true;
  EXPECT_EQ(Plan(policy, 2), "2-3 4-5");
}

TEST_F(LeasePlan, TwoThreadsOfACoreAreOneCore) {
  PlacePolicy policy;
  policy.hwthread_cpus = true;
  ASSERT_TRUE(ResolveMapping(&policy, 2));
  ResolveBinding(&policy, 2, false, false);
  EXPECT_EQ(Plan(policy, 2), "0 1");
  EXPECT_EQ(Held(), "0");
  held_.clear();
  others_ = {0};
  EXPECT_EQ(Plan(policy, 2), "2 3");
}

TEST_F(LeasePlan, RefusalsTakeNothing) {
  PlacePolicy policy = Policy(2, "slot:PE=9");
  EXPECT_NE(Plan(policy, 1).find("PE=9"), std::string::npos);
  EXPECT_EQ(Held(), "");
}

// Every job's view must have the same name for a core, whatever part of it the job may use.
TEST(CoreNumbers, AreThoseOfTheWholeCore) {
  const Topology whole = Synthetic("pack:1 core:2 pu:2(indexes=0,2,1,3)");
  EXPECT_EQ(CoreNumbersOf(whole, HardwareOf(whole)), (std::vector<CoreNumber>{0, 1}));
  Hardware part = HardwareOf(whole);
  part.cpus = {2, 3};  // as in a cpuset that has the second thread of each
  part.objects[static_cast<size_t>(HwObject::kCore)] = {{0, 1}, {1, 1}};
  part.objects[static_cast<size_t>(HwObject::kHwthread)] = {{0, 1}, {1, 1}};
  EXPECT_EQ(CoreNumbersOf(whole, part), (std::vector<CoreNumber>{0, 1}));
}

TEST(CoreNumbers, WhereNoCoresAreShownAreThoseOfTheThreads) {
  const Hardware plain = PlainHardware(3);
  EXPECT_EQ(CoreNumbersOf(plain), (std::vector<CoreNumber>{0, 1, 2}));
}

}  // namespace
}  // namespace rex
