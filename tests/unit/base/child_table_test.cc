#include "launcher/base/child_table.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>

namespace rex {
namespace {

using std::chrono::seconds;

// A child that ends with `code` when `gate` (borrowed) is at its end.
pid_t ForkWaiting(const FdPair& gate, int code) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(gate.second.get());
    char byte = 0;
    [[maybe_unused]] const ssize_t n = ::read(gate.first.get(), &byte, 1);
    ::_exit(code);
  }
  return pid;
}

// Waits until `pid` is a zombie without reaping it.
void AwaitZombie(pid_t pid) {
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
}

class ChildTableTest : public ::testing::Test {
 protected:
  void RunUntilStopped() {
    Timer bound(loop_, [this] {
      timed_out_ = true;
      loop_.Stop();
    });
    bound.Set(seconds(20));
    loop_.Run();
    ASSERT_FALSE(timed_out_);
  }

  EventLoop loop_;
  ChildTable table_{loop_};
  bool timed_out_ = false;
};

TEST_F(ChildTableTest, ReportsTheExitCode) {
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  const pid_t pid = ForkWaiting(*gate, 42);
  std::optional<ExitStatus> end;
  table_.Adopt(pid, [&](const ExitStatus& status) {
    end = status;
    loop_.Stop();
  });
  EXPECT_TRUE(table_.Contains(pid));
  gate->second.Reset();
  RunUntilStopped();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->code, 42);
  EXPECT_EQ(end->signal, 0);
  EXPECT_EQ(end->ShellCode(), 42);
  EXPECT_FALSE(end->ok());
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(ChildTableTest, KillSignalsAChildAndReportsTheSignal) {
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  const pid_t pid = ForkWaiting(*gate, 0);
  std::optional<ExitStatus> end;
  table_.Adopt(pid, [&](const ExitStatus& status) {
    end = status;
    loop_.Stop();
  });
  EXPECT_TRUE(table_.Kill(pid, SIGKILL));
  RunUntilStopped();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->signal, SIGKILL);
  EXPECT_EQ(end->ShellCode(), 128 + SIGKILL);
  EXPECT_FALSE(table_.Kill(pid, SIGKILL)) << "a reaped child must not be signalled";
}

TEST_F(ChildTableTest, AnEndBeforeAdoptionIsReportedWhenBirthsAreExpected) {
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  table_.ExpectBirths(true);
  const pid_t pid = ForkWaiting(*gate, 7);
  gate->second.Reset();
  AwaitZombie(pid);
  table_.Reap();
  std::optional<ExitStatus> end;
  table_.Adopt(pid, [&](const ExitStatus& status) {
    end = status;
    loop_.Stop();
  });
  EXPECT_FALSE(end.has_value()) << "only through the loop";
  RunUntilStopped();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->code, 7);
  table_.ExpectBirths(false);
}

class GivenAway : public ChildTableTest, public ::testing::WithParamInterface<bool> {};

// To one that adopts it, running or reaped already.
TEST_P(GivenAway, HasOneOwnerAtATime) {
  const bool reaped = GetParam();
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  table_.ExpectBirths(true);
  const pid_t pid = ForkWaiting(*gate, 7);
  std::optional<ExitStatus> first;
  table_.Adopt(pid, [&](const ExitStatus& status) { first = status; });
  if (reaped) {
    gate->second.Reset();
    AwaitZombie(pid);
    table_.Reap();
    ASSERT_TRUE(first.has_value());
  }
  table_.GiveAway(pid, first);
  EXPECT_FALSE(table_.Contains(pid));
  std::optional<ExitStatus> second;
  table_.Adopt(pid, [&](const ExitStatus& status) {
    second = status;
    loop_.Stop();
  });
  gate->second.Reset();
  RunUntilStopped();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->code, 7);
  EXPECT_EQ(first.has_value(), reaped);
  table_.ExpectBirths(false);
}

INSTANTIATE_TEST_SUITE_P(Both, GivenAway, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Reaped" : "Running"; });

TEST_F(ChildTableTest, UnknownChildrenAreReapedSilently) {
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  const pid_t pid = ForkWaiting(*gate, 0);
  gate->second.Reset();
  AwaitZombie(pid);
  table_.Reap();
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(ChildTableTest, KillGroupReachesTheWholeGroup) {
  auto gate = MakePipe();
  ASSERT_TRUE(gate.has_value());
  const pid_t pid = ForkWaiting(*gate, 0);
  ::setpgid(pid, pid);
  int ended = 0;
  table_.Adopt(pid, [&](const ExitStatus& status) {
    ended = status.signal;
    loop_.Stop();
  });
  EXPECT_TRUE(table_.KillGroup(pid, SIGTERM));
  RunUntilStopped();
  EXPECT_EQ(ended, SIGTERM);
}

}  // namespace
}  // namespace rex
