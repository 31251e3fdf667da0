#include "launcher/link/credit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "launcher/link/record.h"

namespace rex {
namespace {

using std::chrono::milliseconds;

constexpr Clock::Time kStart{1'000'000};

// Sends frames of the largest size until no more is allowed, and has all of them acknowledged
// after `delay`.
void Round(SendCredit& credit, Clock::Time* now, uint64_t* total, milliseconds delay) {
  while (credit.Allows(credit.MostFrameBytes())) {
    *total += credit.MostFrameBytes();
    credit.Sent(credit.MostFrameBytes(), *now);
  }
  *now += delay;
  ASSERT_TRUE(credit.Acknowledged(*total, *now).has_value());
}

TEST(SendCredit, AllowsAWindowAndNotOneByteMore) {
  SendCredit credit;
  const size_t window = credit.window();
  EXPECT_TRUE(credit.Allows(window));
  EXPECT_FALSE(credit.Allows(window + 1));
  credit.Sent(window - 10, kStart);
  EXPECT_TRUE(credit.Allows(10));
  EXPECT_FALSE(credit.Allows(11));
  ASSERT_TRUE(credit.Acknowledged(1, kStart).has_value());
  EXPECT_TRUE(credit.Allows(11));
}

TEST(SendCredit, GrowsToAWholeWindowWhereAnswersAreQuick) {
  SendCredit credit;
  Clock::Time now = kStart;
  uint64_t total = 0;
  for (int i = 0; i < 4; ++i) Round(credit, &now, &total, milliseconds(i % 2));
  EXPECT_EQ(credit.window(), kLinkWindowBytes);
}

// Far away is not the same as queued.
TEST(SendCredit, GrowsOnALongWayToo) {
  SendCredit credit;
  Clock::Time now = kStart;
  uint64_t total = 0;
  for (int i = 0; i < 4; ++i) Round(credit, &now, &total, milliseconds(300 + i % 2));
  EXPECT_EQ(credit.window(), kLinkWindowBytes);
}

TEST(SendCredit, ShrinksWhereAQueueStandsAndComesBack) {
  SendCredit credit;
  Clock::Time now = kStart;
  uint64_t total = 0;
  Round(credit, &now, &total, milliseconds(1));
  for (int i = 0; i < 30; ++i) Round(credit, &now, &total, milliseconds(200));
  EXPECT_EQ(credit.window(), kLeastWindowBytes);
  for (int i = 0; i < 8; ++i) Round(credit, &now, &total, milliseconds(1));
  EXPECT_EQ(credit.window(), kLinkWindowBytes);
}

// Several acknowledgements of one queue are one reason.
TEST(SendCredit, ShrinksOnceAWindow) {
  SendCredit credit;
  credit.Sent(1, kStart);
  ASSERT_TRUE(credit.Acknowledged(1, kStart).has_value());
  const size_t before = credit.window();
  for (int i = 0; i < 3; ++i) credit.Sent(1000, kStart);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(credit.Acknowledged(1 + 1000 * i, kStart + milliseconds(100)).has_value());
  }
  EXPECT_EQ(credit.window(), before / 4 * 3);
}

TEST(SendCredit, RefusesAcknowledgementsThatCannotBe) {
  SendCredit credit;
  credit.Sent(100, kStart);
  EXPECT_TRUE(credit.Acknowledged(50, kStart).has_value());
  EXPECT_TRUE(credit.Acknowledged(50, kStart).has_value());
  EXPECT_FALSE(credit.Acknowledged(49, kStart).has_value());
  const Status more = credit.Acknowledged(101, kStart);
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().code, Errc::kProtocol);
}

TEST(ReceiveCredit, RefusesMoreThanAWindow) {
  ReceiveCredit credit;
  EXPECT_TRUE(credit.Arrived(kLinkWindowBytes).has_value());
  const Status more = credit.Arrived(1);
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().code, Errc::kProtocol);
}

TEST(ReceiveCredit, ArrivedButNotTakenIsNotAcknowledged) {
  ReceiveCredit credit;
  ASSERT_TRUE(credit.Arrived(kLinkWindowBytes).has_value());
  EXPECT_FALSE(credit.AcknowledgementIsDue());
  credit.Took(kLinkWindowBytes / 2);
  EXPECT_TRUE(credit.AcknowledgementIsDue());
  EXPECT_EQ(credit.Acknowledge(), kLinkWindowBytes / 2);
  EXPECT_FALSE(credit.AcknowledgementIsDue());
}

// Whatever the frames' sizes and the window: a sender that has to wait is sent an acknowledgement.
TEST(Credit, NobodyWaitsForEver) {
  for (size_t most = 8; most <= kMostFrameBytes; most += 1237) {
    for (const milliseconds delay : {milliseconds(0), milliseconds(500)}) {
      SendCredit sender;
      ReceiveCredit receiver;
      Clock::Time now = kStart;
      uint64_t sent = 0;
      while (sent < 8 * kLinkWindowBytes) {
        for (;;) {
          const size_t frame = std::min(most, sender.MostFrameBytes());
          if (!sender.Allows(frame)) break;
          sender.Sent(frame, now);
          ASSERT_TRUE(receiver.Arrived(frame).has_value());
          receiver.Took(frame);
          sent += frame;
        }
        now += sent > 2 * kLinkWindowBytes ? delay : milliseconds(0);
        ASSERT_TRUE(receiver.AcknowledgementIsDue()) << most;
        ASSERT_TRUE(sender.Acknowledged(receiver.Acknowledge(), now).has_value());
      }
    }
  }
}

}  // namespace
}  // namespace rex
