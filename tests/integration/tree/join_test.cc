// A joining agent whose parent is the test itself: what it does about a bad parent, and when no way
// leads back.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "launcher/tree/tree.h"

namespace rex::testing {
namespace {

constexpr NodeId kChild{7};

class JoinTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    ::unsetenv("SSH_CONNECTION");
    auto pair = MakeStreamPair();
    ASSERT_TRUE(pair.has_value());
    ours_ = std::move(pair->first);
    UniqueFd out(::fcntl(pair->second.get(), F_DUPFD_CLOEXEC, 3));
    Tree::Handlers handlers;
    handlers.on_welcome = [this](const Welcome& welcome) { welcome_ = welcome; };
    handlers.on_lost = [this](std::vector<NodeId> lost, const Error& why) {
      EXPECT_EQ(lost, std::vector<NodeId>{kHeadNode});
      EXPECT_FALSE(lost_.has_value()) << "told twice";
      lost_ = why;
    };
    handlers.on_message = [this](NodeId, uint8_t kind, FrameClass, std::string payload) {
      if (kind == kFirstUserKind) heard_.push_back(std::move(payload));
    };
    tree_ = Tree::Join(loop_, children_, std::move(pair->second), std::move(out),
                       std::move(handlers), "1.2.3");
  }

  bool RunUntil(const std::function<bool()>& condition) {
    bool late = false;
    Timer deadline(loop_, [&late] { late = true; });
    deadline.Set(std::chrono::seconds(30));
    while (!condition() && !late) loop_.RunOnce();
    return condition();
  }

  // As far as the parent's end of the link.
  void Greet() {
    bool greeted = false;
    MarkerReader marker;
    ReadWatcher watcher(loop_, ours_.get(), [&] {
      std::array<char, 100> bytes;
      const ssize_t n = ::read(ours_.get(), bytes.data(), bytes.size());
      ASSERT_GT(n, 0);
      const auto found = marker.Feed({bytes.data(), static_cast<size_t>(n)});
      ASSERT_TRUE(found.has_value());
      greeted = *found;
    });
    ASSERT_TRUE(RunUntil([&] { return greeted; }));
    EXPECT_EQ(marker.version(), "1.2.3");
    EXPECT_EQ(marker.noise(), "");
    key_ = MakeLinkKey();
    dvm_ = MakeDvmId();
    const LinkTerms terms{dvm_, kHeadNode, kChild, std::chrono::seconds(120), 1 << 20};
    ASSERT_TRUE(WriteAll(ours_.get(), KeyLine(key_, terms)));
  }
  void OpenLink() {
    Greet();
    LinkParams params{LinkRole::kParent, kHeadNode, kChild, dvm_, &key_, "1.2.3", 1 << 20};
    Link::Handlers handlers;
    handlers.on_message = [this](uint8_t kind, FrameClass, std::string message) {
      received_.emplace_back(kind, std::move(message));
    };
    handlers.on_closed = [this](const Error& why) { closed_ = why; };
    UniqueFd out(::fcntl(ours_.get(), F_DUPFD_CLOEXEC, 3));
    link_ = std::make_unique<Link>(loop_, params, std::move(ours_), std::move(out),
                                   std::chrono::seconds(30), std::move(handlers));
  }
  void Send(uint8_t kind, const Route& route, const std::string& payload) {
    link_->Send(kind, FrameClass::kControl, EncodeRoute(route, payload));
  }
  void SendWelcome(uint16_t port = 0) {
    Welcome welcome;
    welcome.name = "n7";
    welcome.parent_name = "node0";
    welcome.nodes = 9;
    welcome.port = port;
    welcome.addresses = {"127.0.0.1"};
    Send(static_cast<uint8_t>(TreeMessage::kWelcome), {kHeadNode, kChild}, ToWire(welcome));
  }

  EventLoop loop_;
  ChildTable children_{loop_};
  UniqueFd ours_;
  std::unique_ptr<Tree> tree_;
  LinkKey key_;
  DvmId dvm_;
  std::unique_ptr<Link> link_;
  std::vector<std::pair<uint8_t, std::string>> received_;
  std::optional<Error> closed_;
  std::optional<Welcome> welcome_;
  std::optional<Error> lost_;
  std::vector<std::string> heard_;
};

TEST_F(JoinTest, WelcomeSaysWhoItIs) {
  OpenLink();
  SendWelcome();
  ASSERT_TRUE(RunUntil([&] { return welcome_.has_value(); }));
  EXPECT_EQ(welcome_->self, kChild);
  EXPECT_EQ(welcome_->parent, kHeadNode);
  EXPECT_EQ(welcome_->name, "n7");
  EXPECT_EQ(tree_->self(), kChild);
  AgentFacts facts;
  facts.hostname = "n7";
  facts.cores = 3;
  tree_->Ready(facts);
  ASSERT_TRUE(RunUntil([&] { return !received_.empty(); }));
  EXPECT_EQ(received_[0].first, static_cast<uint8_t>(TreeMessage::kNodeReady));
  const auto route = DecodeRoute(received_[0].second);
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(*route, (Route{kChild, kHeadNode}));
}

