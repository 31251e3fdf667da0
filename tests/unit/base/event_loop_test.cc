#include "launcher/base/event_loop.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

namespace rex {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(EventLoop, PostedTasksRunInOrder) {
  EventLoop loop;
  std::string seen;
  loop.Post([&] { seen += 'a'; });
  loop.Post([&] { seen += 'b'; });
  loop.Post([&] {
    seen += 'c';
    loop.Stop();
  });
  EXPECT_EQ(seen, "") << "never from inside Post";
  loop.Run();
  EXPECT_EQ(seen, "abc");
}

TEST(EventLoop, ATaskMayPostAnother) {
  EventLoop loop;
  int turns = 0;
  std::function<void()> again = [&] {
    if (++turns == 5) return loop.Stop();
    loop.Post(again);
  };
  loop.Post(again);
  loop.Run();
  EXPECT_EQ(turns, 5);
}

TEST(EventLoop, PostWakesTheLoopFromAnotherThread) {
  EventLoop loop;
  std::thread::id ran_on;
  std::thread poster([&] {
    loop.Post([&] {
      ran_on = std::this_thread::get_id();
      loop.Stop();
    });
  });
  loop.Run();
  poster.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(EventLoop, PostsOfBothThreadsKeepTheirOrder) {
  EventLoop loop;
  std::string seen;
  loop.Post([&] {
    loop.Post([&] { seen += 'a'; });  // from the loop's thread, then from another, then again
    std::thread([&] { loop.Post([&] { seen += 'b'; }); }).join();
    loop.Post([&] {
      seen += 'c';
      loop.Stop();
    });
  });
  loop.Run();
  EXPECT_EQ(seen, "abc");
}

TEST(EventLoop, RunsOnABorrowedBase) {
  const std::unique_ptr<event_base, decltype(&event_base_free)> base(event_base_new(),
                                                                     &event_base_free);
  EventLoop loop(base.get());
  std::string seen;
  Timer timer(loop, [&] { event_base_loopbreak(base.get()); });
  loop.Post([&] {
    seen += 'a';
    loop.Post([&] {
      seen += 'b';
      timer.Set(microseconds(1));
    });
  });
  event_base_loop(base.get(), EVLOOP_NO_EXIT_ON_EMPTY);
  EXPECT_EQ(seen, "ab");
}

TEST(EventLoop, StopBeforeRunReturnsAtOnce) {
  EventLoop loop;
  loop.Stop();
  loop.Run();
}

TEST(Timer, FiresOnceNotBeforeItsDelay) {
  EventLoop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  Timer end(loop, [&] { loop.Stop(); });
  const auto begin = loop.clock().Now();
  timer.Set(microseconds(2000));
  end.Set(microseconds(10000));
  EXPECT_TRUE(timer.pending());
  loop.Run();
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.pending());
  EXPECT_GE(loop.clock().Now() - begin, microseconds(10000));
}

TEST(Timer, CancelledAndDestroyedTimersDoNotFire) {
  EventLoop loop;
  bool fired = false;
  Timer cancelled(loop, [&] { fired = true; });
  auto destroyed = std::make_unique<Timer>(loop, [&] { fired = true; });
  cancelled.Set(microseconds(0));
  destroyed->Set(microseconds(0));
  cancelled.Cancel();
  destroyed.reset();
  Timer end(loop, [&] { loop.Stop(); });
  end.Set(microseconds(1000));
  loop.Run();
  EXPECT_FALSE(fired);
}

TEST(Timer, SettingAnewReplacesTheDelay) {
  EventLoop loop;
  bool end_first = false;
  Timer timer(loop, [&] { loop.Stop(); });
  timer.Set(microseconds(0));
  timer.Set(microseconds(20000));
  Timer end(loop, [&] { end_first = true; });
  end.Set(microseconds(1000));
  loop.Run();
  EXPECT_TRUE(end_first);
}

TEST(Timer, MayDestroyItselfInItsCallback) {
  EventLoop loop;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    timer.reset();
    loop.Stop();
  });
  timer->Set(microseconds(0));
  loop.Run();
  EXPECT_EQ(timer, nullptr);
}

TEST(ReadWatcher, FiresWhileEnabledAndMayDestroyItself) {
  EventLoop loop;
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  int fired = 0;
  std::unique_ptr<ReadWatcher> watcher;
  watcher = std::make_unique<ReadWatcher>(loop, pipe->first.get(), [&] {
    if (++fired == 3) {
      watcher.reset();
      loop.Stop();
    }
  });
  ASSERT_TRUE(WriteAll(pipe->second.get(), "x").has_value());
  loop.Run();
  EXPECT_EQ(fired, 3) << "level-triggered";
}

TEST(ReadWatcher, DisabledDoesNotFire) {
  EventLoop loop;
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  bool fired = false;
  ReadWatcher watcher(loop, pipe->first.get(), [&] { fired = true; });
  watcher.Enable(false);
  watcher.Enable(false);
  pipe->second.Reset();
  Timer end(loop, [&] { loop.Stop(); });
  end.Set(microseconds(1000));
  loop.Run();
  EXPECT_FALSE(fired);
}

TEST(WriteWatcher, StartsDisabled) {
  EventLoop loop;
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  int fired = 0;
  WriteWatcher watcher(loop, pipe->second.get(), [&] {
    ++fired;
    loop.Stop();
  });
  Timer first(loop, [&] {
    EXPECT_EQ(fired, 0);
    watcher.Enable(true);
  });
  first.Set(microseconds(1000));
  loop.Run();
  EXPECT_GE(fired, 1);
}

TEST(SignalWatcher, RunsOnTheLoop) {
  EventLoop loop;
  SignalWatcher watcher(loop, SIGUSR2, [&] { loop.Stop(); });
  bool late = false;
  Timer bound(loop, [&] {
    late = true;
    loop.Stop();
  });
  bound.Set(seconds(20));
  loop.Post([] { ::kill(::getpid(), SIGUSR2); });
  loop.Run();
  EXPECT_FALSE(late);
}

}  // namespace
}  // namespace rex
