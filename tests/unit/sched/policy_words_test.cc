#include "sched/policy/policy_words.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

PlacePolicy Map(std::string_view text, MapModifiers* modifiers = nullptr) {
  PlacePolicy policy;
  MapModifiers none;
  const Status taken = TakeMapBy(text, &policy, modifiers == nullptr ? &none : modifiers);
  EXPECT_TRUE(taken) << text << ": " << taken.error().text;
  return policy;
}

std::string MapError(std::string_view text) {
  PlacePolicy policy;
  MapModifiers modifiers;
  const Status taken = TakeMapBy(text, &policy, &modifiers);
  return taken ? "taken" : taken.error().text;
}

TEST(MapBy, ObjectsInEitherCaseAndByTheirBeginnings) {
  EXPECT_EQ(Map("slot").map, MapBy::kSlot);
  EXPECT_EQ(Map("NODE").map, MapBy::kNode);
  EXPECT_EQ(Map("board").map, MapBy::kNode);
  EXPECT_EQ(Map("seq").map, MapBy::kSeq);
  EXPECT_EQ(Map("dist").map, MapBy::kDist);
  EXPECT_EQ(Map("rankfile").map, MapBy::kRankfile);
  EXPECT_EQ(Map("s").map, MapBy::kSlot);
  EXPECT_EQ(Map("n").map, MapBy::kNode);
  for (const auto& [text, object] : {std::pair("numa", HwObject::kNuma),
                                     {"socket", HwObject::kSocket},
                                     {"so", HwObject::kSocket},
                                     {"package", HwObject::kSocket},
                                     {"l3cache", HwObject::kL3Cache},
                                     {"L2", HwObject::kL2Cache},
                                     {"l", HwObject::kL1Cache},
                                     {"core", HwObject::kCore},
                                     {"hwthread", HwObject::kHwthread}}) {
    EXPECT_EQ(Map(text).map, MapBy::kObject) << text;
    EXPECT_EQ(Map(text).map_object, object) << text;
  }
  EXPECT_TRUE(Map("hwthread").hwthread_cpus);
  EXPECT_FALSE(Map("core").hwthread_cpus);
}

TEST(MapBy, Modifiers) {
  MapModifiers modifiers;
  const PlacePolicy policy = Map("socket:PE=3,Span,OVERSUBSCRIBE,nolocal,hwtcpus", &modifiers);
  EXPECT_EQ(policy.cpus_per_rank, 3u);
  EXPECT_TRUE(policy.span && policy.hwthread_cpus);
  EXPECT_TRUE(modifiers.oversubscribe && modifiers.nolocal && !modifiers.nooversubscribe);
  Map("slot:NOOVERSUBSCRIBE", &modifiers);
  EXPECT_TRUE(modifiers.nooversubscribe);
}

TEST(MapBy, ModifiersAloneMeanSocketWithoutItsDefaults) {
  const PlacePolicy policy = Map(":PE=2");
  EXPECT_EQ(policy.map_object, HwObject::kSocket);
  EXPECT_TRUE(policy.map_is_default);
  PlacePolicy twice = Map("core");
  MapModifiers modifiers;
  ASSERT_TRUE(TakeMapBy(":SPAN", &twice, &modifiers));
  EXPECT_EQ(twice.map_object, HwObject::kCore);
  EXPECT_FALSE(twice.map_is_default);
}

TEST(MapBy, PprHasCountsAndModifiers) {
  const PlacePolicy one = Map("ppr:2:socket");
  EXPECT_EQ(one.map, MapBy::kPpr);
  EXPECT_EQ(one.ppr, (std::vector<PprPart>{{2, false, HwObject::kSocket}}));
  EXPECT_EQ(Map("ppr:4:node").ppr[0].per_node, true);
  EXPECT_EQ(Map("ppr:4:skt").ppr[0].object, HwObject::kSocket);
  EXPECT_EQ(Map("ppr:4:thread").ppr[0].object, HwObject::kHwthread);
  const PlacePolicy two = Map("ppr:1:core,4:numa:PE=2,SPAN");
  EXPECT_EQ(two.ppr,
            (std::vector<PprPart>{{1, false, HwObject::kCore}, {4, false, HwObject::kNuma}}));
  EXPECT_EQ(two.cpus_per_rank, 2u);
  EXPECT_TRUE(two.span);
  EXPECT_EQ(MapName(two), "ppr:1:core,4:numa");
}

