// The move from the channel to TCP, and what ends a link afterwards.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/link/raw_peer.h"

namespace rex::testing {
namespace {

void SendSome(Link& link, size_t from, size_t to) {
  const size_t sizes[] = {3, 5'000, 40'000, 300'000};
  for (size_t i = from; i < to; ++i) {
    const auto frame_class = static_cast<FrameClass>(i % kFrameClasses);
    const std::string text = std::to_string(i);
    link.Send(static_cast<uint8_t>(i), frame_class,
              text + ":" + std::string(sizes[(i / kFrameClasses) % 4], 'x'));
  }
}

// Every message from 0 to `count` once, each class in its order.
void ExpectAll(const std::vector<Message>& messages, size_t count) {
  ASSERT_EQ(messages.size(), count);
  std::array<size_t, kFrameClasses> next = {0, 1, 2, 3};
  for (const auto& [kind, frame_class, payload] : messages) {
    size_t& i = next[static_cast<size_t>(frame_class)];
    EXPECT_EQ(payload.substr(0, payload.find(':')), std::to_string(i));
    EXPECT_EQ(kind, static_cast<uint8_t>(i));
    i += kFrameClasses;
  }
}

// Traffic both ways before, during and after the move, for several orders of the two adoptions and
// several moments in a large transfer.
TEST(LinkMove, NothingIsLostOrOutOfOrder) {
  for (const bool parent_first : {true, false}) {
    for (const int rounds : {0, 1, 3, 10, 40}) {
      LinkPair pair;
      ASSERT_TRUE(pair.Up());
      auto streams = pair.Dial();
      SendSome(*pair.parent.link, 0, 60);
      SendSome(*pair.child.link, 0, 60);
      RunRounds(pair.loop, rounds);
      End& first = parent_first ? pair.parent : pair.child;
      End& second = parent_first ? pair.child : pair.parent;
      first.link->AdoptTcp(std::move(parent_first ? *streams.parent : *streams.child));
      SendSome(*pair.parent.link, 60, 100);
      RunRounds(pair.loop, rounds);
      second.link->AdoptTcp(std::move(parent_first ? *streams.child : *streams.parent));
      SendSome(*pair.child.link, 60, 100);
      ASSERT_TRUE(pair.Until([&] {
        return pair.MovedBoth() && pair.parent.messages.size() == 100 &&
               pair.child.messages.size() == 100;
      }));
      ExpectAll(pair.parent.messages, 100);
      ExpectAll(pair.child.messages, 100);
      // The last message may have come before the news was given.
      ASSERT_TRUE(
          pair.Until([&] { return pair.parent.moved.size() + pair.child.moved.size() == 2; }));
      EXPECT_EQ(pair.parent.moved, std::vector<bool>{true});
      EXPECT_EQ(pair.child.moved, std::vector<bool>{true});
    }
  }
}

TEST(LinkMove, AMessageInTheMiddleGoesOnOnTcp) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  std::string payload;
  payload.resize(10'000'000, 'd');
  pair.parent.link->Send(1, FrameClass::kData, payload);
  const size_t all = pair.parent.link->QueuedBytes();
  ASSERT_TRUE(pair.Until([&] { return pair.parent.link->QueuedBytes() < all - 1'000'000; }));
  pair.parent.link->AdoptTcp(std::move(*streams.parent));
  pair.child.link->AdoptTcp(std::move(*streams.child));
  EXPECT_GT(pair.parent.link->QueuedBytes(), 1'000'000U);
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
  EXPECT_TRUE(std::get<2>(pair.child.messages[0]) == payload);
  EXPECT_TRUE(pair.child.link->on_tcp());
}

TEST(LinkMove, TheWindowHoldsAcrossTheMove) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.child.link->EnableReading(false);
  pair.parent.link->Send(1, FrameClass::kData, std::string(1'000'000, 'd'));
  pair.Move();
  pair.parent.link->Send(2, FrameClass::kControl, "now");
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
  EXPECT_GE(pair.parent.link->QueuedBytes(), 1'000'000 - kLinkWindowBytes);
  pair.child.link->EnableReading(true);
  ASSERT_TRUE(pair.Until([&] { return pair.child.messages.size() == 2; }));
}

TEST(LinkMove, AParentThatDropsTcpLeavesTheChildOnTheChannel) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  pair.child.link->AdoptTcp(std::move(*streams.child));
  streams.parent.reset();
  ASSERT_TRUE(pair.Until([&] { return !pair.child.moved.empty(); }));
  EXPECT_EQ(pair.child.moved, std::vector<bool>{false});
  EXPECT_FALSE(pair.child.link->on_tcp());
  pair.child.link->Send(1, FrameClass::kControl, "still here");
  pair.parent.link->Send(1, FrameClass::kControl, "me too");
  ASSERT_TRUE(
      pair.Until([&] { return !pair.parent.messages.empty() && !pair.child.messages.empty(); }));
}

