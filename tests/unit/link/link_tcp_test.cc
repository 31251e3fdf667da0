// Listener and dialer over loopback.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "launcher/link/handshake_run.h"
#include "launcher/link/tcp.h"
#include "tests/unit/link/link_pair.h"

namespace rex::testing {
namespace {

struct Listening {
  EventLoop loop;
  LinkKey key = KeyOf(7);
  std::unique_ptr<LinkListener> listener;
  bool wants = true;
  std::vector<NodeId> children;

  Listening() {
    auto opened = LinkListener::Open(
        loop, NodeId{0}, DvmOf(9), key, "1.0",
        [this](NodeId child, LinkStream) { return wants && Index(child) < 10; },
        [this](NodeId child, LinkStream, AuthenticatedStream) { children.push_back(child); });
    EXPECT_TRUE(opened.has_value());
    listener = std::move(*opened);
  }
};

// A child that dials.
struct Dialling {
  End end{LinkRole::kChild, NodeId{3}, NodeId{0}};
  std::unique_ptr<LinkDialer> dialer;
  std::optional<Result<AuthenticatedStream>> result;

  void Dial(EventLoop& loop, std::vector<std::string> addresses, uint16_t port,
            std::chrono::milliseconds bound = std::chrono::seconds(10),
            LinkStream stream = LinkStream::kTcp) {
    dialer = std::make_unique<LinkDialer>(
        loop, end.params, std::move(addresses), port, bound,
        [this](Result<AuthenticatedStream> done) {
          EXPECT_FALSE(result.has_value());
          result.emplace(std::move(done));
        },
        stream);
  }
  void DialUplink(EventLoop& loop, uint16_t port) {
    Dial(loop, {"127.0.0.1"}, port, std::chrono::seconds(10), LinkStream::kUplink);
  }
  bool done() const { return result.has_value(); }
  bool connected() const { return result && result->has_value(); }
  std::string error() const { return done() && !connected() ? result->error().text : ""; }
};

// Listens on one address of loopback, and lets the test decide what callers get.
class Lookalike {
 public:
  explicit Lookalike(const char* address, uint16_t port = 0) {
    auto socket = MakeTcpSocket(AF_INET);
    EXPECT_TRUE(socket.has_value());
    socket_ = std::move(*socket);
    const int on = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto at = ParseAddress(address, port);
    EXPECT_EQ(::bind(socket_.get(), at->get(), at->size), 0);
    EXPECT_EQ(::listen(socket_.get(), 16), 0);
  }
  uint16_t port() const {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    return ntohs(at.sin_port);
  }
  UniqueFd Accept() { return UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  // Answers one caller's handshake as the parent `self`, with `key`.
  void Answer(EventLoop& loop, NodeId self, const LinkKey& key) {
    watcher_ = std::make_unique<ReadWatcher>(loop, socket_.get(), [this, &loop, self, &key] {
      HandshakeParams params;
      params.stream = LinkStream::kTcp;
      params.self = self;
      params.peer = NodeId{3};
      params.dvm = DvmOf(9);
      params.key = &key;
      params.version = "1.0";
      stream_ = std::make_unique<ByteStream>(loop, Accept(), UniqueFd(), ByteStream::Handlers{});
      run_ = std::make_unique<HandshakeRun>(loop, *stream_, Handshake(params, MakeHandshakeNonce()),
                                            std::chrono::seconds(10),
                                            [this](Result<HandshakeRun::Done> done) {
                                              proved = done.has_value();
                                              stream_->EnableReading(false);
                                            });
    });
  }
  bool proved = false;  // the child sent its proof here

 private:
  UniqueFd socket_;
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<HandshakeRun> run_;
  std::unique_ptr<ReadWatcher> watcher_;
};

UniqueFd Connect(uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto to = ParseAddress("127.0.0.1", port);
  EXPECT_EQ(::connect(socket.get(), to->get(), to->size), 0);
  return socket;
}

TEST(LinkTcp, AChildGetsInOverIpv4) {
  Listening parent;
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done() && !parent.children.empty(); }));
  EXPECT_TRUE(child.connected()) << child.error();
  EXPECT_EQ(parent.children, std::vector<NodeId>{NodeId{3}});
  EXPECT_EQ(parent.listener->half_open(), 0U);
}

