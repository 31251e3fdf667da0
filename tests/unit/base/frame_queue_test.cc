#include "launcher/base/frame_queue.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

struct Taken {
  FrameHeader header;
  std::string payload;
};

Taken Take(FrameQueue& queue, size_t most) {
  std::string out = "before";
  queue.TakeFrame(most, out);
  EXPECT_EQ(out.substr(0, 6), "before");
  const auto header = DecodeFrameHeader(std::string_view(out).substr(6));
  EXPECT_TRUE(header.has_value());
  return {*header, out.substr(6 + kFrameHeaderBytes)};
}

TEST(FrameQueue, CutsAMessageIntoFrames) {
  FrameQueue queue;
  queue.Push(7, FrameClass::kStdio, "abcde");
  for (const std::string piece : {"ab", "cd"}) {
    const Taken taken = Take(queue, 2);
    EXPECT_EQ(taken.payload, piece);
    EXPECT_TRUE(taken.header.more);
    EXPECT_EQ(taken.header.kind, 7);
  }
  const Taken last = Take(queue, 2);
  EXPECT_EQ(last.payload, "e");
  EXPECT_FALSE(last.header.more);
  EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, AMessageThatFillsItsFramesHasNoEmptyFrameBehindIt) {
  FrameQueue queue;
  queue.Push(7, FrameClass::kData, "abcd");
  EXPECT_TRUE(Take(queue, 2).header.more);
  EXPECT_FALSE(Take(queue, 2).header.more);
  EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, AnEmptyMessageIsAFrame) {
  FrameQueue queue;
  queue.Push(3, FrameClass::kControl, "");
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(Take(queue, 2).header.bytes, 0U);
  EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, AMoreUrgentClassGoesBetweenTwoFrames) {
  FrameQueue queue;
  queue.Push(1, FrameClass::kImage, "xy");
  EXPECT_EQ(Take(queue, 1).payload, "x");
  queue.Push(2, FrameClass::kData, "d");
  queue.Push(3, FrameClass::kControl, "c");
  EXPECT_EQ(Take(queue, 1).payload, "c");
  EXPECT_EQ(Take(queue, 1).payload, "d");
  EXPECT_EQ(Take(queue, 1).payload, "y");
}

TEST(FrameQueue, NextFrameSaysWhatTakeFrameTakes) {
  FrameQueue queue;
  EXPECT_FALSE(queue.NextFrame(4).has_value());
  queue.Push(9, FrameClass::kData, "abcde");
  const auto next = queue.NextFrame(4);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->bytes, 4U);
  EXPECT_EQ(next->kind, 9);
  EXPECT_EQ(next->frame_class, FrameClass::kData);
  EXPECT_TRUE(next->more);
}

TEST(FrameQueue, BytesFallWithEachFrameAndAreNothingAfterClear) {
  FrameQueue queue;
  queue.Push(1, FrameClass::kData, "abc");
  queue.Push(1, FrameClass::kStdio, "de");
  EXPECT_EQ(queue.bytes(), 5 + 2 * kFrameHeaderBytes);
  Take(queue, 2);
  EXPECT_EQ(queue.bytes(), 3 + 2 * kFrameHeaderBytes);
  Take(queue, 2);
  EXPECT_EQ(queue.bytes(), 2 + kFrameHeaderBytes);
  queue.Clear();
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_FALSE(queue.NextFrame(4).has_value());
}

}  // namespace
}  // namespace rex
