#include "launcher/ranks/stdin_feeder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace rex {
namespace {

class StdinFeederTest : public ::testing::Test {
 protected:
  StdinFeederTest()
      : feeder_(loop_, {[this](uint64_t bytes) { credit_ += bytes; }, [this] { ++done_; }}) {
    ::signal(SIGPIPE, SIG_IGN);
  }
  UniqueFd AddTarget() {
    auto pipe = MakePipe();
    EXPECT_TRUE(SetNonBlocking(pipe->second.get()).has_value());
    EXPECT_TRUE(SetNonBlocking(pipe->first.get()).has_value());
    feeder_.AddTarget(std::move(pipe->second));
    return std::move(pipe->first);
  }
  std::string ReadSome(const UniqueFd& fd) {
    std::string out(1 << 20, '\0');
    const ssize_t n = ::read(fd.get(), out.data(), out.size());
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
  }
  void Turn() {
    for (int i = 0; i < 3; ++i) {
      loop_.Post([] {});
      loop_.RunOnce();
    }
  }

  EventLoop loop_;
  uint64_t credit_ = 0;
  int done_ = 0;  // how often we heard that nobody takes bytes any more
  StdinFeeder feeder_;
};

TEST_F(StdinFeederTest, WithoutTargetsNothingIsAskedFor) {
  feeder_.Start();
  EXPECT_EQ(credit_, 0U);
}

TEST_F(StdinFeederTest, AnEndThatCameBeforeTheTargetsIsTheirs) {
  feeder_.OnEnd();
  const UniqueFd a = AddTarget();
  feeder_.Start();
  char byte = 0;
  EXPECT_EQ(::read(a.get(), &byte, 1), 0);
  EXPECT_EQ(credit_, 0U);
}

TEST_F(StdinFeederTest, EveryTargetGetsEveryByteAndThenTheEnd) {
  const UniqueFd a = AddTarget();
  const UniqueFd b = AddTarget();
  feeder_.Start();
  ASSERT_TRUE(feeder_.OnBytes("hello").has_value());
  feeder_.OnEnd();
  EXPECT_EQ(ReadSome(a), "hello");
  EXPECT_EQ(ReadSome(b), "hello");
  char c = 0;
  EXPECT_EQ(::read(a.get(), &c, 1), 0);
  EXPECT_EQ(::read(b.get(), &c, 1), 0);
}

TEST_F(StdinFeederTest, CreditFollowsTheSlowestTarget) {
  const UniqueFd fast = AddTarget();
  const UniqueFd slow = AddTarget();
  feeder_.Start();
  EXPECT_EQ(credit_, StdinFeeder::kWindowBytes);
  ASSERT_TRUE(feeder_.OnBytes(std::string(StdinFeeder::kWindowBytes, 'x')).has_value());
  const uint64_t before = credit_;
  for (int i = 0; i < 10; ++i) {
    ReadSome(fast);
    Turn();
  }
  EXPECT_EQ(credit_, before) << "the slow one has taken no more than its pipe holds";
  for (int i = 0; i < 10; ++i) {
    ReadSome(slow);
    Turn();
  }
  EXPECT_EQ(credit_, 2 * StdinFeeder::kWindowBytes);
}

TEST_F(StdinFeederTest, TargetThatClosesIsDropped) {
  UniqueFd gone = AddTarget();
  const UniqueFd stays = AddTarget();
  feeder_.Start();
  gone.Reset();
  ASSERT_TRUE(feeder_.OnBytes("abc").has_value());
  EXPECT_EQ(ReadSome(stays), "abc");
  EXPECT_EQ(credit_, StdinFeeder::kWindowBytes + 3);
}

TEST_F(StdinFeederTest, WhenTheLastTargetHasClosedTheSourceIsTold) {
  UniqueFd first = AddTarget();
  UniqueFd last = AddTarget();
  feeder_.Start();
  first.Reset();
  ASSERT_TRUE(feeder_.OnBytes("abc").has_value());
  EXPECT_EQ(done_, 0);
  last.Reset();
  ASSERT_TRUE(feeder_.OnBytes("def").has_value());
  EXPECT_EQ(done_, 1);
  ASSERT_TRUE(feeder_.OnBytes("ghi").has_value());
  EXPECT_EQ(done_, 1);
}

TEST_F(StdinFeederTest, AtTheEndThereIsNothingToTell) {
  const UniqueFd target = AddTarget();
  feeder_.Start();
  feeder_.OnEnd();
  EXPECT_EQ(done_, 0);
}

TEST_F(StdinFeederTest, MoreThanWasAskedForIsRefused) {
  const UniqueFd a = AddTarget();
  feeder_.Start();
  EXPECT_FALSE(feeder_.OnBytes(std::string(StdinFeeder::kWindowBytes + 1, 'x')).has_value());
}

}  // namespace
}  // namespace rex