TEST(LinkTcp, ALinkMayBeginOnTcp) {
  EventLoop loop;
  End parent(LinkRole::kParent, NodeId{0}, NodeId{3});
  Dialling child;
  auto listener = LinkListener::Open(
      loop, NodeId{0}, DvmOf(9), parent.key, "1.0",
      [&](NodeId node, LinkStream) { return node == NodeId{3} && !parent.link; },
      [&](NodeId, LinkStream, AuthenticatedStream stream) {
        parent.link =
            std::make_unique<Link>(loop, parent.params, std::move(stream), parent.Handlers());
        EXPECT_EQ(parent.ups, 0);  // never from inside
      });
  ASSERT_TRUE(listener.has_value());
  child.Dial(loop, {"127.0.0.1"}, (*listener)->port());
  ASSERT_TRUE(RunUntil(loop, [&] { return child.connected(); })) << child.error();
  child.end.link = std::make_unique<Link>(loop, child.end.params, std::move(child.result->value()),
                                          child.end.Handlers());
  ASSERT_TRUE(RunUntil(loop, [&] { return parent.ups == 1 && child.end.ups == 1; }));
  EXPECT_TRUE(parent.link->on_tcp() && child.end.link->on_tcp());
  parent.link->Send(40, FrameClass::kControl, "down");
  child.end.link->Send(41, FrameClass::kStdio, std::string(1 << 20, 'x'));
  ASSERT_TRUE(
      RunUntil(loop, [&] { return !parent.messages.empty() && !child.end.messages.empty(); }));
  EXPECT_EQ(std::get<2>(child.end.messages[0]), "down");
  EXPECT_EQ(std::get<2>(parent.messages[0]).size(), size_t{1} << 20);
  ASSERT_TRUE(RunUntil(loop, [&] { return parent.clocks > 0; }));
  child.end.link.reset();
  ASSERT_TRUE(RunUntil(loop, [&] { return parent.closed.has_value(); }));
  EXPECT_EQ(parent.closed->code, Errc::kClosed);
}

TEST(LinkTcp, EveryOwnAddressLeadsToTheListener) {
  Listening parent;
  const auto addresses = LinkListener::OwnAddresses();
  ASSERT_FALSE(addresses.empty());
  for (const std::string& address : addresses) {
    ASSERT_TRUE(ParseAddress(address, 1).has_value()) << address;
    Dialling child;
    child.Dial(parent.loop, {address}, parent.listener->port());
    ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done(); }));
    EXPECT_TRUE(child.connected()) << address << ": " << child.error();
  }
}

TEST(LinkTcp, LoopbackIsTheLastOfTheOwnAddresses) {
  const auto addresses = LinkListener::OwnAddresses();
  const auto loopback = [](const std::string& a) { return a == "::1" || a.starts_with("127."); };
  const auto first = std::find_if(addresses.begin(), addresses.end(), loopback);
  EXPECT_TRUE(std::all_of(first, addresses.end(), loopback));
  for (const std::string& address : addresses) EXPECT_FALSE(address.starts_with("fe80"));
}

TEST(LinkTcp, AChildThatIsNotWantedIsTurnedAway) {
  Listening parent;
  parent.wants = false;
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done(); }));
  EXPECT_FALSE(child.connected());
  EXPECT_TRUE(parent.children.empty());
}

TEST(LinkTcp, AStrangersBytesAreNotReadBeyondTheFirstFew) {
  Listening parent;
  const UniqueFd stranger = Connect(parent.listener->port());
  ASSERT_TRUE(WriteAll(stranger.get(), std::string(50'000, 'x')).has_value());
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done() && !parent.children.empty(); }));
  EXPECT_TRUE(child.connected());
  EXPECT_EQ(parent.listener->half_open(), 0U) << "the stranger is not there any more";
}

TEST(LinkTcp, AFloodOfSilentStrangersKeepsNoChildOut) {
  Listening parent;
  std::vector<UniqueFd> strangers;
  size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(Connect(parent.listener->port()));
    RunRounds(parent.loop, 1);
    most = std::max(most, parent.listener->half_open());
  }
  EXPECT_EQ(most, 64U);
  EXPECT_EQ(parent.listener->half_open(), 64U);
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done() && !parent.children.empty(); }));
  EXPECT_TRUE(child.connected()) << child.error();
}

// The child's connection is in the backlog behind and before strangers, all accepted in one go.
TEST(LinkTcp, AChildThatAFloodPushedOutComesAgain) {
  Listening parent;
  std::vector<UniqueFd> strangers;
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  while (!child.done()) {
    if (strangers.size() < 200) strangers.push_back(Connect(parent.listener->port()));
    RunRounds(parent.loop, 1);
  }
  EXPECT_TRUE(child.connected()) << child.error();
}

TEST(LinkTcp, TheOwnerMayDestroyTheListenerWhenAChildComes) {
  Listening parent;
  std::unique_ptr<LinkListener> doomed;
  int children = 0;
  auto opened = LinkListener::Open(
      parent.loop, NodeId{0}, DvmOf(9), parent.key, "1.0", [](NodeId, LinkStream) { return true; },
      [&](NodeId, LinkStream, AuthenticatedStream) {
        ++children;
        doomed.reset();
      });
  ASSERT_TRUE(opened.has_value());
  doomed = std::move(*opened);
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, doomed->port());
  ASSERT_TRUE(RunUntil(parent.loop, [&] { return child.done() && children == 1; }));
}

