#include "launcher/link/link.h"

#include <sys/socket.h>

#include <csignal>

#include "tests/unit/link/link_pair.h"

namespace rex::testing {
namespace {

const Message kHello{1, FrameClass::kControl, "hello"};

TEST(Link, CarriesMessagesBothWays) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  pair.child.link->Send(255, FrameClass::kImage, std::string(100'000, 'x'));
  ASSERT_TRUE(
      pair.Until([&] { return !pair.parent.messages.empty() && !pair.child.messages.empty(); }));
  EXPECT_EQ(pair.child.messages[0], kHello);
  EXPECT_EQ(pair.parent.messages[0], Message(255, FrameClass::kImage, std::string(100'000, 'x')));
}

TEST(Link, WhatIsSentBeforeItIsUpIsQueued) {
  LinkPair pair;
  pair.Open();
  pair.parent.link->Send(1, FrameClass::kControl, "hello");
  EXPECT_EQ(pair.parent.link->QueuedBytes(), 5 + kFrameHeaderBytes);
  EXPECT_FALSE(pair.parent.link->up());
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
  EXPECT_EQ(pair.child.messages[0], kHello);
  EXPECT_TRUE(pair.parent.link->up());
  EXPECT_EQ(pair.parent.ups, 1);
}

TEST(Link, WorksOverTwoPipes) {
  ::signal(SIGPIPE, SIG_IGN);
  LinkPair pair;
  auto down = MakePipe();
  auto up = MakePipe();
  ASSERT_TRUE(down && up);
  pair.parent.Open(pair.loop, std::move(up->first), std::move(down->second));
  pair.child.Open(pair.loop, std::move(down->first), std::move(up->second));
  pair.parent.link->Send(2, FrameClass::kStdio, std::string(500'000, 's'));
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); }));
  pair.child.link.reset();
  pair.parent.link->Send(1, FrameClass::kControl, "into the void");
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  EXPECT_EQ(pair.parent.closed->code, Errc::kClosed);
}

// Numbered messages of several sizes in every class: each class arrives in its order, complete.
TEST(Link, EachClassKeepsItsOrder) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  const size_t sizes[] = {0, 1, 100, 32 << 10, 70'000, 200'000};
  constexpr size_t kEach = 60;
  for (size_t i = 0; i < kEach; ++i) {
    for (size_t c = 0; c < kFrameClasses; ++c) {
      const std::string payload = std::to_string(i) + ":" + std::string(sizes[i % 6], 'x');
      pair.child.link->Send(static_cast<uint8_t>(i), static_cast<FrameClass>(c), payload);
    }
  }
  ASSERT_TRUE(pair.Until([&] { return pair.parent.messages.size() == kFrameClasses * kEach; }));
  std::array<size_t, kFrameClasses> next{};
  for (const auto& [kind, frame_class, payload] : pair.parent.messages) {
    const size_t i = next[static_cast<size_t>(frame_class)]++;
    EXPECT_EQ(kind, i);
    EXPECT_EQ(payload.substr(0, payload.find(':')), std::to_string(i));
    EXPECT_EQ(payload.size(), sizes[i % 6] + std::to_string(i).size() + 1);
  }
}

TEST(Link, MeasuresThePeersClock) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  EXPECT_FALSE(pair.parent.link->offset().has_value());
  ASSERT_TRUE(pair.Until([&] { return pair.parent.clocks > 0 && pair.child.clocks > 0; }));
  for (const End* end : {&pair.parent, &pair.child}) {  // both have one clock: the difference is 0
    ASSERT_TRUE(end->link->offset().has_value());
    EXPECT_LE(std::abs(end->link->offset()->offset.count()), end->link->offset()->error.count());
  }
}

void ExpectWords(const std::optional<Error>& error, Errc code,
                 const std::vector<std::string>& words) {
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, code) << error->text;
  for (const std::string& word : words) {
    EXPECT_NE(error->text.find(word), std::string::npos) << error->text;
  }
}

TEST(Link, AnotherVersionClosesBothEndsNamingBoth) {
  LinkPair pair;
  pair.child.params.version = "2.0";
  pair.Open();
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed && pair.child.closed; }));
  ExpectWords(pair.parent.closed, Errc::kProtocol, {"node 3", "2.0", "1.0"});
  ExpectWords(pair.child.closed, Errc::kProtocol, {"node 0", "2.0", "1.0"});
  EXPECT_EQ(pair.parent.ups + pair.child.ups, 0);
}

TEST(Link, AnotherKeyClosesBothEnds) {
  LinkPair pair;
  pair.child.key = KeyOf(8);
  pair.Open();
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed && pair.child.closed; }));
  ExpectWords(pair.child.closed, Errc::kProtocol, {"does not prove"});
  ExpectWords(pair.parent.closed, Errc::kClosed, {"node 3", "during the handshake"});
}

