#include "sched/load/pressure_trigger.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/load/fake_proc.h"

namespace rex {
namespace {

// Urgent data on a socket is an exceptional condition, as a trigger's event is.
class FakePressure {
 public:
  FakePressure() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    mine_.Reset(fds[0]);
    theirs_.Reset(fds[1]);
  }
  UniqueFd Take() { return std::move(theirs_); }
  bool Rise() { return ::send(mine_.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL) == 1; }
  void Break() { mine_.Reset(); }

 private:
  UniqueFd mine_;
  UniqueFd theirs_;
};

class PressureTriggers : public ::testing::Test {
 protected:
  void Watch() {
    auto trigger = PressureTrigger::Watch(loop_, pressure_.Take(), Handlers());
    ASSERT_TRUE(trigger) << trigger.error().text;
    trigger_ = *std::move(trigger);
  }
  PressureTrigger::Handlers Handlers() {
    return {[this] { ++rises_; },
            [this] {
              ++losses_;
              trigger_.reset();
            }};
  }
  EventLoop loop_;
  FakePressure pressure_;
  std::unique_ptr<PressureTrigger> trigger_;
  int rises_ = 0;
  int losses_ = 0;
};

TEST_F(PressureTriggers, EachRiseIsToldOnce) {
  if (!pressure_.Rise()) GTEST_SKIP() << "no urgent data on Unix sockets in this kernel";
  Watch();
  loop_.RunOnce();
  EXPECT_EQ(rises_, 1);
  ASSERT_TRUE(pressure_.Rise());
  loop_.RunOnce();
  EXPECT_EQ(rises_, 2);
  bool over = false;
  loop_.Post([&over] { over = true; });
  while (!over) loop_.RunOnce();
  EXPECT_EQ(rises_, 2);
  EXPECT_EQ(losses_, 0);
}

TEST_F(PressureTriggers, ItsEndIsTold) {
  Watch();
  pressure_.Break();
  loop_.RunOnce();
  EXPECT_EQ(losses_, 1);
  EXPECT_EQ(rises_, 0);
}

TEST_F(PressureTriggers, FilesThatTakeNoneAreErrors) {
  EXPECT_FALSE(PressureTrigger::Open(loop_, "/proc/pressure/nothing", Handlers()));
  const testing::FakeProc files;
  files.Write("cpu", "some avg10=0.00\n");  // an ordinary file can't be watched
  EXPECT_FALSE(PressureTrigger::Open(loop_, files.root() + "/cpu", Handlers()));
}

}  // namespace
}  // namespace rex
