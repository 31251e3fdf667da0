#include "launcher/job/output_relay.h"

#include <gtest/gtest.h>

#include <map>

#include "launcher/wire/messages.h"

namespace rex {
namespace {

constexpr NodeId kA{1}, kB{2};

class OutputRelayTest : public ::testing::Test {
 protected:
  static std::string Line(Rank rank, size_t bytes) {
    return EncodeOutput({rank, OutputStream::kStdout, false}, std::string(bytes, 'x'));
  }
  std::vector<Rank> PassedRanks() const {
    std::vector<Rank> ranks;
    for (const std::string& payload : passed_) {
      std::string_view bytes;
      ranks.push_back(DecodeOutput(payload, &bytes)->rank);
    }
    return ranks;
  }

  std::vector<std::string> passed_;
  std::map<NodeId, uint64_t> credit_;  // ever given
  OutputRelay relay_{{[this](std::string payload) { passed_.push_back(std::move(payload)); },
                      [this](NodeId part, uint64_t bytes) { credit_[part] += bytes; }}};
};

TEST_F(OutputRelayTest, EveryPartGetsAWindow) {
  relay_.Start({kA, kB});
  EXPECT_EQ(credit_, (std::map<NodeId, uint64_t>{{kA, 256 << 10}, {kB, 256 << 10}}));
}

TEST_F(OutputRelayTest, ManyPartsGetSmallerWindows) {
  EXPECT_EQ(OutputRelay::WindowFor(64), 256U << 10);
  EXPECT_EQ(OutputRelay::WindowFor(65), 64U << 10);
}

TEST_F(OutputRelayTest, WithoutCreditOutputWaitsInOrder) {
  relay_.OnOutput(kA, Line(1, 10));
  relay_.OnOutput(kB, Line(2, 10));
  EXPECT_TRUE(passed_.empty());
  EXPECT_TRUE(credit_.empty());
  relay_.AddCredit(100);
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{1, 2}));
  EXPECT_EQ(credit_, (std::map<NodeId, uint64_t>{{kA, 10}, {kB, 10}}));
}

TEST_F(OutputRelayTest, CreditMayBeOverdrawnByOneMessageOnly) {
  relay_.AddCredit(5);
  for (Rank rank = 0; rank < 3; ++rank) relay_.OnOutput(kA, Line(rank, 10));
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{0}));
  relay_.AddCredit(5);  // the debt is paid, no more
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{0}));
  relay_.AddCredit(1);
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{0, 1}));
}

TEST_F(OutputRelayTest, WhatComesLaterDoesNotOvertakeWhatWaits) {
  relay_.AddCredit(1);
  relay_.OnOutput(kA, Line(0, 2));
  relay_.OnOutput(kA, Line(1, 2));
  relay_.AddCredit(2);
  relay_.OnOutput(kA, Line(2, 2));
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{0, 1}));
}

TEST_F(OutputRelayTest, AnEmptyMessageGivesNoCreditBack) {
  relay_.AddCredit(10);
  relay_.OnOutput(kA, EncodeOutput({0, OutputStream::kStdout, true}, ""));
  EXPECT_EQ(passed_.size(), 1U);
  EXPECT_TRUE(credit_.empty());
}

TEST_F(OutputRelayTest, AtTheEndEverythingGoes) {
  for (Rank rank = 0; rank < 3; ++rank) relay_.OnOutput(kA, Line(rank, 10));
  relay_.Flush();
  EXPECT_EQ(PassedRanks(), (std::vector<Rank>{0, 1, 2}));
}

TEST_F(OutputRelayTest, DiscardedOutputGoesNowhere) {
  relay_.OnOutput(kA, Line(0, 10));
  relay_.Discard();
  relay_.OnOutput(kA, Line(1, 10));
  relay_.AddCredit(100);
  relay_.Flush();
  EXPECT_TRUE(passed_.empty());
}

}  // namespace
}  // namespace rex
