#include "launcher/exchange/exchange_messages.h"

#include <gtest/gtest.h>

#include "tests/unit/exchange/samples.h"

namespace rex {
namespace {

using pmix::kRankWildcard;

TEST(ExchangeMessages, CollectivesArriveAsTheyWere) {
  for (const CollectiveHeader& header : SampleCollectives()) {
    const std::string bulk = header.status == 0 ? std::string("\0bulk\xff", 6) : "";
    const auto out = DecodeCollective(EncodeCollective(header, bulk.size()) + bulk);
    ASSERT_TRUE(out) << out.error().text;
    EXPECT_EQ(out->header.kind, header.kind);
    EXPECT_EQ(out->header.participants, header.participants);
    EXPECT_EQ(out->header.sequence, header.sequence);
    EXPECT_EQ(out->header.nodes, header.nodes);
    EXPECT_EQ(out->header.status, header.status);
    EXPECT_EQ(out->bulk.view(), bulk);
  }
}

TEST(ExchangeMessages, ModexesArriveAsTheyWere) {
  const auto ask = DecodeModex(EncodeModex({7, {"job", 5}, 0}, ""), true);
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->header.id, 7u);
  EXPECT_EQ(ask->header.proc, (pmix::ProcId{"job", 5}));
  const auto answer = DecodeModex(EncodeModex({7, {}, -46}, "data"), false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.status, -46);
  EXPECT_EQ(answer->bulk.view(), "data");
  EXPECT_FALSE(DecodeModex(EncodeModex({7, {"job", 5}, 0}, ""), false));
  EXPECT_FALSE(DecodeModex(EncodeModex({7, {}, 0}, ""), true));
  EXPECT_FALSE(DecodeModex(EncodeModex({7, {"job", 5}, 0}, "x"), true));
  EXPECT_FALSE(DecodeModex(EncodeModex({7, {"job", kRankWildcard}, 0}, ""), true));
}

TEST(ExchangeMessages, HostStatesArriveAsTheyWere) {
  const auto state = DecodeHostState(EncodeHostState({NodeId{65535}, true}));
  ASSERT_TRUE(state);
  EXPECT_EQ(state->node, NodeId{65535});
  EXPECT_TRUE(state->lost);
  EXPECT_FALSE(DecodeHostState(EncodeHostState({NodeId{kMaxNodes}, true})));
  EXPECT_FALSE(DecodeHostState("\xff"));
}

TEST(ExchangeMessages, GoldenBytes) {
  const CollectiveHeader header{
      CollectiveKind::kConnect, {{"j", 2, 3}}, 1, {NodeId{1}, NodeId{3}}, 0};
  EXPECT_EQ(EncodeCollective(header, 0),
            std::string("\x16\0\0\0\x08\x01\x12\x07\x0a\x01j\x10\x02\x18\x03"
                        "\x22\x01\x01\x2a\x01\x02\x32\x01\x02\x18\x01",
                        26));
}

TEST(ExchangeMessages, EveryTruncationIsRefusedOrWellFormed) {
  for (const CollectiveHeader& header : SampleCollectives()) {
    const std::string bytes = EncodeCollective(header, 0);
    for (size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_FALSE(DecodeCollective(bytes.substr(0, n))) << n;
    }
  }
  const std::string ask = EncodeModex({7, {"job", 5}, 0}, "");
  for (size_t n = 0; n < ask.size(); ++n) EXPECT_FALSE(DecodeModex(ask.substr(0, n), true));
}

TEST(ExchangeMessages, EverySingleByteChangeIsRefusedOrWellFormed) {
  for (const CollectiveHeader& header : SampleCollectives()) {
    const std::string bytes = EncodeCollective(header, 0) + (header.status == 0 ? "bulk" : "");
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ change);
        const auto out = DecodeCollective(changed);
        if (!out) {
          EXPECT_EQ(out.error().code, Errc::kProtocol);
          continue;
        }
        EXPECT_TRUE(DecodeCollective(EncodeCollective(out->header, 0)));
      }
    }
  }
}

TEST(ExchangeMessages, BoundsOfParticipants) {
  const auto accepted = [](std::vector<ProcRun> runs) {
    return DecodeCollective(
               EncodeCollective({CollectiveKind::kFence, std::move(runs), 0, {NodeId{0}}, 0}, 0))
        .has_value();
  };
  EXPECT_TRUE(accepted({{"j", 0, 1 << 20}}));
  EXPECT_FALSE(accepted({{"j", 1, 1 << 20}}));
  EXPECT_FALSE(accepted({}));
  EXPECT_FALSE(accepted({{"j", 0, 0}}));
  EXPECT_FALSE(accepted({{"", 0, 1}}));
  EXPECT_FALSE(accepted({{std::string(256, 'n'), 0, 1}}));
  EXPECT_TRUE(accepted({{std::string(255, 'n'), 0, 1}}));
  EXPECT_FALSE(accepted({{std::string("a\0b", 3), 0, 1}}));
  EXPECT_TRUE(accepted({{"j", kRankWildcard, 1}}));
  EXPECT_FALSE(accepted({{"j", kRankWildcard, 2}}));
  EXPECT_FALSE(accepted({{"j", kRankWildcard, 1}, {"j", kRankWildcard, 1}}));
  EXPECT_TRUE(accepted({{"j", 0, 1}, {"j", 2, 1}, {"j", kRankWildcard, 1}, {"k", 0, 1}}));
  EXPECT_FALSE(accepted({{"j", 0, 1}, {"j", 1, 1}})) << "neighbours are one run";
  EXPECT_FALSE(accepted({{"j", 2, 1}, {"j", 0, 1}}));
  EXPECT_FALSE(accepted({{"k", 0, 1}, {"j", 0, 1}}));
}

TEST(ExchangeMessages, BoundsOfNodes) {
  const auto accepted = [](std::vector<NodeId> nodes) {
    return DecodeCollective(
               EncodeCollective({CollectiveKind::kFence, {{"j", 0, 1}}, 0, std::move(nodes), 0}, 0))
        .has_value();
  };
  EXPECT_TRUE(accepted({NodeId{65535}}));
  EXPECT_FALSE(accepted({NodeId{kMaxNodes}}));
  EXPECT_FALSE(accepted({}));
  EXPECT_FALSE(accepted({NodeId{3}, NodeId{3}}));
}

TEST(ExchangeMessages, AFailureHasNoBulkAndStatusesAreNeverPositive) {
  CollectiveHeader header = SampleCollectives().front();
  header.status = -24;
  EXPECT_FALSE(DecodeCollective(EncodeCollective(header, 1) + "x"));
  header.status = 1;
  EXPECT_FALSE(DecodeCollective(EncodeCollective(header, 0)));
}

TEST(ExchangeMessages, RunsAreTheSameForEqualSets) {
  EXPECT_EQ(RunsOfProcs({{"b", 1}, {"a", 2}, {"a", 0}, {"a", 1}, {"a", 2}, {"a", kRankWildcard}}),
            (std::vector<ProcRun>{{"a", 0, 3}, {"a", kRankWildcard, 1}, {"b", 1, 1}}));
  EXPECT_EQ(RunsOfProcs({{"a", kRankWildcard}, {"a", kRankWildcard}}),
            (std::vector<ProcRun>{{"a", kRankWildcard, 1}}));
  EXPECT_EQ(RunsOfProcs({{"a", kRankWildcard - 1}, {"a", kRankWildcard}}),
            (std::vector<ProcRun>{{"a", kRankWildcard - 1, 1}, {"a", kRankWildcard, 1}}));
}

}  // namespace
}  // namespace rex
