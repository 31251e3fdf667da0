#include "launcher/ranks/output_collector.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace rex {
namespace {

class OutputCollectorTest : public ::testing::Test {
 protected:
  OutputCollectorTest()
      : collector_(loop_, {[this](std::string payload) {
                             std::string_view bytes;
                             const auto header = DecodeOutput(payload, &bytes);
                             ASSERT_TRUE(header.has_value());
                             if (!bytes.empty()) sent_.push_back(std::string(bytes));
                             text_[header->rank] += bytes;
                             if (header->end) ++ends_;
                           },
                           [this] { all_ended_ = true; }}) {}

  UniqueFd Add(Rank rank, bool prompts = false) {
    auto pipe = MakePipe();
    EXPECT_TRUE(SetNonBlocking(pipe->first.get()).has_value());
    collector_.Add(rank, OutputStream::kStdout, std::move(pipe->first), prompts);
    return std::move(pipe->second);
  }
  // One turn of the loop that is sure to come: a posted task wakes it.
  void Turn() {
    for (int i = 0; i < 3; ++i) {
      loop_.Post([] {});
      loop_.RunOnce();
    }
  }

  EventLoop loop_;
  std::vector<std::string> sent_;
  std::map<Rank, std::string> text_;
  int ends_ = 0;
  bool all_ended_ = false;
  OutputCollector collector_;
};

TEST_F(OutputCollectorTest, SendsWholeLinesAndKeepsTheRest) {
  collector_.AddCredit(1 << 20);
  const UniqueFd rank = Add(0);
  ASSERT_TRUE(WriteAll(rank.get(), "one\ntwo\nthr").has_value());
  Turn();
  EXPECT_EQ(text_[0], "one\ntwo\n");
  ASSERT_TRUE(WriteAll(rank.get(), "ee\n").has_value());
  Turn();
  EXPECT_EQ(sent_.back(), "three\n");
}

// PMIx_Log's text costs credit like any other, and a long one comes in pieces.
TEST_F(OutputCollectorTest, TextOfAnotherWayTakesItsCredit) {
  collector_.AddCredit(100'000);
  const std::string text(100'000, 'x');
  collector_.Pass(3, OutputStream::kStderr, text);
  EXPECT_EQ(text_[3], text);
  EXPECT_EQ(sent_.size(), 2U);
  EXPECT_TRUE(collector_.starved());
}

TEST_F(OutputCollectorTest, TextOfAnotherWayIsDiscardedLikeTheRest) {
  collector_.Discard();
  collector_.Pass(3, OutputStream::kStderr, "text");
  EXPECT_TRUE(sent_.empty());
}

TEST_F(OutputCollectorTest, UnfinishedLineComesWithTheEndOfTheStream) {
  collector_.AddCredit(1 << 20);
  UniqueFd rank = Add(0);
  ASSERT_TRUE(WriteAll(rank.get(), "no newline").has_value());
  rank.Reset();
  Turn();
  EXPECT_EQ(text_[0], "no newline");
  EXPECT_EQ(ends_, 1);
  EXPECT_TRUE(all_ended_);
}

TEST_F(OutputCollectorTest, OneRankAloneIsNotHeldBack) {
  collector_.SetUnbuffered(true);
  collector_.AddCredit(1 << 20);
  const UniqueFd rank = Add(0);
  ASSERT_TRUE(WriteAll(rank.get(), "prompt> ").has_value());
  Turn();
  EXPECT_EQ(text_[0], "prompt> ");
}

TEST_F(OutputCollectorTest, WithoutCreditNothingIsReadAndNothingIsLost) {
  const UniqueFd rank = Add(0);
  ASSERT_TRUE(WriteAll(rank.get(), "line\n").has_value());
  Turn();
  EXPECT_EQ(text_[0], "");
  collector_.AddCredit(5);
  Turn();
  EXPECT_EQ(text_[0], "line\n");
  ASSERT_TRUE(WriteAll(rank.get(), "again\n").has_value());
  Turn();
  EXPECT_EQ(text_[0], "line\n") << "the credit was used up";
  collector_.AddCredit(100);
  Turn();
  EXPECT_EQ(text_[0], "line\nagain\n");
}

TEST_F(OutputCollectorTest, LineLongerThanAMessageIsCutNotLost) {
  collector_.AddCredit(10 << 20);
  UniqueFd rank = Add(0);
  const std::string line(200000, 'x');
  size_t written = 0;
  ASSERT_TRUE(SetNonBlocking(rank.get()).has_value());
  while (written < line.size()) {
    const ssize_t n = ::write(rank.get(), line.data() + written, line.size() - written);
    if (n > 0) written += static_cast<size_t>(n);
    Turn();
  }
  rank.Reset();
  Turn();
  EXPECT_EQ(text_[0], line);
  for (const auto& message : sent_) EXPECT_LE(message.size(), kMaxStdioPayloadBytes);
}

TEST_F(OutputCollectorTest, AfterDiscardRanksCanStillWriteAndEnd) {
  UniqueFd rank = Add(0);
  ASSERT_TRUE(WriteAll(rank.get(), "unheard\n").has_value());
  Turn();
  collector_.Discard();
  Turn();
  rank.Reset();
  Turn();
  EXPECT_EQ(text_[0], "");
  EXPECT_TRUE(all_ended_);
}

TEST_F(OutputCollectorTest, WhatHasEndedIsClosedWhenThereIsTime) {
  collector_.AddCredit(1 << 20);
  collector_.DelayCloses(true);
  const UniqueFd lasting = Add(0);
  const auto fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  UniqueFd ending = Add(1);
  Turn();
  const auto before = fds();
  ending.Reset();
  Turn();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(collector_.open_streams(), 1U);
  EXPECT_EQ(fds(), before - 1);  // the writer's
  collector_.DelayCloses(false);
  EXPECT_EQ(fds(), before - 2);
}

TEST_F(OutputCollectorTest, CloseAllEndsEveryOpenStreamOnce) {
  collector_.AddCredit(100);
  const UniqueFd a = Add(0);
  const UniqueFd b = Add(1);
  ASSERT_TRUE(WriteAll(a.get(), "part").has_value());
  Turn();
  collector_.CloseAll();
  EXPECT_EQ(text_[0], "part");
  EXPECT_EQ(ends_, 2);
  EXPECT_EQ(collector_.open_streams(), 0U);
}

}  // namespace
}  // namespace rex