TEST(Link, ASilentPeerIsGivenUpAfterTheBound) {
  EventLoop loop;
  End parent(LinkRole::kParent, NodeId{0}, NodeId{3});
  auto pair = MakeStreamPair();
  ASSERT_TRUE(pair.has_value());
  parent.link = std::make_unique<Link>(loop, parent.params, std::move(pair->first), UniqueFd(),
                                       std::chrono::milliseconds(100), parent.Handlers());
  ASSERT_TRUE(RunUntil(loop, [&] { return parent.closed.has_value(); }));
  ExpectWords(parent.closed, Errc::kTimeout, {"node 3", "handshake", "0.1 s"});
}

TEST(Link, TheEndOfThePeerIsToldOnceWithItsName) {
  LinkPair pair;
  pair.parent.params.peer_name = "n3";
  ASSERT_TRUE(pair.Up());
  pair.child.link.reset();
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  ExpectWords(pair.parent.closed, Errc::kClosed, {"n3 ", "channel"});
  EXPECT_TRUE(pair.parent.link->closed());
  pair.parent.link->Send(1, FrameClass::kControl, "too late");
  EXPECT_EQ(pair.parent.link->QueuedBytes(), 0U);
  pair.parent.link->Flush(std::chrono::seconds(10));
  pair.parent.link->EnableReading(true);
}

TEST(Link, APeerThatIsQuietTooLongIsLost) {
  LinkPair pair;
  pair.parent.params.node_timeout = std::chrono::seconds(1);
  ASSERT_TRUE(pair.Up());
  // The child's end of the loop stands still: as if stopped.
  auto other = MakeStreamPair();
  ASSERT_TRUE(other.has_value());
  EventLoop stopped;
  End parent(LinkRole::kParent, NodeId{0}, NodeId{3});
  parent.params.node_timeout = std::chrono::seconds(1);
  End child(LinkRole::kChild, NodeId{3}, NodeId{0});
  parent.Open(pair.loop, std::move(other->first));
  child.Open(stopped, std::move(other->second));
  for (int i = 0; i < 1000 && !(parent.up() && child.up()); ++i) {
    Timer wake_one(pair.loop, [] {});
    Timer wake_other(stopped, [] {});
    wake_one.Set(Clock::Time(0));
    wake_other.Set(Clock::Time(0));
    pair.loop.RunOnce();
    stopped.RunOnce();
  }
  ASSERT_TRUE(parent.up());
  ASSERT_TRUE(pair.Until([&] { return parent.closed.has_value(); }));
  ExpectWords(parent.closed, Errc::kTimeout, {"no word from node 3", "1 s"});
  EXPECT_FALSE(pair.parent.closed.has_value()) << "its child answered pings all the time";
}

TEST(Link, HandlersMayDestroyTheLink) {
  for (const std::string when : {"up", "message", "closed"}) {
    LinkPair pair;
    auto sockets = MakeStreamPair();
    ASSERT_TRUE(sockets.has_value());
    std::unique_ptr<Link> doomed;
    bool destroyed = false;
    const auto destroy = [&] {
      destroyed = true;
      doomed.reset();
    };
    Link::Handlers handlers;
    handlers.on_up = [&] {
      if (when == "up") destroy();
    };
    handlers.on_message = [&](uint8_t, FrameClass, const std::string&) {
      EXPECT_FALSE(destroyed);
      if (when == "message") destroy();
    };
    handlers.on_closed = [&](const Error&) {
      EXPECT_FALSE(destroyed);
      destroy();
    };
    pair.child.Open(pair.loop, std::move(sockets->second));
    doomed = std::make_unique<Link>(pair.loop, pair.parent.params, std::move(sockets->first),
                                    UniqueFd(), std::chrono::seconds(10), std::move(handlers));
    for (int i = 0; i < 3; ++i) pair.child.link->Send(1, FrameClass::kControl, "x");
    if (when == "closed") {
      ASSERT_TRUE(pair.Until([&] { return pair.child.up(); }));
      pair.child.link.reset();
      ASSERT_TRUE(pair.Until([&] { return destroyed; }));
    } else {
      ASSERT_TRUE(pair.Until([&] { return pair.child.closed.has_value(); }));
    }
    EXPECT_TRUE(destroyed) << when;
  }
}

// ---- back-pressure ----