TEST_F(JoinTest, WithoutAWayBackOneNoticeSaysSoAndTheChannelGoesOn) {
  // A port on which nobody listens: of a listener that is gone.
  uint16_t port = 0;
  {
    auto listener = LinkListener::Open(
        loop_, kHeadNode, MakeDvmId(), key_, "1.2.3", [](NodeId, LinkStream) { return false; },
        [](NodeId, LinkStream, AuthenticatedStream) {});
    ASSERT_TRUE(listener.has_value());
    port = (*listener)->port();
  }
  OpenLink();
  SendWelcome(port);
  ASSERT_TRUE(RunUntil([&] { return !received_.empty(); }));
  EXPECT_EQ(received_[0].first, static_cast<uint8_t>(TreeMessage::kNotice));
  const auto notice = TreeFromWire<TreeNotice>(received_[0].second.substr(kRouteBytes));
  ASSERT_TRUE(notice.has_value());
  EXPECT_EQ(notice->text.find("node n7 has no TCP connection to node node0 at port "), 0u)
      << notice->text;
  EXPECT_NE(notice->text.find("127.0.0.1"), std::string::npos) << notice->text;
  EXPECT_NE(notice->text.find("goes through ssh"), std::string::npos) << notice->text;
  Send(kFirstUserKind, {kHeadNode, kChild}, "still there");
  Send(kFirstUserKind, {kHeadNode, std::nullopt}, "to all");
  ASSERT_TRUE(RunUntil([&] { return heard_.size() == 2; }));
  EXPECT_FALSE(tree_->links_on_tcp());
  EXPECT_FALSE(lost_.has_value());
}

TEST_F(JoinTest, AParentThatLeavesIsLostOnce) {
  OpenLink();
  SendWelcome();
  ASSERT_TRUE(RunUntil([&] { return welcome_.has_value(); }));
  link_.reset();
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_EQ(lost_->code, Errc::kClosed);
  EXPECT_NE(lost_->text.find("node0"), std::string::npos) << lost_->text;
}

TEST_F(JoinTest, AParentThatLeavesBeforeTheKeyIsLostToo) {
  ours_.Reset();
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_EQ(lost_->code, Errc::kClosed);
}

TEST_F(JoinTest, AnOrderlyEndIsToldOnce) {
  OpenLink();
  SendWelcome();
  Send(static_cast<uint8_t>(TreeMessage::kClosing), {kHeadNode, kChild}, "");
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_EQ(lost_->text, "node node0 ended the tree");
  link_.reset();
  tree_->Close(std::chrono::milliseconds(100));
}

TEST_F(JoinTest, AKeyThatIsNoneIsRefused) {
  ASSERT_TRUE(WriteAll(ours_.get(), std::string(kKeyLineBytes, 'x')));
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_EQ(lost_->code, Errc::kProtocol);
}

// What a parent must not send, and what the child says of it.
TEST_F(JoinTest, NonsenseFromTheParentEndsTheLink) {
  OpenLink();
  SendWelcome();
  SendWelcome();
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_EQ(lost_->code, Errc::kProtocol);
  EXPECT_NE(lost_->text.find("a second Welcome"), std::string::npos) << lost_->text;
  EXPECT_TRUE(RunUntil([&] { return closed_.has_value(); }));
}

TEST_F(JoinTest, AWelcomeThatNamesTheChildItselfBelowItIsRefused) {
  OpenLink();
  Welcome welcome;
  welcome.name = "n7";
  welcome.parent_name = "node0";
  welcome.nodes = 9;
  welcome.below = {{kChild, "n7", "", 0}};
  Send(static_cast<uint8_t>(TreeMessage::kWelcome), {kHeadNode, kChild}, ToWire(welcome));
  ASSERT_TRUE(RunUntil([&] { return lost_.has_value(); }));
  EXPECT_NE(lost_->text.find("Welcome.below"), std::string::npos) << lost_->text;
  EXPECT_FALSE(welcome_.has_value());
}

TEST_F(JoinTest, MessagesThatCannotBeDeliveredAreDropped) {
  OpenLink();
  SendWelcome();
  Send(kFirstUserKind, {kHeadNode, NodeId{8}}, "to nobody below it");
  Send(kFirstUserKind, {kChild, std::nullopt}, "from itself");
  Send(kFirstUserKind, {NodeId{3}, kChild}, "from another node");
  ASSERT_TRUE(RunUntil([&] { return !heard_.empty(); }));
  EXPECT_EQ(heard_, std::vector<std::string>{"from another node"});
  EXPECT_TRUE(received_.empty());
}

}  // namespace
}  // namespace rex::testing
