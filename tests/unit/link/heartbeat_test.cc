#include "launcher/link/heartbeat.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace rex {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Beating {
  testing::FakeClock clock;
  Heartbeat heart;
  explicit Beating(seconds timeout = seconds(120)) : heart(clock, timeout) {}
  // Moves the clock to when the timer is due, `more` late, and fires it.
  Heartbeat::TimerNews Fire(microseconds more = microseconds(0)) {
    clock.Advance(heart.next() - clock.Now() + more);
    return heart.OnTimer();
  }
  // Fires the timer until `end` after now.
  Heartbeat::TimerNews Run(seconds end) {
    const auto until = clock.Now() + end;
    Heartbeat::TimerNews all;
    while (heart.next() <= until) {
      const auto news = Fire();
      all.ping = all.ping || news.ping;
      all.late = all.late || news.late;
      all.lost = all.lost || news.lost;
      if (news.lost) return all;
    }
    clock.Advance(until - clock.Now());
    return all;
  }
  // A ping that takes `there` and `back` between clocks that differ by `ahead` (the peer's more).
  Heartbeat::PongNews Ping(microseconds there, microseconds back, microseconds ahead) {
    const uint64_t ping = heart.OnPing();
    clock.Advance(there);
    const auto peer = static_cast<uint64_t>((clock.Now() + ahead).count());
    clock.Advance(back);
    return heart.OnPong(ping, peer);
  }
};

TEST(Heartbeat, PingsEveryFiveSeconds) {
  Beating b;
  for (int i = 0; i < 10; ++i) {
    const auto before = b.clock.Now();
    EXPECT_TRUE(b.Fire().ping);
    EXPECT_EQ(b.clock.Now() - before, seconds(5));
    EXPECT_FALSE(b.heart.OnHeard());
  }
}

TEST(Heartbeat, AShortTimeoutPingsMoreOften) {
  Beating b(seconds(2));
  const auto before = b.clock.Now();
  EXPECT_TRUE(b.Fire().ping);
  EXPECT_EQ(b.clock.Now() - before, milliseconds(500));
}

TEST(Heartbeat, LateAfterFifteenSecondsOnce) {
  Beating b;
  EXPECT_FALSE(b.Run(seconds(14)).late);
  EXPECT_TRUE(b.Run(seconds(1)).late);
  EXPECT_FALSE(b.Run(seconds(60)).late);
}

TEST(Heartbeat, AWordEndsLateness) {
  Beating b;
  EXPECT_FALSE(b.heart.OnHeard());
  EXPECT_TRUE(b.Run(seconds(20)).late);
  EXPECT_TRUE(b.heart.OnHeard());
  EXPECT_FALSE(b.heart.OnHeard());
  EXPECT_TRUE(b.Run(seconds(20)).late) << "late a second time is said again";
}

TEST(Heartbeat, LostAfterTheTimeoutNotBefore) {
  for (const int timeout : {1, 10, 16, 120}) {
    Beating b{seconds(timeout)};
    const auto start = b.clock.Now();
    EXPECT_TRUE(b.Run(seconds(300)).lost);
    EXPECT_EQ(b.clock.Now() - start, seconds(timeout));
  }
}

TEST(Heartbeat, AWordPutsTheLossOff) {
  Beating b;
  EXPECT_FALSE(b.Run(seconds(119)).lost);
  b.heart.OnHeard();
  EXPECT_FALSE(b.Run(seconds(119)).lost);
  EXPECT_TRUE(b.Run(seconds(1)).lost);
}

TEST(Heartbeat, AStoppedProcessBlamesNobody) {
  Beating b;
  b.Run(seconds(10));
  const auto news = b.Fire(seconds(300));
  EXPECT_FALSE(news.lost);
  EXPECT_FALSE(news.late);
  EXPECT_TRUE(news.ping);
  EXPECT_FALSE(b.Run(seconds(119)).lost);
  EXPECT_TRUE(b.Run(seconds(1)).lost);
}

