#include "launcher/base/fd_passing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

namespace rex {
namespace {

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

bool SameFile(int a, int b) {
  struct stat one {};
  struct stat other {};
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
         one.st_dev == other.st_dev;
}

class FdPassing : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pair = MakeStreamPair();
    auto pipe = MakePipe();
    ASSERT_TRUE(pair && pipe);
    ours_ = std::move(pair->first);
    theirs_ = std::move(pair->second);
    pipe_ = std::move(pipe->first);
  }
  ssize_t SendWith(const std::string& text, int fd) {
    std::string bytes = text;
    return SendBytesAndFds(ours_.get(), {bytes.data(), bytes.size()}, {&fd, 1});
  }
  void SendWithTwo(const std::string& text) {
    std::string bytes = text;
    const std::array<int, 2> fds = {pipe_.get(), pipe_.get()};
    ASSERT_EQ(SendBytesAndFds(ours_.get(), {bytes.data(), bytes.size()}, fds),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string Receive(UniqueFd* fd) {
    std::array<char, 100> bytes{};
    const ssize_t n = ReceiveBytesAndFd(theirs_.get(), {bytes.data(), bytes.size()}, fd);
    return {bytes.data(), n > 0 ? static_cast<size_t>(n) : 0};
  }
  UniqueFd ours_;
  UniqueFd theirs_;
  UniqueFd pipe_;
};

TEST_F(FdPassing, OneComesWithItsBytesAndStaysTheSendersToo) {
  EXPECT_EQ(SendWith("hello", pipe_.get()), 5);
  UniqueFd got;
  EXPECT_EQ(Receive(&got), "hello");
  ASSERT_TRUE(got);
  EXPECT_NE(got.get(), pipe_.get());
  EXPECT_TRUE(SameFile(got.get(), pipe_.get()));
  EXPECT_NE(::fcntl(got.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(FdPassing, BytesAloneBringNone) {
  ASSERT_TRUE(WriteAll(ours_.get(), "hello"));
  UniqueFd got;
  EXPECT_EQ(Receive(&got), "hello");
  EXPECT_FALSE(got);
}

TEST_F(FdPassing, OneSendsDescriptorIsNeverReadWithTheNextOnes) {
  auto other = MakePipe();
  ASSERT_TRUE(other);
  ASSERT_TRUE(WriteAll(ours_.get(), "plain "));
  EXPECT_EQ(SendWith("one ", pipe_.get()), 4);
  EXPECT_EQ(SendWith("two ", other->first.get()), 4);
  ASSERT_TRUE(WriteAll(ours_.get(), "more"));
  UniqueFd first;
  UniqueFd second;
  const std::string with_first = Receive(&first);
  ASSERT_TRUE(first) << with_first;
  EXPECT_TRUE(SameFile(first.get(), pipe_.get()));
  EXPECT_EQ(with_first, "plain one ");
  const std::string with_second = Receive(&second);
  ASSERT_TRUE(second) << with_second;
  EXPECT_TRUE(SameFile(second.get(), other->first.get()));
}

TEST_F(FdPassing, WhatIsSentBesideTheOneIsClosed) {
  const size_t before = OpenDescriptors();
  SendWithTwo("hello");
  {
    UniqueFd got;
    EXPECT_EQ(Receive(&got), "hello");
    EXPECT_LE(OpenDescriptors(), before + 1);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(FdPassing, APeerThatHasGoneIsAnErrorAndNoSignal) {
  theirs_.Reset();
  EXPECT_EQ(SendWith("hello", pipe_.get()), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(FdPassing, AtTheEndThereIsNothing) {
  ours_.Reset();
  UniqueFd got;
  EXPECT_EQ(Receive(&got), "");
  EXPECT_FALSE(got);
}

}  // namespace
}  // namespace rex