TEST(Link, EnableReadingHoldsDataBackAndLetsControlPass) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.parent.link->EnableReading(false);
  constexpr size_t kMessages = 100;
  for (size_t i = 0; i < kMessages; ++i) {
    pair.child.link->Send(static_cast<uint8_t>(i), FrameClass::kStdio, std::string(10'000, 's'));
  }
  pair.child.link->Send(1, FrameClass::kControl, "hello");
  ASSERT_TRUE(pair.Until([&] { return !pair.parent.messages.empty(); }));
  EXPECT_EQ(pair.parent.messages, std::vector<Message>{kHello});
  // What the child may still have under way is a window; the rest waits on its own side.
  EXPECT_GE(pair.child.link->QueuedBytes(), kMessages * 10'000 - kLinkWindowBytes);
  pair.parent.link->EnableReading(true);
  EXPECT_EQ(pair.parent.messages.size(), 1U) << "not from inside the call";
  ASSERT_TRUE(pair.Until([&] { return pair.parent.messages.size() == 1 + kMessages; }));
  for (size_t i = 0; i < kMessages; ++i) {
    EXPECT_EQ(std::get<0>(pair.parent.messages[i + 1]), static_cast<uint8_t>(i));
  }
}

TEST(Link, ReadingMayBeTurnedOffInTheMiddle) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.parent.on_message = [&] { pair.parent.link->EnableReading(false); };
  for (int i = 0; i < 10; ++i) {
    pair.child.link->Send(static_cast<uint8_t>(i), FrameClass::kData, "d");
  }
  pair.child.link->Send(99, FrameClass::kStdio, "s");
  for (size_t i = 1; i <= 11; ++i) {
    ASSERT_TRUE(pair.Until([&] { return pair.parent.messages.size() >= i; }));
    EXPECT_EQ(pair.parent.messages.size(), i) << "one for each time it was turned on";
    pair.parent.link->EnableReading(true);
  }
}

TEST(Link, WhatWasHeldBackComesBeforeTheEnd) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.parent.link->EnableReading(false);
  pair.child.link->Send(5, FrameClass::kStdio, "last words");
  pair.child.link->Flush(std::chrono::seconds(10));
  pair.child.link.reset();
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  ASSERT_EQ(pair.parent.messages.size(), 1U);
  EXPECT_EQ(pair.parent.messages[0], Message(5, FrameClass::kStdio, "last words"));
}

// ---- Flush ----

TEST(Link, FlushGetsTheLastMessageOutBeforeTheEnd) {
  for (const bool tcp : {false, true}) {
    LinkPair pair;
    ASSERT_TRUE(pair.Up());
    if (tcp) pair.Move();
    // Unread bytes on our side must not cost the peer our last words.
    pair.child.link->Send(2, FrameClass::kControl, std::string(300'000, 'c'));
    pair.parent.link->Send(1, FrameClass::kControl, "hello");
    pair.parent.link->Flush(std::chrono::seconds(10));
    EXPECT_EQ(pair.parent.link->QueuedBytes(), 0U);
    EXPECT_TRUE(pair.parent.messages.empty()) << "not from inside the call";
    pair.parent.link.reset();
    ASSERT_TRUE(pair.Until([&] { return pair.child.closed.has_value(); }));
    EXPECT_EQ(pair.child.messages, std::vector<Message>{kHello});
  }
}

TEST(Link, FlushEndsWithItsBoundWhenThePeerTakesNothing) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  const auto before = pair.loop.clock().Now();
  pair.parent.link->Send(1, FrameClass::kData, std::string(1 << 20, 'd'));
  pair.parent.link->Flush(std::chrono::milliseconds(50));
  EXPECT_GE(pair.loop.clock().Now() - before, std::chrono::milliseconds(50));
  EXPECT_GT(pair.parent.link->QueuedBytes(), 0U);
  ASSERT_TRUE(pair.Until([&] { return !pair.child.messages.empty(); })) << "it goes on afterwards";
}

TEST(Link, WhatArrivesDuringAFlushIsDeliveredAfterwards) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.child.link->Send(3, FrameClass::kData, "data");
  pair.child.link->Send(4, FrameClass::kControl, "control");
  pair.parent.link->Send(1, FrameClass::kData, std::string(1 << 20, 'd'));
  pair.parent.link->Flush(std::chrono::milliseconds(20));
  EXPECT_TRUE(pair.parent.messages.empty());
  ASSERT_TRUE(pair.Until([&] { return pair.parent.messages.size() == 2; }));
}

TEST(Link, AnEndDuringAFlushIsToldFromTheLoop) {
  LinkPair pair;
  ASSERT_TRUE(pair.Up());
  pair.child.link->Send(4, FrameClass::kControl, "control");
  pair.child.link.reset();
  pair.parent.link->Send(1, FrameClass::kData, std::string(1 << 20, 'd'));
  pair.parent.link->Flush(std::chrono::seconds(10));
  EXPECT_FALSE(pair.parent.closed.has_value());
  ASSERT_TRUE(pair.Until([&] { return pair.parent.closed.has_value(); }));
  EXPECT_EQ(pair.parent.messages.size(), 1U);
}

}  // namespace
}  // namespace rex::testing