TEST(LinkTcp, ALookalikeIsPassedOver) {
  EventLoop loop;
  const LinkKey right = KeyOf(7);
  const LinkKey wrong = KeyOf(8);
  Lookalike other("127.0.0.2");
  Lookalike silent("127.0.0.3", other.port());
  Lookalike parent("127.0.0.4", other.port());
  other.Answer(loop, NodeId{0}, wrong);
  parent.Answer(loop, NodeId{0}, right);
  Dialling child;
  child.Dial(loop, {"127.0.0.2", "127.0.0.3", "127.0.0.4"}, other.port());
  ASSERT_TRUE(RunUntil(loop, [&] { return child.done() && parent.proved; }));
  EXPECT_TRUE(child.connected()) << child.error();
  EXPECT_FALSE(other.proved);
}

TEST(LinkTcp, OnlyOneParentGetsTheProof) {
  EventLoop loop;
  const LinkKey key = KeyOf(7);
  Lookalike one("127.0.0.2");
  Lookalike two("127.0.0.3", one.port());
  one.Answer(loop, NodeId{0}, key);
  two.Answer(loop, NodeId{0}, key);
  Dialling child;
  child.Dial(loop, {"127.0.0.2", "127.0.0.3"}, one.port());
  ASSERT_TRUE(RunUntil(loop, [&] { return child.done() && (one.proved || two.proved); }));
  RunRounds(loop, 20);
  EXPECT_NE(one.proved, two.proved);
}

TEST(LinkTcp, TheErrorSaysHowEachAddressFailed) {
  EventLoop loop;
  const LinkKey wrong = KeyOf(8);
  Lookalike other("127.0.0.2");
  Lookalike silent("127.0.0.3", other.port());
  other.Answer(loop, NodeId{0}, wrong);
  Dialling child;
  child.Dial(loop, {"127.0.0.1", "127.0.0.2", "127.0.0.3", "n3.example", "127.0.0.1"}, other.port(),
             std::chrono::milliseconds(1000));
  ASSERT_TRUE(RunUntil(loop, [&] { return child.done(); }));
  const std::string error = child.error();
  for (const std::string word :
       {"node 0", "127.0.0.1: Connection refused", "127.0.0.2: node 0 does not prove",
        "127.0.0.3: ", "n3.example: not a numeric address"}) {
    EXPECT_NE(error.find(word), std::string::npos) << error;
  }
  EXPECT_EQ(error.find("127.0.0.1:"), error.rfind("127.0.0.1:")) << "tried once: " << error;
}

TEST(LinkTcp, ADialWithoutAddressesFailsFromTheLoop) {
  EventLoop loop;
  Dialling child;
  child.Dial(loop, {}, 1);
  EXPECT_FALSE(child.done());
  ASSERT_TRUE(RunUntil(loop, [&] { return child.done(); }));
  EXPECT_NE(child.error().find("no address"), std::string::npos) << child.error();
}

TEST(LinkTcp, ADestroyedDialerSaysNothing) {
  Listening parent;
  Dialling child;
  child.Dial(parent.loop, {"127.0.0.1"}, parent.listener->port());
  RunRounds(parent.loop, 1);
  child.dialer.reset();
  RunRounds(parent.loop, 50);
  EXPECT_FALSE(child.done());
}

// ---- uplinks: a second link of the same node

// A node's parent, which awaits its link and then its uplink.
struct LinkAndUplink {
  EventLoop loop;
  End link{LinkRole::kParent, NodeId{0}, NodeId{3}};
  End uplink{LinkRole::kParent, NodeId{0}, NodeId{3}};
  Dialling child_link;
  Dialling child_uplink;
  std::unique_ptr<LinkListener> listener;

  LinkAndUplink() {
    auto opened = LinkListener::Open(
        loop, NodeId{0}, DvmOf(9), link.key, "1.0",
        [this](NodeId node, LinkStream stream) {
          return node == NodeId{3} && (stream == LinkStream::kUplink) == (link.link != nullptr);
        },
        [this](NodeId, LinkStream which, AuthenticatedStream stream) {
          End& end = which == LinkStream::kUplink ? uplink : link;
          end.link = std::make_unique<Link>(loop, end.params, std::move(stream), end.Handlers());
        });
    EXPECT_TRUE(opened.has_value());
    listener = std::move(*opened);
  }
  bool Connect(Dialling& child, LinkStream stream) {
    child.Dial(loop, {"127.0.0.1"}, listener->port(), std::chrono::seconds(10), stream);
    if (!RunUntil(loop, [&] { return child.done(); }) || !child.connected()) return false;
    child.end.link = std::make_unique<Link>(loop, child.end.params,
                                            std::move(child.result->value()), child.end.Handlers());
    const End& parents = stream == LinkStream::kUplink ? uplink : link;
    return RunUntil(loop, [&] { return parents.up() && child.end.up(); });
  }
};

