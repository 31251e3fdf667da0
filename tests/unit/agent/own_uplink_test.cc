// Every event in every state of the table in own_uplink.h.
#include "launcher/agent/own_uplink.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>
#include <vector>

namespace rex {
namespace {

class OwnUplinkTest : public ::testing::Test {
 protected:
  using OnDone = std::function<void(Result<AuthenticatedStream>)>;

  OwnUplinkTest() : uplink_(loop_, Port(), Handlers()) {}

  UplinkPort Port() {
    UplinkPort port;
    port.may_dial = [this] { return may_dial_; };
    port.dial = [this](OnDone done) { dials_.push_back(std::move(done)); };
    port.self = NodeId{7};
    port.parent = NodeId{2};
    port.parent_name = "n2";
    port.node_timeout = std::chrono::seconds(33);
    port.max_message_bytes = 4711;
    return port;
  }
  OwnUplink::Handlers Handlers() {
    return {[this](pmix::UseUplink uplink, UniqueFd connection) {
              EXPECT_EQ(changes_, std::vector<bool>{}) << "before anybody counts on it";
              given_.push_back(std::move(uplink));
              connections_.push_back(std::move(connection));
            },
            [this](bool stands) { changes_.push_back(stands); },
            [this](const std::string& why) { lost_.push_back(why); }};
  }
  // The dialer's answer to the dial before all others that wait.
  void Connected() {
    AuthenticatedStream stream;
    auto pair = MakeStreamPair();
    ASSERT_TRUE(pair);
    stream.socket = std::move(pair->first);
    socket_ = stream.socket.get();
    peer_ = std::move(pair->second);
    stream.keys.down.bytes.fill(1);
    stream.keys.up.bytes.fill(2);
    Answer(std::move(stream));
  }
  void NotConnected() { Answer(Error{Errc::kClosed, "Connection refused"}); }
  void Answer(Result<AuthenticatedStream> result) {
    ASSERT_FALSE(dials_.empty());
    const OnDone done = std::move(dials_.front());
    dials_.pop_front();
    done(std::move(result));
  }
  // Whether an uplink that is wanted now is dialled for.
  bool Dials() {
    const size_t before = dials_.size();
    uplink_.Want();
    return dials_.size() > before;
  }
  bool PeerIsClosed() {
    char byte = 0;
    return ::recv(peer_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void Stand() {
    uplink_.Want();
    Connected();
    ASSERT_EQ(changes_, std::vector<bool>{true});
    changes_.clear();
  }
  // Until another uplink, lost now, has told its owner: so long that this one would have, too.
  void AwaitAnothersLoss() {
    bool told = false;
    OwnUplink other(loop_, Port(),
                    {[](const pmix::UseUplink&, const UniqueFd&) {}, [](bool) {},
                     [&told](const std::string&) { told = true; }});
    may_dial_ = true;
    other.Want();
    const OnDone done = std::move(dials_.back());
    dials_.pop_back();
    done(AuthenticatedStream{});
    other.OnHostSaysLost("");
    while (!told) loop_.RunOnce();
  }

  EventLoop loop_;
  bool may_dial_ = true;
  std::deque<OnDone> dials_;
  int socket_ = -1;
  UniqueFd peer_;
  std::vector<pmix::UseUplink> given_;
  std::vector<UniqueFd> connections_;
  std::vector<bool> changes_;
  std::vector<std::string> lost_;
  OwnUplink uplink_;
};

// ---- none

TEST_F(OwnUplinkTest, IsDialledForWhenItIsWanted) {
  EXPECT_TRUE(dials_.empty());
  EXPECT_TRUE(Dials());
}

TEST_F(OwnUplinkTest, IsNotDialledForWhileTheParentCannotBe) {
  may_dial_ = false;
  EXPECT_FALSE(Dials());
  may_dial_ = true;
  EXPECT_TRUE(Dials()) << "the next time it can";
}

TEST_F(OwnUplinkTest, WithoutOneThereIsNothingToLose) {
  uplink_.OnHostSaysLost("nonsense");
  uplink_.OnHostGone();
  EXPECT_TRUE(changes_.empty() && lost_.empty());
  EXPECT_TRUE(Dials());
}

// ---- dialling

TEST_F(OwnUplinkTest, IsDialledForOnce) {
  EXPECT_TRUE(Dials());
  EXPECT_FALSE(Dials());
  uplink_.OnHostSaysLost("nonsense");
  EXPECT_FALSE(Dials());
  EXPECT_TRUE(changes_.empty());
}

TEST_F(OwnUplinkTest, GoesToTheHostWithAllItNeeds) {
  uplink_.Want();
  Connected();
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(given_[0].self, 7U);
  EXPECT_EQ(given_[0].peer, 2U);
  EXPECT_EQ(given_[0].peer_name, "node n2");
  EXPECT_EQ(given_[0].key_down[31], 1);
  EXPECT_EQ(given_[0].key_up[31], 2);
  EXPECT_EQ(given_[0].node_timeout, std::chrono::seconds(33));
  EXPECT_EQ(given_[0].max_message_bytes, 4711U);
  EXPECT_EQ(connections_[0].get(), socket_);
  EXPECT_EQ(changes_, std::vector<bool>{true});
}

TEST_F(OwnUplinkTest, IsNotGivenToAnotherHostThanTheOneThatWantedIt) {
  uplink_.Want();
  uplink_.OnHostGone();
  EXPECT_TRUE(changes_.empty());
  Connected();
  EXPECT_TRUE(given_.empty() && changes_.empty());
  EXPECT_TRUE(PeerIsClosed());
  EXPECT_TRUE(Dials());
}

// ---- refused

TEST_F(OwnUplinkTest, WhoseDialFailsIsNotTriedAgain) {
  uplink_.Want();
  NotConnected();
  EXPECT_FALSE(Dials());
  uplink_.OnHostSaysLost("nonsense");
  EXPECT_FALSE(Dials());
  EXPECT_TRUE(given_.empty() && changes_.empty() && lost_.empty()) << "all stays as it was";
}

TEST_F(OwnUplinkTest, WhoseDialFailedIsTriedForTheNextHost) {
  uplink_.Want();
  NotConnected();
  uplink_.OnHostGone();
  EXPECT_TRUE(changes_.empty());
  EXPECT_TRUE(Dials());
}

// ---- standing

TEST_F(OwnUplinkTest, ThatStandsIsNotDialledForAgain) {
  Stand();
  EXPECT_FALSE(Dials());
  EXPECT_TRUE(changes_.empty());
}

TEST_F(OwnUplinkTest, GoesWithItsHostAndTheNextOneGetsAnother) {
  Stand();
  uplink_.OnHostGone();
  EXPECT_EQ(changes_, std::vector<bool>{false});
  uplink_.OnHostGone();
  EXPECT_EQ(changes_.size(), 1U);
  changes_.clear();
  EXPECT_TRUE(Dials());
  Connected();
  EXPECT_EQ(given_.size(), 2U);
  EXPECT_EQ(changes_, std::vector<bool>{true});
  AwaitAnothersLoss();
  EXPECT_TRUE(lost_.empty()) << "a host that goes is no loss of its uplink";
}

TEST_F(OwnUplinkTest, IsLostAtOnceAndItsOwnerToldALittleLater) {
  Stand();
  uplink_.OnHostSaysLost("node n2 closed the connection");
  EXPECT_EQ(changes_, std::vector<bool>{false});
  EXPECT_TRUE(lost_.empty()) << "the agents' link may have a better reason";
  while (lost_.empty()) loop_.RunOnce();
  EXPECT_EQ(lost_, std::vector<std::string>{"node n2 closed the connection"});
  EXPECT_EQ(changes_.size(), 1U);
}

// ---- lost

TEST_F(OwnUplinkTest, ThatIsLostIsToldOnceAndNotDialledForUntilThen) {
  Stand();
  uplink_.OnHostSaysLost("first");
  uplink_.OnHostSaysLost("second");
  EXPECT_FALSE(Dials());
  while (lost_.empty()) loop_.RunOnce();
  AwaitAnothersLoss();
  EXPECT_EQ(lost_, std::vector<std::string>{"first"});
  EXPECT_EQ(changes_, std::vector<bool>{false});
  EXPECT_TRUE(Dials()) << "for the jobs to come";
}

TEST_F(OwnUplinkTest, ThatIsLostWithItsHostIsNoReasonOfItsOwn) {
  Stand();
  uplink_.OnHostSaysLost("why");
  uplink_.OnHostGone();
  AwaitAnothersLoss();
  EXPECT_TRUE(lost_.empty());
  EXPECT_EQ(changes_, std::vector<bool>{false}) << "once";
  EXPECT_TRUE(Dials());
}

TEST(OwnUplink, ThatIsDestroyedWhileLostSaysNothing) {
  EventLoop loop;
  int told = 0;
  const auto make = [&] {
    UplinkPort port;
    port.may_dial = [] { return true; };
    port.dial = [](const auto& done) { done(AuthenticatedStream{}); };
    return std::make_unique<OwnUplink>(
        loop, std::move(port),
        OwnUplink::Handlers{[](const pmix::UseUplink&, const UniqueFd&) {}, [](bool) {},
                            [&told](const std::string&) { ++told; }});
  };
  auto one = make();
  auto other = make();
  for (auto* uplink : {one.get(), other.get()}) {
    uplink->Want();
    uplink->OnHostSaysLost("");
  }
  one.reset();
  while (told == 0) loop.RunOnce();
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace rex