TEST(MapBy, ErrorsNameTheWordAndWhatToWrite) {
  EXPECT_EQ(
      MapError("sockets"),
      "'sockets' is not something to map by; write slot, node, seq, core, l1cache, l2cache, "
      "l3cache, socket, numa, board, hwthread, dist, package, rankfile or load, or ppr:N:OBJECT");
  EXPECT_NE(MapError(""), "taken");
  EXPECT_EQ(MapError("core:PE"),
            "'PE' has no number of processors for each rank; write PE=N with N from 1 to 32768");
  EXPECT_EQ(MapError("core:PE=0").substr(0, 6), "'PE=0'");
  EXPECT_EQ(MapError("core:PE=32769").substr(0, 10), "'PE=32769'");
  EXPECT_EQ(
      MapError("core:spam"),
      "'spam' is not a modifier; write PE=N, SPAN, OVERSUBSCRIBE, NOOVERSUBSCRIBE, NOLOCAL or "
      "HWTCPUS");
  EXPECT_EQ(MapError("ppr:2"),
            "'2' is not a number of ranks for each object; write N:OBJECT with OBJECT one of node, "
            "hwthread, thread, core, socket, skt, l1cache, l2cache, l3cache, numa or package");
  EXPECT_NE(MapError("ppr"), "taken");
  EXPECT_NE(MapError("ppr:0:core"), "taken");
  EXPECT_NE(MapError("ppr:1:core,x:numa"), "taken");
}

TEST(RankBy, ObjectsAndOrders) {
  PlacePolicy policy;
  ASSERT_TRUE(TakeRankBy("socket:span", &policy));
  EXPECT_EQ(policy.rank, RankBy::kObject);
  EXPECT_EQ(policy.rank_object, HwObject::kSocket);
  EXPECT_EQ(policy.rank_order, RankOrder::kSpan);
  ASSERT_TRUE(TakeRankBy("slot", &policy));
  EXPECT_EQ(policy.rank, RankBy::kSlot);
  EXPECT_EQ(policy.rank_order, RankOrder::kAcross);
  ASSERT_TRUE(TakeRankBy("board", &policy));
  EXPECT_EQ(policy.rank, RankBy::kNode);
  EXPECT_EQ(TakeRankBy("core:fast", &policy).error().text,
            "'fast' is not a modifier; write SPAN or FILL");
  EXPECT_EQ(TakeRankBy("seq", &policy).error().text.substr(0, 38),
            "'seq' is not something to rank by; wri");
}

TEST(BindTo, ObjectsAndQualifiers) {
  PlacePolicy policy;
  ASSERT_TRUE(TakeBindTo("Core:overload-allowed,if-supported", &policy));
  EXPECT_EQ(policy.bind, BindTo::kObject);
  EXPECT_EQ(policy.bind_object, HwObject::kCore);
  EXPECT_TRUE(policy.overload);
  policy = {};
  ASSERT_TRUE(TakeBindTo("board", &policy));
  EXPECT_EQ(policy.bind, BindTo::kNone);
  ASSERT_TRUE(TakeBindTo("cpu-list:ordered", &policy));
  EXPECT_TRUE(policy.bind == BindTo::kCpuList && policy.ordered);
  policy = {};
  ASSERT_TRUE(TakeBindTo(":overload-allowed", &policy));
  EXPECT_TRUE(policy.bind == BindTo::kUnset && policy.overload);
  ASSERT_TRUE(TakeBindTo("hwthread", &policy));
  EXPECT_TRUE(policy.hwthread_cpus);
  EXPECT_EQ(TakeBindTo("cor", &policy).error().text,
            "'cor' is not something to bind to; write none, numa, socket, l3cache, l2cache, "
            "l1cache, core or hwthread, package, board or cpu-list");
  EXPECT_EQ(TakeBindTo("core:fast", &policy).error().text,
            "'fast' is not a qualifier; write overload-allowed, if-supported or ordered");
  EXPECT_FALSE(TakeBindTo("", &policy));
}

TEST(CpuList, NumbersAndRanges) {
  PlacePolicy policy;
  ASSERT_TRUE(TakeCpuList("0,2-5", &policy));
  EXPECT_EQ(policy.cpu_list, "0,2-5");
  for (const char* bad : {"", "a", "1,", "1-2-3", "-1", "1234567"}) {
    EXPECT_FALSE(TakeCpuList(bad, &policy)) << bad;
  }
}

}  // namespace
}  // namespace rex