TEST(LinkMove, AChildThatDropsTcpAfterTheParentMovedLosesTheLink) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  pair.parent.link->AdoptTcp(std::move(*streams.parent));
  streams.child.reset();
  pair.parent.link->Send(1, FrameClass::kControl, "into the void");
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  EXPECT_EQ(pair.parent.closed->code, Errc::kClosed);
}

TEST(LinkMove, ASecondStreamIsClosed) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.Move();
  auto streams = pair.Dial();
  pair.parent.link->AdoptTcp(std::move(*streams.parent));
  char byte = 0;
  ASSERT_EQ(::fcntl(streams.child->socket.get(), F_SETFL, 0), 0);
  EXPECT_EQ(::recv(streams.child->socket.get(), &byte, 1, 0), 0);
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
}

TEST(LinkMove, LastWordsOnTcpComeBeforeTheEndOfTheChannel) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.Move();
  pair.parent.link->Send(1, FrameClass::kControl, std::string(100'000, 'c'));
  pair.parent.link->Send(2, FrameClass::kStdio, std::string(20'000, 's'));
  pair.parent.link->Flush(std::chrono::seconds(10));
  pair.parent.link.reset();
  ASSERT_TRUE(pair.Until([&] { return pair.child.closed.has_value(); }));
  EXPECT_EQ(pair.child.messages.size(), 2U);
  EXPECT_EQ(pair.child.closed->code, Errc::kClosed);
}

// ---- one end of the two streams breaks ----

// A parent's link on TCP whose child is done by hand, with both streams.
struct MovedAndRaw : LinkAndRaw {
  std::unique_ptr<ByteStream> tcp;
  std::optional<RecordSealer> tcp_sealer;

  // `moved` false: the child has not left the channel yet.
  void Move(bool moved) {
    auto keys = [] {
      SessionKeys same;
      same.down.bytes.fill(1);
      same.up.bytes.fill(2);
      return same;
    };
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    tcp = std::make_unique<ByteStream>(loop, UniqueFd(fds[0]), UniqueFd(), ByteStream::Handlers{});
    tcp->EnableReading(false);
    tcp_sealer.emplace(keys().up);
    end.link->AdoptTcp({UniqueFd(fds[1]), keys()});
    if (moved) raw.Say(RecordType::kMoved, "");
  }
  void SayOnTcp(RecordType type, std::string_view contents) {
    tcp_sealer->Seal(type, contents, tcp->output());
    tcp->Write();
  }
};

TEST(LinkMove, TheChannelsEndIsTheLinksEnd) {
  MovedAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.Move(true);
  ASSERT_TRUE(RunUntil(pair.loop, [&] { return pair.end.link->on_tcp(); }));
  pair.SayOnTcp(RecordType::kFrame, FrameOf(1, FrameClass::kControl, "x"));
  pair.raw.stream.reset();  // as when ssh is killed: TCP still stands
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kClosed);
  EXPECT_NE(pair.end.closed->text.find("the channel"), std::string::npos);
  EXPECT_EQ(pair.end.messages.size(), 1U);
}

TEST(LinkMove, TheEndOfTcpIsTheLinksEnd) {
  MovedAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.Move(true);
  ASSERT_TRUE(RunUntil(pair.loop, [&] { return pair.end.link->on_tcp(); }));
  pair.tcp.reset();
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kClosed);
  EXPECT_NE(pair.end.closed->text.find("the connection"), std::string::npos)
      << pair.end.closed->text;
}

TEST(LinkMove, TcpIsNotReadBeforeTheChannelsLastRecord) {
  MovedAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.Move(false);
  pair.SayOnTcp(RecordType::kFrame, FrameOf(2, FrameClass::kControl, "second"));
  pair.raw.SayFrame(1, FrameClass::kControl, "first");
  ASSERT_TRUE(RunUntil(pair.loop, [&] { return !pair.end.messages.empty(); }));
  EXPECT_EQ(pair.end.messages.size(), 1U);
  pair.raw.Say(RecordType::kMoved, "");
  ASSERT_TRUE(RunUntil(pair.loop, [&] { return pair.end.messages.size() == 2; }));
  EXPECT_EQ(std::get<2>(pair.end.messages[0]), "first");
  EXPECT_EQ(std::get<2>(pair.end.messages[1]), "second");
}

TEST(LinkMove, RecordsBehindTheChannelsLastOneEndTheLink) {
  MovedAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.Move(true);
  pair.raw.SayFrame(1, FrameClass::kControl, "x");
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kProtocol);
  EXPECT_TRUE(pair.end.messages.empty());
}

