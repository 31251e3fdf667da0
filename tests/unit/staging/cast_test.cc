#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "launcher/staging/cast_burst.h"
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

TEST(PiecePuzzle, TheLastMayBeFilledUp) {
  const std::string record = SmallNetContent(kFragmentBytes + 10);
  PiecePuzzle puzzle({{5, record.size()}});
  EXPECT_FALSE(puzzle.Add(5, 0, std::string_view(record).substr(0, kFragmentBytes)));
  EXPECT_EQ(puzzle.Add(5, 1, record.substr(kFragmentBytes) + "anything"), record);
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

// What one socket sends to another, in datagrams.
struct UdpPair {
  UdpPair() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(to.get(), plain, size), 0);
    EXPECT_EQ(::getsockname(to.get(), plain, &size), 0);
    EXPECT_EQ(::connect(from.get(), plain, size), 0);
  }
  std::vector<std::string> Received() {
    std::vector<std::string> all;
    std::string text(65536, '\0');
    for (ssize_t n; (n = ::recv(to.get(), text.data(), text.size(), MSG_DONTWAIT)) >= 0;) {
      all.push_back(text.substr(0, static_cast<size_t>(n)));
    }
    return all;
  }
  UniqueFd from{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  UniqueFd to{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST(CastBurst, DatagramsArriveOneByOneHoweverTheyLeave) {
  const std::string record = SmallNetContent(5 * kFragmentBytes + 3);
  for (const bool cut : {true, false}) {
    UdpPair pair;
    CastBurst burst(cut);
    std::vector<std::string> expected;
    for (uint16_t i = 0; i < 6; ++i) {
      ASSERT_TRUE(burst.HasRoom());
      const Datagram datagram{DatagramKind::kFragment, i, 9, 1,
                              std::string_view(record).substr(i * kFragmentBytes, kFragmentBytes)};
      burst.Add(kId, datagram);
      expected.push_back(EncodeDatagram(kId, datagram));
    }
    EXPECT_FALSE(burst.HasRoom());  // nothing may come behind a short one
    const CastBurst::Sent sent = burst.Send(pair.from);
    EXPECT_EQ(sent.datagrams, 6u);
    EXPECT_EQ(sent.why, 0);
    EXPECT_EQ(burst.BytesOf(6), record.size() + 6 * kDatagramHeaderBytes);
    EXPECT_EQ(pair.Received(), expected) << cut;
    EXPECT_TRUE(burst.HasRoom());
  }
}

// A whole piece's last fragment does not end a burst.
TEST(CastBurst, PiecesFollowEachOther) {
  const std::string record = SmallNetContent(kMaxSealedBytes);
  const size_t last = FragmentsOf(record.size()) - 1;
  CastBurst burst;
  for (const size_t number : {last - 1, last, size_t{0}}) {
    ASSERT_TRUE(burst.HasRoom()) << number;
    burst.Add(kId, {DatagramKind::kFragment, static_cast<uint16_t>(number), 9, 1,
                    std::string_view(record).substr(number * kFragmentBytes, kFragmentBytes)});
  }
  UdpPair pair;
  EXPECT_EQ(burst.Send(pair.from).datagrams, 3u);
  const std::vector<std::string> received = pair.Received();
  ASSERT_EQ(received.size(), 3u);
  PiecePuzzle puzzle({{9, record.size()}});
  for (const std::string& text : received) {
    const auto datagram = DecodeDatagram(kId, text);
    ASSERT_TRUE(datagram);
    puzzle.Add(datagram->index, datagram->number, datagram->bytes);
  }
  EXPECT_EQ(puzzle.Gaps(0)[0].second, AllFragments(last + 1) & ~(uint64_t{1} << last) &
                                          ~(uint64_t{1} << (last - 1)) & ~uint64_t{1});
}

TEST(CastBurst, AFullSocketSaysHowManyWent) {
  const std::string part = SmallNetContent(kFragmentBytes);
  for (const bool cut : {true, false}) {
    UdpPair pair;
    const int little = 1;  // the least that there is
    ::setsockopt(pair.from.get(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    CastBurst burst(cut);
    size_t sent = 0;
    size_t received = 0;
    for (int round = 0; round < 50; ++round) {
      while (burst.HasRoom()) burst.Add(kId, {DatagramKind::kFragment, 0, 9, 1, part});
      const CastBurst::Sent now = burst.Send(pair.from);
      EXPECT_TRUE(now.datagrams == CastBurst::kMost || now.why != 0);
      sent += now.datagrams;
      received += pair.Received().size();
    }
    EXPECT_EQ(sent, received) << cut;
  }
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
