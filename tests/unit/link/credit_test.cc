#include "launcher/link/credit.h"

#include <gtest/gtest.h>

#include "launcher/link/record.h"

namespace rex {
namespace {

TEST(SendCredit, AllowsAWindowAndNotOneByteMore) {
  SendCredit credit;
  EXPECT_TRUE(credit.Allows(kLinkWindowBytes));
  EXPECT_FALSE(credit.Allows(kLinkWindowBytes + 1));
  credit.Sent(kLinkWindowBytes - 10);
  EXPECT_TRUE(credit.Allows(10));
  EXPECT_FALSE(credit.Allows(11));
  ASSERT_TRUE(credit.Acknowledged(1).has_value());
  EXPECT_TRUE(credit.Allows(11));
}

TEST(SendCredit, RefusesAcknowledgementsThatCannotBe) {
  SendCredit credit;
  credit.Sent(100);
  EXPECT_TRUE(credit.Acknowledged(50).has_value());
  EXPECT_TRUE(credit.Acknowledged(50).has_value());
  EXPECT_FALSE(credit.Acknowledged(49).has_value());
  const Status more = credit.Acknowledged(101);
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

// Whatever the frames' sizes: a sender that has to wait is always sent an acknowledgement.
TEST(Credit, NobodyWaitsForEver) {
  for (size_t frame = 8; frame <= kMostFrameBytes; frame += 1237) {
    SendCredit sender;
    ReceiveCredit receiver;
    uint64_t sent = 0;
    while (sent < 4 * kLinkWindowBytes) {
      while (sender.Allows(frame)) {
        sender.Sent(frame);
        ASSERT_TRUE(receiver.Arrived(frame).has_value());
        receiver.Took(frame);
        sent += frame;
      }
      ASSERT_TRUE(receiver.AcknowledgementIsDue()) << frame;
      ASSERT_TRUE(sender.Acknowledged(receiver.Acknowledge()).has_value());
    }
  }
}

}  // namespace
}  // namespace rex
