// A link whose peer breaks rules, breaks off or takes nothing.
#include "launcher/link/credit.h"
#include "tests/unit/link/raw_peer.h"

namespace rex::testing {
namespace {

void ExpectProtocolError(LinkAndRaw& pair, const std::string& word) {
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kProtocol) << pair.end.closed->text;
  EXPECT_NE(pair.end.closed->text.find(word), std::string::npos) << pair.end.closed->text;
  EXPECT_NE(pair.end.closed->text.find("node 3"), std::string::npos) << pair.end.closed->text;
}

TEST(LinkFault, ARecordCutInTheMiddleIsNoMessage) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.raw.SayFrame(1, FrameClass::kControl, "whole");
  std::string bytes;
  pair.raw.sealer->Seal(RecordType::kFrame, FrameOf(1, FrameClass::kControl, "half"), bytes);
  pair.raw.SayBytes(std::string_view(bytes).substr(0, bytes.size() / 2));
  pair.raw.stream.reset();
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kClosed);
  EXPECT_EQ(pair.end.messages.size(), 1U);
}

TEST(LinkFault, AFlippedBitEndsTheLink) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  std::string bytes;
  pair.raw.sealer->Seal(RecordType::kFrame, FrameOf(1, FrameClass::kControl, "x"), bytes);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  pair.raw.SayBytes(bytes);
  ExpectProtocolError(pair, "changed on its way");
  EXPECT_TRUE(pair.end.messages.empty());
}

TEST(LinkFault, AnOversizedLengthEndsTheLinkAtOnce) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.raw.Say(RecordType::kPing, NumberOf(1));
  pair.raw.SayBytes("\xff\xff\xff\x7f");
  ExpectProtocolError(pair, "2147483647 bytes");
}

struct BadRecord {
  RecordType type;
  std::string contents;
  std::string word;
};

TEST(LinkFault, RecordsThatMakeNoSenseEndTheLink) {
  std::string frame = FrameOf(1, FrameClass::kControl, "x");
  std::string of_class_nine = frame;
  of_class_nine[5] = 9;
  const BadRecord bad[] = {
      {RecordType::kFrame, "", "half a frame"},
      {RecordType::kFrame, frame.substr(0, 7), "half a frame"},
      {RecordType::kFrame, frame + "y", "another length"},
      {RecordType::kFrame, frame.substr(0, 8), "another length"},
      {RecordType::kFrame, of_class_nine, "class"},
      {RecordType::kAck, NumberOf(1), "acknowledgement"},
      {RecordType::kAck, "1234567", "wrong length"},
      {RecordType::kPing, "", "wrong length"},
      {RecordType::kPong, NumberOf(1), "wrong length"},
      {RecordType::kMoved, "x", "wrong length"},
  };
  for (const BadRecord& record : bad) {
    LinkAndRaw pair;
    ASSERT_TRUE(pair.Up());
    pair.raw.Say(record.type, record.contents);
    ExpectProtocolError(pair, record.word);
  }
}

TEST(LinkFault, AMessageLargerThanItsBoundEndsTheLink) {
  LinkAndRaw pair;
  pair.end.params.max_message_bytes = 20;
  ASSERT_TRUE(pair.Up());
  pair.raw.SayFrame(1, FrameClass::kControl, std::string(20, 'x'));
  pair.raw.SayFrame(1, FrameClass::kData, std::string(15, 'x'), true);
  pair.raw.SayFrame(1, FrameClass::kData, std::string(6, 'x'));
  ExpectProtocolError(pair, "larger than 20 bytes");
  EXPECT_EQ(pair.end.messages.size(), 1U);
}

TEST(LinkFault, APeerThatIgnoresTheWindowIsCutOff) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.end.link->EnableReading(false);
  const std::string payload(16 << 10, 'x');
  for (int i = 0; i < 9; ++i) pair.raw.SayFrame(1, FrameClass::kStdio, payload);
  ExpectProtocolError(pair, "without an acknowledgement");
  EXPECT_LE(pair.end.messages.size(), 8U);
}