TEST(LinkTcp, AnUplinkIsALinkOfItsOwnBesideTheNodesFirst) {
  LinkAndUplink both;
  ASSERT_TRUE(both.Connect(both.child_link, LinkStream::kTcp)) << both.child_link.error();
  ASSERT_TRUE(both.Connect(both.child_uplink, LinkStream::kUplink)) << both.child_uplink.error();
  const std::string bulk(1 << 20, 'u');
  both.child_uplink.end.link->Send(64, FrameClass::kData, bulk);
  both.child_link.end.link->Send(1, FrameClass::kControl, "link");
  ASSERT_TRUE(RunUntil(both.loop, [&] {
    return both.uplink.messages.size() == 1 && both.link.messages.size() == 1;
  }));
  EXPECT_EQ(std::get<2>(both.uplink.messages[0]), bulk);
  EXPECT_EQ(std::get<2>(both.link.messages[0]), "link");
  both.uplink.link->Send(65, FrameClass::kData, "down");
  ASSERT_TRUE(RunUntil(both.loop, [&] { return both.child_uplink.end.messages.size() == 1; }));
  EXPECT_TRUE(both.child_link.end.messages.empty());
}

TEST(LinkTcp, AnUplinksEndIsNotTheLinks) {
  LinkAndUplink both;
  ASSERT_TRUE(both.Connect(both.child_link, LinkStream::kTcp));
  ASSERT_TRUE(both.Connect(both.child_uplink, LinkStream::kUplink));
  both.child_uplink.end.link.reset();
  ASSERT_TRUE(RunUntil(both.loop, [&] { return both.uplink.closed.has_value(); }));
  both.child_link.end.link->Send(1, FrameClass::kControl, "still there");
  ASSERT_TRUE(RunUntil(both.loop, [&] { return both.link.messages.size() == 1; }));
  EXPECT_FALSE(both.link.closed);
}

TEST(LinkTcp, AnUplinkWithoutALinkIsTurnedAway) {
  LinkAndUplink both;
  both.child_uplink.DialUplink(both.loop, both.listener->port());
  ASSERT_TRUE(RunUntil(both.loop, [&] { return both.child_uplink.done(); }));
  EXPECT_FALSE(both.child_uplink.connected());
  EXPECT_FALSE(both.uplink.link);
  EXPECT_NE(both.child_uplink.error().find("127.0.0.1"), std::string::npos);
}

TEST(LinkTcp, ASecondLinkIsTurnedAwayWhereAnUplinkIsAwaited) {
  LinkAndUplink both;
  ASSERT_TRUE(both.Connect(both.child_link, LinkStream::kTcp));
  Dialling again;
  again.Dial(both.loop, {"127.0.0.1"}, both.listener->port());
  ASSERT_TRUE(RunUntil(both.loop, [&] { return again.done(); }));
  EXPECT_FALSE(again.connected());
}

TEST(LinkTcp, TheListenerSaysWhichStreamCame) {
  EventLoop loop;
  const LinkKey key = KeyOf(7);
  std::vector<LinkStream> came;
  auto listener = LinkListener::Open(
      loop, NodeId{0}, DvmOf(9), key, "1.0", [](NodeId, LinkStream) { return true; },
      [&came](NodeId, LinkStream which, AuthenticatedStream) { came.push_back(which); });
  ASSERT_TRUE(listener.has_value());
  for (const LinkStream stream : {LinkStream::kUplink, LinkStream::kTcp}) {
    Dialling child;
    child.Dial(loop, {"127.0.0.1"}, (*listener)->port(), std::chrono::seconds(10), stream);
    const size_t before = came.size();
    ASSERT_TRUE(RunUntil(loop, [&] { return child.done() && came.size() > before; }));
    EXPECT_EQ(came.back(), stream);
  }
}

TEST(LinkTcp, AddressesAreReadAndWrittenAsNumbers) {
  for (const std::string text : {"127.0.0.1", "::1", "2001:db8::7"}) {
    const auto address = ParseAddress(text, 80);
    ASSERT_TRUE(address.has_value());
    EXPECT_EQ(AddressText(address->get(), address->size), text);
  }
  const auto mapped = ParseAddress("::ffff:10.0.0.1", 80);
  EXPECT_EQ(AddressText(mapped->get(), mapped->size), "10.0.0.1");
  for (const char* text : {"", "localhost", "1.2.3.4.5", "fe80::1%no-such-interface"}) {
    EXPECT_FALSE(ParseAddress(text, 80).has_value()) << text;
  }
}

}  // namespace
}  // namespace rex::testing
