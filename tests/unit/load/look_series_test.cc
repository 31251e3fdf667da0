#include "sched/load/look_series.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::microseconds;

uint32_t MedianOf(const std::vector<uint32_t>& looks) {
  LookSeries series;
  for (const uint32_t look : looks) series.Add(look);
  return series.median();
}

TEST(LookSeries, OneLookThatDiffersDoesNotCount) {
  EXPECT_EQ(MedianOf({}), 0u);
  EXPECT_EQ(MedianOf({3}), 3u);
  EXPECT_EQ(MedianOf({3, 1}), 1u);
  EXPECT_EQ(MedianOf({1, 3}), 1u);
  EXPECT_EQ(MedianOf({1, 9, 1}), 1u);
  EXPECT_EQ(MedianOf({2, 2, 2, 0}), 2u);
}

TEST(LookSeries, AtTheStartTheLowestCounts) {
  EXPECT_EQ(MedianOf({5, 4, 3}), 3u);
  LookSeries series;
  series.Add(1);
  series.Add(0);
  EXPECT_TRUE(series.tells());  // an idle node does not keep anybody waiting
  EXPECT_EQ(series.median(), 0u);
}

TEST(LookSeries, AChangeIsKnownAfterTwo) {
  EXPECT_EQ(MedianOf({0, 0, 0, 4}), 0u);
  EXPECT_EQ(MedianOf({0, 0, 0, 4, 4}), 4u);
  EXPECT_EQ(MedianOf({4, 4, 4, 0, 0}), 0u);
}

TEST(LookSeries, IsSettledWhenThreeAgree) {
  LookSeries series;
  series.Add(1);
  series.Add(1);
  EXPECT_FALSE(series.settled());
  series.Add(1);
  EXPECT_TRUE(series.settled());
  series.Add(2);
  EXPECT_FALSE(series.settled());
}

TEST(LookPauses, FollowTheTable) {
  const LookPauses pauses;
  LookSeries series;
  const microseconds cheap(100);
  series.Add(1);
  EXPECT_EQ(PauseAfterLook(pauses, series, true, cheap), pauses.first);
  EXPECT_FALSE(series.tells());
  series.Add(1);
  EXPECT_EQ(PauseAfterLook(pauses, series, true, cheap), pauses.second);
  EXPECT_FALSE(series.tells());
  series.Add(1);
  EXPECT_TRUE(series.tells());
  EXPECT_EQ(PauseAfterLook(pauses, series, true, cheap), pauses.calm);
  EXPECT_EQ(PauseAfterLook(pauses, series, false, cheap), pauses.usual);
  series.Add(2);
  EXPECT_EQ(PauseAfterLook(pauses, series, true, cheap), pauses.usual);
}

TEST(LookPauses, ALookNeverTakesMoreThanHalfAPercent) {
  const LookPauses pauses;
  LookSeries series;
  for (int i = 0; i < 3; ++i) series.Add(1);
  const microseconds dear(100'000);
  EXPECT_EQ(PauseAfterLook(pauses, series, false, dear), microseconds(20'000'000));
}

}  // namespace
}  // namespace rex