TEST(LinkFault, ThePingsOfAPeerThatReadsNothingCostNothing) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  const size_t before = pair.end.link->QueuedBytes();
  for (int i = 0; i < 200; ++i) {
    for (int j = 0; j < 200; ++j) pair.raw.Say(RecordType::kPing, NumberOf(1));
    pair.raw.SayFrame(1, FrameClass::kControl, "");
    const size_t expected = pair.end.messages.size() + 1;
    ASSERT_TRUE(RunUntil(pair.loop, [&] { return pair.end.messages.size() == expected; }));
  }
  EXPECT_EQ(pair.end.link->QueuedBytes(), before);
  EXPECT_FALSE(pair.end.closed.has_value());
}

// ---- a peer that takes little, or nothing ----

// Bytes of frames below control, up to the first frame of control.
struct Heard {
  size_t below_control = 0;
  bool control = false;
};

void Count(const std::vector<Record>& records, Heard& heard) {
  for (const Record& record : records) {
    if (record.type != RecordType::kFrame) continue;
    const auto header = DecodeFrameHeader(record.contents);
    ASSERT_TRUE(header.has_value());
    heard.control = heard.control || header->frame_class == FrameClass::kControl;
    if (!heard.control) heard.below_control += record.contents.size();
  }
}

TEST(LinkFault, APeerThatNeverReadsGetsAWindowAndNoMore) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  constexpr size_t kBytes = 40'000'000;
  pair.end.link->Send(1, FrameClass::kData, std::string(kBytes, 'd'));
  pair.end.link->Send(2, FrameClass::kStdio, std::string(1000, 's'));
  RunRounds(pair.loop, 100);
  EXPECT_GE(pair.end.link->QueuedBytes(), kBytes - kLinkWindowBytes);
  // It is there without an acknowledgement ever: a window of data, then control at once.
  pair.end.link->Send(3, FrameClass::kControl, "now");
  Heard heard;
  ASSERT_TRUE(RunUntil(pair.loop, [&] {
    Count(pair.raw.Hear(), heard);
    RunRounds(pair.loop, 1);
    return heard.control;
  }));
  EXPECT_LE(heard.below_control, kLinkWindowBytes);
  EXPECT_GT(heard.below_control, kFirstWindowBytes / 2);
  EXPECT_GE(pair.end.link->QueuedBytes(), kBytes - kLinkWindowBytes);
}

// 40 MB to a peer that takes 4 KiB at a time and acknowledges; control sent in the middle comes
// behind what was under way, not behind the 40 MB.
TEST(LinkFault, ControlOvertakesALargeMessageToASlowPeer) {
  LinkAndRaw pair;
  ASSERT_TRUE(pair.Up());
  constexpr size_t kBytes = 40'000'000;
  pair.end.link->Send(1, FrameClass::kData, std::string(kBytes, 'd'));
  Heard heard;
  size_t acknowledged = 0;
  const auto hear = [&] {
    Count(pair.raw.Hear(4 << 10), heard);
    if (heard.below_control - acknowledged >= kAckEveryBytes) {
      acknowledged = heard.below_control;
      pair.raw.Say(RecordType::kAck, NumberOf(acknowledged));
    }
    RunRounds(pair.loop, 1);
  };
  while (heard.below_control < 1'000'000) {
    hear();
    ASSERT_FALSE(pair.raw.ended);
  }
  const size_t before = heard.below_control;
  pair.end.link->Send(3, FrameClass::kControl, "now");
  for (int i = 0; i < 10'000 && !heard.control; ++i) hear();
  ASSERT_TRUE(heard.control);
  EXPECT_LE(heard.below_control - before, kLinkWindowBytes + kMostFrameBytes);
  EXPECT_GT(pair.end.link->QueuedBytes(), kBytes / 2);
}

TEST(LinkFault, FortyMegabytesArriveWholeAndControlFirst) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  std::string payload;
  payload.resize(40'000'000, 'd');
  pair.parent.link->Send(1, FrameClass::kData, payload);
  pair.parent.link->Send(3, FrameClass::kControl, "now");
  ASSERT_TRUE(pair.Until([&] { return pair.child.messages.size() == 2; }));
  EXPECT_EQ(std::get<2>(pair.child.messages[0]), "now");
  EXPECT_TRUE(std::get<2>(pair.child.messages[1]) == payload);
  EXPECT_EQ(pair.parent.link->QueuedBytes(), 0U);
}

}  // namespace
}  // namespace rex::testing