TEST(Heartbeat, TwoSecondsOfOwnLatenessAreNotForgiven) {
  Beating b(seconds(8));
  b.Run(seconds(7));
  EXPECT_TRUE(b.Fire(seconds(2)).lost);
  Beating other(seconds(8));
  other.Run(seconds(7));
  EXPECT_FALSE(other.Fire(seconds(2) + microseconds(1)).lost);
}

TEST(Heartbeat, TheFastestOfFiveQuickPingsSetsTheClock) {
  Beating b;
  b.heart.StartQuickPings();
  const microseconds ahead{1'000'000'000};
  EXPECT_TRUE(b.Ping(milliseconds(9), milliseconds(1), ahead).ping);
  EXPECT_TRUE(b.Ping(milliseconds(1), milliseconds(5), ahead).ping);
  EXPECT_TRUE(b.Ping(microseconds(100), microseconds(100), ahead).ping);
  EXPECT_TRUE(b.Ping(milliseconds(1), milliseconds(1), ahead).ping);
  const auto last = b.Ping(milliseconds(3), milliseconds(1), ahead);
  EXPECT_FALSE(last.ping);
  EXPECT_TRUE(last.clock);
  ASSERT_TRUE(b.heart.offset().has_value());
  EXPECT_EQ(b.heart.offset()->offset, -ahead);
  EXPECT_EQ(b.heart.offset()->error, microseconds(100));
}

TEST(Heartbeat, TheErrorHoldsHoweverUnevenTheWayIs) {
  for (const int there : {0, 1, 50, 999, 1000}) {
    Beating b;
    b.heart.StartQuickPings();
    const microseconds ahead{-70'000};
    b.Ping(microseconds(there), microseconds(1000 - there), ahead);
    const microseconds wrong = b.heart.offset()->offset + ahead;
    EXPECT_LE(std::abs(wrong.count()), b.heart.offset()->error.count());
  }
}

TEST(Heartbeat, ASecondRoundIsNewsOnlyWhenFaster) {
  Beating b;
  b.heart.StartQuickPings();
  for (int i = 0; i < 5; ++i) b.Ping(milliseconds(1), milliseconds(1), milliseconds(7));
  b.heart.StartQuickPings();
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(b.Ping(milliseconds(2), milliseconds(2), milliseconds(9)).clock);
  }
  EXPECT_EQ(b.heart.offset()->offset, milliseconds(-7));
  b.heart.StartQuickPings();
  bool news = false;
  for (int i = 0; i < 5; ++i) {
    news = b.Ping(microseconds(2), microseconds(2), milliseconds(9)).clock;
  }
  EXPECT_TRUE(news);
  EXPECT_EQ(b.heart.offset()->offset, milliseconds(-9));
}

TEST(Heartbeat, PongsOfOtherPingsArePassedOver) {
  Beating b;
  b.heart.StartQuickPings();
  EXPECT_FALSE(b.heart.OnPong(5, 5).ping) << "nothing was asked";
  const uint64_t ping = b.heart.OnPing();
  EXPECT_FALSE(b.heart.OnPong(ping + 1, 5).ping);
  EXPECT_FALSE(b.heart.OnPong(ping, ~uint64_t{0}).ping) << "no clock goes that far";
  EXPECT_TRUE(b.heart.OnPong(ping, 5).ping);
  EXPECT_FALSE(b.heart.OnPong(ping, 5).ping) << "answered twice";
}

TEST(Heartbeat, ASlowPingAfterTheRoundChangesNothing) {
  Beating b;
  b.heart.StartQuickPings();
  for (int i = 0; i < 5; ++i) b.Ping(milliseconds(1), milliseconds(1), milliseconds(7));
  EXPECT_FALSE(b.Ping(microseconds(1), microseconds(1), milliseconds(8)).clock);
  EXPECT_EQ(b.heart.offset()->offset, milliseconds(-7));
}

}  // namespace
}  // namespace rex
