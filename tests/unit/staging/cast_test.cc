#include <algorithm>

#include "launcher/staging/cast_socket.h"
#include "launcher/staging/piece_puzzle.h"
#include "tests/unit/staging/small_net.h"

namespace rex::testing {
namespace {

const TransferId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9};

std::string SmallNetContent(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

TEST(Datagram, RoundTripAndGoldenBytes) {
  const std::string text =
      EncodeDatagram(kId, {DatagramKind::kFragment, 0x0102, 0x03040506, 7, "xy"});
  EXPECT_FALSE(DecodeDatagram(kId, text));  // no record has so many fragments
  const std::string good = EncodeDatagram(kId, {DatagramKind::kFragment, 2, 0x03040506, 7, "xy"});
  EXPECT_EQ(good, std::string("REXC\2\0\2\0\1\2\3\4\5\6\7\10\6\5\4\3\7\0\0\0xy", 26));
  const auto back = DecodeDatagram(kId, good);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->number, 2);
  EXPECT_EQ(back->index, 0x03040506u);
  EXPECT_EQ(back->round, 7u);
  EXPECT_EQ(back->bytes, "xy");
  EXPECT_FALSE(DecodeDatagram({9}, good));
  for (size_t bytes = 0; bytes <= kDatagramHeaderBytes; ++bytes) {
    EXPECT_FALSE(DecodeDatagram(kId, good.substr(0, bytes)));
  }
  EXPECT_TRUE(DecodeDatagram(kId, EncodeDatagram(kId, {DatagramKind::kMark, 0, 3, 1, {}})));
  EXPECT_FALSE(DecodeDatagram(kId, EncodeDatagram(kId, {DatagramKind::kMark, 0, 3, 1, "x"})));
}

TEST(PiecePuzzle, AnyOrderWithDoubles) {
  const std::string record = SmallNetContent(3 * kFragmentBytes + 10);
  PiecePuzzle puzzle({{5, record.size()}});
  const auto add = [&](uint16_t n) {
    return puzzle.Add(5, n, std::string_view(record).substr(n * kFragmentBytes, kFragmentBytes));
  };
  EXPECT_FALSE(add(3));
  EXPECT_FALSE(add(0));
  EXPECT_FALSE(add(0));
  EXPECT_EQ(puzzle.Gaps(0), (std::vector<std::pair<uint32_t, uint64_t>>{{5, 0b0110}}));
  EXPECT_FALSE(add(2));
  EXPECT_EQ(add(1), record);
  EXPECT_FALSE(add(1));
  EXPECT_TRUE(puzzle.Gaps(0).empty());
}

TEST(PiecePuzzle, WhatDoesNotFitIsPassedOver) {
  PiecePuzzle puzzle({{5, 2000}});
  EXPECT_FALSE(puzzle.Add(6, 0, std::string(kFragmentBytes, 'x')));
  EXPECT_FALSE(puzzle.Add(5, 0, "short"));
  EXPECT_FALSE(puzzle.Add(5, 2, "x"));
  EXPECT_FALSE(puzzle.Add(5, 60000, "x"));
  EXPECT_EQ(puzzle.Gaps(0)[0].second, 3u);
  EXPECT_TRUE(puzzle.Gaps(9).empty());
  puzzle.DropBefore(1);
  EXPECT_TRUE(puzzle.Gaps(0).empty());
  puzzle.DropBefore(1000);
}

class CastNet : public SmallNet {
 protected:
  void SetUp() override {
    if (CastInterfaces(true).empty()) GTEST_SKIP() << "no interface carries multicast here";
  }
  void Cast(const Image& image, uint32_t nodes) {
    Launch(image, nodes, Creation::kGroup, Transport::kMulticast);
  }
};

TEST_F(CastNet, OneStreamReachesAll) {
  const std::string big = Content(20 * kBlockBytes + 3);
  Write("big", big);
  Cast(MakeFor({"big"}), 4);
  ASSERT_TRUE(AllPlaced());
  ExpectReceived("big", big, 4);
  EXPECT_EQ(notice_, "");
  EXPECT_NE(source_->account().note.find("(multicast)"), std::string::npos);
}

TEST_F(CastNet, LostDatagramsAreSentAgain) {
  const std::string big = Content(30 * kBlockBytes);
  Write("big", big);
  for (const char* lose : {"*:lose=1", "*:lose=10"}) {
    Image image = MakeFor({"big"});
    image.fault = lose;
    Cast(image, 3);
    ASSERT_TRUE(AllPlaced()) << lose;
    ExpectReceived("big", big, 3);
    EXPECT_GT(BytesSent(), big.size());
    EXPECT_LT(BytesSent(), 2 * big.size()) << lose;
    EndLaunch();
    std::filesystem::remove_all(StoreDir(1));
    std::filesystem::remove_all(StoreDir(2));
    std::filesystem::remove_all(StoreDir(3));
  }
}

TEST_F(CastNet, WhereANodeHearsNothingTheChainTakesOver) {
  const std::string big = Content(3 * kBlockBytes);
  Write("big", big);
  Image image = MakeFor({"big"});
  image.fault = "n2:lose=100";
  Cast(image, 3);
  ASSERT_TRUE(AllPlaced());
  ExpectReceived("big", big, 3);
  EXPECT_EQ(notice_,
            "multicast is not carried to the nodes (node n2 does not hear it); the program goes "
            "from node to node");
}

TEST_F(CastNet, ANodeThatIsLostDoesNotHoldTheOthersUp) {
  const std::string big = Content(60 * kBlockBytes);
  Write("big", big);
  Cast(MakeFor({"big"}), 3);
  ASSERT_TRUE(Until([&] {
    std::error_code none;
    return std::filesystem::directory_iterator(StoreDir(2) + "/incoming", none) !=
           std::filesystem::directory_iterator();
  }));
  Kill(2);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(1, "big"), big);
  EXPECT_EQ(Received(3, "big"), big);
}

// RHODOS' order rule, for real: the stream comes before the order to launch does.
TEST_F(CastNet, PiecesBeforeTheLaunchAreHeld) {
  const std::string big = Content(4 * kBlockBytes);
  Write("big", big);
  Image image = MakeFor({"big"});
  image.fault = "n2:late=300";
  Cast(image, 2);
  ASSERT_TRUE(AllPlaced());
  EXPECT_EQ(Received(2, "big"), big);
}

TEST_F(CastNet, PiecesAreHeldNoLongerThanAsked) {
  Write("big", Content(4 * kBlockBytes));
  Image image = MakeFor({"big"});
  image.fault = "n2:late=20000";
  image.hold = std::chrono::milliseconds(50);
  Cast(image, 2);
  ASSERT_TRUE(Until([&] { return failed_.has_value(); }));
  EXPECT_EQ(*failed_at_, NodeId{2});
}

}  // namespace
}  // namespace rex::testing