TEST(LinkMove, MovingTwiceEndsTheLink) {
  MovedAndRaw pair;
  ASSERT_TRUE(pair.Up());
  pair.Move(true);
  pair.SayOnTcp(RecordType::kMoved, "");
  ASSERT_TRUE(pair.Closed());
  EXPECT_EQ(pair.end.closed->code, Errc::kProtocol);
}

// A stopped process: its kernel takes a window of data, and behind it there is room for control.
TEST(LinkMove, AStoppedReaderOnTcpHasRoomForControl) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  const UniqueFd socket(::dup(streams.parent->socket.get()));
  const auto unacknowledged = [&socket] {
    int bytes = -1;
    EXPECT_EQ(::ioctl(socket.get(), SIOCOUTQ, &bytes), 0);
    return bytes;
  };
  pair.parent.link->AdoptTcp(std::move(*streams.parent));  // the child's end is never read
  for (int i = 0; i < 10'000; ++i) {
    pair.parent.link->Send(1, FrameClass::kData, std::string(100, 'd'));
  }
  const auto settled = [&] {
    const size_t before = pair.parent.link->QueuedBytes();
    RunRounds(pair.loop, 3);
    return pair.parent.link->QueuedBytes() == before && unacknowledged() == 0;
  };
  const auto settle = [&settled] {
    for (int i = 0; i < 1'000'000; ++i) {
      if (settled()) return true;
    }
    return false;
  };
  ASSERT_TRUE(settle());
  const size_t data_left = pair.parent.link->QueuedBytes();
  EXPECT_GE(data_left, 10'000 * 108 - kLinkWindowBytes);
  pair.parent.link->Send(2, FrameClass::kControl, std::string(10'000, 'c'));
  ASSERT_TRUE(settle());
  EXPECT_EQ(pair.parent.link->QueuedBytes(), data_left);
}

TEST(LinkMove, AResetIsNamed) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  auto streams = pair.Dial();
  const UniqueFd child_socket(::dup(streams.child->socket.get()));
  pair.parent.link->AdoptTcp(std::move(*streams.parent));
  pair.child.link->AdoptTcp(std::move(*streams.child));
  ASSERT_TRUE(pair.Until([&] { return pair.MovedBoth(); }));
  // A disconnect of the socket sends a reset; the channel stays.
  sockaddr nothing{};
  nothing.sa_family = AF_UNSPEC;
  ASSERT_EQ(::connect(child_socket.get(), &nothing, sizeof nothing), 0);
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  EXPECT_EQ(pair.parent.closed->code, Errc::kClosed);
  EXPECT_EQ(pair.parent.closed->text, "the connection to node 3 was reset");
}

}  // namespace
}  // namespace rex::testing
