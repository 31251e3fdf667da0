#include "launcher/values/number.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(ParseWhole, DigitsOnly) {
  EXPECT_EQ(ParseWhole("0"), 0u);
  EXPECT_EQ(ParseWhole("007"), 7u);
  EXPECT_EQ(ParseWhole("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616"}) {
    EXPECT_FALSE(ParseWhole(text)) << text;
  }
}

TEST(ParseTime, WholeAndFractional) {
  EXPECT_EQ(ParseTime("2", seconds(1)), seconds(2));
  EXPECT_EQ(ParseTime("0.25", seconds(1)), microseconds(250000));
  EXPECT_EQ(ParseTime(".5", seconds(1)), microseconds(500000));
  EXPECT_EQ(ParseTime("3.", seconds(1)), seconds(3));
  EXPECT_EQ(ParseTime("0.0000019", seconds(1)), microseconds(1));
  EXPECT_EQ(ParseTime("1.5", microseconds(1000)), microseconds(1500));
}

TEST(ParseTime, Bounds) {
  EXPECT_TRUE(ParseTime("2147483.647", seconds(1)));
  EXPECT_FALSE(ParseTime("2147483.648", seconds(1)));
  EXPECT_FALSE(ParseTime("99999999999999999999", seconds(1)));
}

TEST(ParseTime, Nonsense) {
  for (const char* text : {"", ".", "-1", "1e3", "1,5", "1.2.3", "inf", "nan", " 1", "1s"}) {
    EXPECT_FALSE(ParseTime(text, seconds(1))) << text;
  }
}

TEST(ParseBytes, UnitsOfBothCases) {
  EXPECT_EQ(ParseBytes("0"), 0u);
  EXPECT_EQ(ParseBytes("1025"), 1025u);
  EXPECT_EQ(ParseBytes("3k"), 3072u);
  EXPECT_EQ(ParseBytes("2M"), 2097152u);
  EXPECT_EQ(ParseBytes("1g"), 1073741824u);
  EXPECT_EQ(ParseBytes("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseBytes("17179869183G"), uint64_t{17179869183} << 30);
}

TEST(ParseBytes, RefusesAnythingElse) {
  for (const char* text :
       {"", "K", "1T", "1KB", "-1", "1.5G", "1 G", "G1", "18446744073709551616", "17179869184G"}) {
    EXPECT_FALSE(ParseBytes(text)) << text;
  }
}

}  // namespace
}  // namespace rex
