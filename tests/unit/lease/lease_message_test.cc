// Leases on their way from agent to keeper.
#include "launcher/lease/lease_message.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rex {
namespace {

TEST(LeaseMessage, AHostIsAskedForWithItsSocketOnce) {
  const auto pair = MakeSeqpacketPair();
  const auto host = MakeStreamPair();
  ASSERT_TRUE(pair && host);
  KeptLeases kept;
  EXPECT_FALSE(kept.TakeHost());
  ASSERT_TRUE(SendHostSocket(pair->first.get(), 7, host->first.get()));
  EXPECT_TRUE(kept.Receive(pair->second.get()));
  const auto wanted = kept.TakeHost();
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->generation, 7U);
  EXPECT_TRUE(WriteAll(wanted->socket.get(), "x"));
  EXPECT_FALSE(kept.TakeHost());
  EXPECT_EQ(kept.count(), 0U);
}

class LeaseMessageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pair = MakeSeqpacketPair();
    ASSERT_TRUE(pair);
    agent_ = std::move(pair->first);
    keeper_ = std::move(pair->second);
  }
  std::vector<int> Some(size_t count) {
    std::vector<int> fds;
    for (size_t i = 0; i < count; ++i) {
      mine_.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      fds.push_back(mine_.back().get());
    }
    return fds;
  }
  std::vector<UniqueFd> mine_;
  UniqueFd agent_;
  UniqueFd keeper_;
  KeptLeases kept_;
};

TEST_F(LeaseMessageTest, JobsAreKeptApart) {
  ASSERT_TRUE(SendLeases(agent_.get(), 1, Some(3)));
  ASSERT_TRUE(SendLeases(agent_.get(), 2, Some(2)));
  EXPECT_TRUE(kept_.Receive(keeper_.get()));
  EXPECT_TRUE(kept_.Receive(keeper_.get()));
  EXPECT_EQ(kept_.count(), 5u);
  ASSERT_TRUE(SendLeasesEnd(agent_.get(), 1));
  EXPECT_TRUE(kept_.Receive(keeper_.get()));
  EXPECT_EQ(kept_.count(), 2u);
  ASSERT_TRUE(SendLeasesEnd(agent_.get(), 7));
  EXPECT_TRUE(kept_.Receive(keeper_.get())) << "a job without leases";
}

TEST_F(LeaseMessageTest, MoreThanOneMessageHoldsGoInSeveral) {
  ASSERT_TRUE(SendLeases(agent_.get(), 1, Some(300)));
  while (kept_.count() < 300 && kept_.Receive(keeper_.get())) {
  }
  EXPECT_EQ(kept_.count(), 300u);
}

TEST_F(LeaseMessageTest, NoMessageIsNoEndAndAnEndIsOne) {
  EXPECT_TRUE(kept_.Receive(keeper_.get())) << "nothing there";
  agent_.Reset();
  EXPECT_FALSE(kept_.Receive(keeper_.get()));
}

TEST_F(LeaseMessageTest, WhatIsMalformedIsDropped) {
  ASSERT_EQ(::send(agent_.get(), "x", 1, 0), 1);
  EXPECT_TRUE(kept_.Receive(keeper_.get()));
  const std::array<uint32_t, 2> unknown = {9, 1};
  ASSERT_EQ(::send(agent_.get(), unknown.data(), sizeof unknown, 0), 8);
  EXPECT_TRUE(kept_.Receive(keeper_.get()));
  EXPECT_EQ(kept_.count(), 0u);
}

TEST_F(LeaseMessageTest, AKeeperThatDoesNotReadIsNotWaitedFor) {
  const std::vector<int> fds = Some(1);
  bool sent = true;
  for (int i = 0; i < 100000 && sent; ++i) sent = SendLeases(agent_.get(), 1, fds);
  EXPECT_FALSE(sent);
}

}  // namespace
}  // namespace rex
