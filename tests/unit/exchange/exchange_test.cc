#include "launcher/exchange/exchange.h"

#include "launcher/exchange/exchange_messages.h"
#include "tests/unit/exchange/test_tree.h"

namespace rex {
namespace {

constexpr uint32_t kLocal = 2, kNamespace = 3, kSession = 4, kCustom = 6;

class ExchangeTest : public testing::Test {
 protected:
  ExchangeTest() : wire_(Shape({0, 0, 0, 1})) {
    for (uint32_t n = 0; n < 4; ++n) {
      said_.emplace_back();
      nodes_.push_back(std::make_unique<Exchange>(Exchange::Deps{
          loop_, wire_.PortOf(NodeId{n}),
          [this, n](const pmix::HostMessage& m) { said_[n].push_back(m); },
          [this](NodeId from, pmix::HostMessage m) { asked_.emplace_back(from, std::move(m)); },
          1 << 20}));
    }
  }
  void Add(const std::string& name, const std::vector<uint32_t>& node_of_rank) {
    for (auto& node : nodes_) node->AddNamespace(name, MapOf(node_of_rank));
  }
  void Deliver() {
    while (!wire_.queue.empty()) {
      Sent sent = std::move(wire_.queue.front());
      wire_.queue.pop_front();
      EXPECT_GE(sent.kind, kFirstExchangeKind);
      EXPECT_LE(sent.kind, kLastExchangeKind);
      const Status s =
          nodes_[Index(sent.to)]->FromNode(sent.from, sent.kind, std::move(sent.payload));
      EXPECT_TRUE(s) << s.error().text;
    }
  }
  template <typename T>
  std::vector<T> Said(uint32_t node) const {
    return Only<T>(said_[node]);
  }
  pmix::EventRaised Event(uint32_t range, std::vector<pmix::ProcId> targets = {}) const {
    return {5, -3005, {"job", 0}, range, "", 0, std::move(targets)};
  }
  Status Give(uint32_t to, uint32_t from, ExchangeMessage kind, std::string payload) {
    return nodes_[to]->FromNode(NodeId{from}, static_cast<uint8_t>(kind), std::move(payload));
  }

  EventLoop loop_;
  Wire wire_;
  std::vector<std::vector<pmix::HostMessage>> said_;
  std::vector<std::pair<NodeId, pmix::HostMessage>> asked_;
  std::vector<std::unique_ptr<Exchange>> nodes_;
};

TEST_F(ExchangeTest, FencesAndModexesOfHostsComeTogether) {
  Add("job", {0, 1, 2, 3});
  for (uint32_t n = 0; n < 4; ++n) {
    pmix::HostMessage fence = pmix::Fence{n, {{"job", pmix::kRankWildcard}}, true, "x"};
    EXPECT_TRUE(n % 2 == 0 ? nodes_[n]->FromHost(fence) : nodes_[n]->FromHost(std::move(fence)));
  }
  EXPECT_TRUE(nodes_[3]->FromHost(pmix::DirectModex{9, {"job", 2}}));
  Deliver();
  for (uint32_t n = 0; n < 4; ++n) {
    ASSERT_EQ(Said<pmix::FenceDone>(n).size(), 1u);
    EXPECT_EQ(Said<pmix::FenceDone>(n)[0].data, "xxxx");
  }
  ASSERT_EQ(Said<pmix::ModexRequest>(2).size(), 1u);
  EXPECT_EQ(nodes_[3]->counts().modexes, 1u);
  EXPECT_TRUE(nodes_[2]->FromHost(
      pmix::ModexDone{Said<pmix::ModexRequest>(2)[0].request, pmix::kSuccess, "d"}));
  Deliver();
  EXPECT_EQ(Said<pmix::ModexDone>(3)[0].data, "d");
  EXPECT_EQ(nodes_[3]->counts().modexes + nodes_[0]->counts().collectives, 0u);
}

TEST_F(ExchangeTest, WhatIsForTheAgentItselfIsNotTaken) {
  std::vector<pmix::HostMessage> others;
  pmix::LogText log;
  log.proc = {"job", 0};
  others.emplace_back(log);
  others.emplace_back(pmix::FenceReleased{});
  others.emplace_back(pmix::ClientEvent{});
  others.emplace_back(pmix::Pong{1});
  for (pmix::HostMessage& message : others) {
    const std::string before = EncodeHostMessage(message);
    EXPECT_FALSE(nodes_[1]->FromHost(message));
    EXPECT_FALSE(nodes_[1]->FromHost(std::move(message)));
    EXPECT_EQ(EncodeHostMessage(message), before);  // NOLINT: it says that it leaves it
  }
  EXPECT_TRUE(wire_.queue.empty());
}

TEST_F(ExchangeTest, RequestsComeToTheHeadWithTheAskingNodeAndAnswersGoBack) {
  const pmix::ProcId proc{"job", 3};
  std::vector<pmix::HostMessage> requests;
  requests.emplace_back(pmix::Publish{1, proc, {{"k", "v", proc}}});
  requests.emplace_back(pmix::Lookup{2, proc, {"k"}});
  requests.emplace_back(pmix::Unpublish{3, proc, {"k"}});
  requests.emplace_back(pmix::Query{4, proc, {"pmix.qry.ns"}, ""});
  requests.emplace_back(pmix::Abort{5, proc, 7, "text", {}});
  requests.emplace_back(pmix::JobControl{6, proc, {}, 15});
  for (const uint32_t node : {0u, 3u}) {
    asked_.clear();
    for (const auto& request : requests) EXPECT_TRUE(nodes_[node]->FromHost(request));
    Deliver();
    ASSERT_EQ(asked_.size(), requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(asked_[i].first, NodeId{node});
      EXPECT_EQ(EncodeHostMessage(asked_[i].second), EncodeHostMessage(requests[i]));
    }
    nodes_[0]->AnswerTo(NodeId{node}, pmix::OpDone{1, pmix::kErrDuplicateKey});
    nodes_[0]->AnswerTo(NodeId{node}, pmix::LookupDone{2, 0, {{"k", "v", proc}}});
    nodes_[0]->AnswerTo(NodeId{node}, pmix::QueryDone{4, 0, {"job"}, {}});
    Deliver();
    ASSERT_EQ(said_[node].size(), 3u);
    EXPECT_EQ(Said<pmix::OpDone>(node)[0].status, pmix::kErrDuplicateKey);
    EXPECT_EQ(Said<pmix::LookupDone>(node)[0].items[0].value, "v");
    EXPECT_EQ(Said<pmix::QueryDone>(node)[0].name_spaces[0], "job");
  }
  EXPECT_TRUE(said_[1].empty());
}

TEST_F(ExchangeTest, LargeAnswersAreBulk) {
  nodes_[0]->AnswerTo(NodeId{3}, pmix::LookupDone{2, 0, {{"k", std::string(100, 'v'), {"j", 0}}}});
  nodes_[0]->AnswerTo(NodeId{3},
                      pmix::LookupDone{2, 0, {{"k", std::string(1 << 20, 'v'), {"j", 0}}}});
  ASSERT_EQ(wire_.queue.size(), 2u);
  EXPECT_EQ(wire_.queue[0].frame_class, FrameClass::kControl);
  EXPECT_EQ(wire_.queue[1].frame_class, FrameClass::kData);
}

// ---- events ----

TEST_F(ExchangeTest, AnEventGoesToTheOtherNodesOfItsNamespaceOnce) {
  Add("job", {0, 1, 3});
  Add("other", {2});
  EXPECT_TRUE(nodes_[1]->FromHost(Event(kNamespace)));
  Deliver();
  EXPECT_EQ(Said<pmix::EventRaised>(0).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(1).size(), 0u) << "its host has raised it";
  EXPECT_EQ(Said<pmix::EventRaised>(2).size(), 0u);
  ASSERT_EQ(Said<pmix::EventRaised>(3).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(3)[0].request, 0u);
  EXPECT_EQ(Said<pmix::EventRaised>(3)[0].code, -3005);
  ASSERT_EQ(Said<pmix::OpDone>(1).size(), 1u);
  EXPECT_EQ(Said<pmix::OpDone>(1)[0].request, 5u);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(ExchangeTest, AnEventOfTheHeadsOwnHost) {
  Add("job", {0, 3});
  EXPECT_TRUE(nodes_[0]->FromHost(Event(kNamespace)));
  Deliver();
  EXPECT_EQ(Said<pmix::EventRaised>(0).size(), 0u);
  EXPECT_EQ(Said<pmix::OpDone>(0).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(3).size(), 1u);
}

TEST_F(ExchangeTest, ASessionsEventGoesToEveryNodeWithRanks) {
  Add("job", {0, 1});
  Add("other", {2});
  EXPECT_TRUE(nodes_[1]->FromHost(Event(kSession)));
  Deliver();
  EXPECT_EQ(Said<pmix::EventRaised>(0).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(2).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(3).size(), 0u);
}

TEST_F(ExchangeTest, ACustomRangeGoesToItsTargets) {
  Add("job", {0, 1, 2, 3});
  EXPECT_TRUE(nodes_[1]->FromHost(Event(kCustom, {{"job", 2}, {"job", 1}, {"nobody", 0}})));
  Deliver();
  EXPECT_EQ(Said<pmix::EventRaised>(0).size(), 0u);
  EXPECT_EQ(Said<pmix::EventRaised>(2).size(), 1u);
  EXPECT_EQ(Said<pmix::EventRaised>(3).size(), 0u);
}

TEST_F(ExchangeTest, ALocalEventStaysOnItsNode) {
  Add("job", {0, 1});
  EXPECT_TRUE(nodes_[1]->FromHost(Event(kLocal)));
  EXPECT_TRUE(wire_.queue.empty());
  EXPECT_EQ(Said<pmix::OpDone>(1).size(), 1u);
}

TEST_F(ExchangeTest, TheHeadRaisesEventsOfItsOwn) {
  Add("job", {1, 3});
  nodes_[0]->RaiseEvent(Event(kNamespace), kHeadNode);
  nodes_[0]->AnswerTo(NodeId{2}, Event(kNamespace));
  Deliver();
  for (const uint32_t node : {1u, 2u, 3u}) {
    EXPECT_EQ(Said<pmix::EventRaised>(node).size(), 1u) << node;
  }
}

// ---- uplinks ----

// Node 1 of two; its exchange gives series away after two collectives.
class UplinkTest : public testing::Test {
 protected:
  UplinkTest() : wire_(Shape::Flat(2)) {
    ExchangePort port = wire_.PortOf(NodeId{1});
    node_ = std::make_unique<Exchange>(
        Exchange::Deps{loop_,
                       std::move(port),
                       [this](const pmix::HostMessage& m) { said_.push_back(m); },
                       {},
                       1 << 20,
                       2,
                       [this] { ++wants_; }});
    node_->AddNamespace("own", MapOf({1, 1}));
    node_->AddNamespace("wide", MapOf({0, 1}));
  }
  void Fence(const std::string& name) {
    EXPECT_TRUE(node_->FromHost(pmix::Fence{7, {{name, pmix::kRankWildcard}}, true, "x"}));
  }
  Status Down(uint64_t sequence, int32_t status = pmix::kSuccess) {
    return node_->FromNode(NodeId{0}, static_cast<uint8_t>(ExchangeMessage::kCollectiveDown),
                           EncodeCollective({CollectiveKind::kFence,
                                             {{"wide", pmix::kRankWildcard, 1}},
                                             sequence,
                                             {NodeId{0}, NodeId{1}},
                                             status},
                                            0));
  }
  EventLoop loop_;
  Wire wire_;
  std::unique_ptr<Exchange> node_;
  std::vector<pmix::HostMessage> said_;
  int wants_ = 0;
};

TEST_F(UplinkTest, TheHostIsToldWhatItIsGivenAndWhereItIs) {
  Fence("own");
  Fence("own");
  const auto given = Only<pmix::SeriesGiven>(said_);
  ASSERT_EQ(given.size(), 1u);
  EXPECT_EQ(given[0].self, 1u);
  EXPECT_EQ(given[0].parent, 0u);
  EXPECT_EQ(given[0].max_modex_bytes, uint64_t{1} << 20);
  const auto next = DecodeCollective(given[0].header);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->header.sequence, 2u);
  EXPECT_EQ(said_.size(), 3u);
}

TEST_F(UplinkTest, AnUplinkIsWantedUntilItIsThere) {
  for (uint64_t i = 0; i < 4; ++i) {
    if (i == 3) node_->SetUplink(true);
    Fence("wide");
    ASSERT_TRUE(Down(i));
  }
  EXPECT_EQ(wants_, 2) << "after the second and the third";
  EXPECT_EQ(Only<pmix::SeriesGiven>(said_).size(), 1u);
  ASSERT_TRUE(Down(4, pmix::kErrTimeout));
  EXPECT_EQ(Only<pmix::FromAbove>(said_).size(), 1u);
}

TEST_F(ExchangeTest, AnUplinkCarriesContributionsAndNothingElse) {
  Add("job", {0, 1});
  const std::string up = EncodeCollective(
      {CollectiveKind::kFence, {{"job", pmix::kRankWildcard, 1}}, 0, {NodeId{0}, NodeId{1}}, 0}, 0);
  pmix::Unpublish request;
  request.proc = {"job", 0};
  const auto by_uplink = [&](ExchangeMessage kind, const std::string& payload) {
    return nodes_[0]->FromUplink(NodeId{1}, static_cast<uint8_t>(kind), payload);
  };
  EXPECT_FALSE(by_uplink(ExchangeMessage::kToHead, EncodeHostMessage(request)));
  EXPECT_FALSE(by_uplink(ExchangeMessage::kCollectiveDown, up));
  EXPECT_FALSE(by_uplink(ExchangeMessage::kHostState, EncodeHostState({NodeId{1}, true})));
  EXPECT_FALSE(by_uplink(ExchangeMessage::kModexAsk, EncodeModex({7, {"job", 0}, 0}, "")));
  const Status unknown = nodes_[0]->FromUplink(NodeId{1}, 3, up);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::kProtocol);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(nodes_[0]->counts().collectives, 0u);
  EXPECT_TRUE(by_uplink(ExchangeMessage::kCollectiveUp, up));
  EXPECT_EQ(nodes_[0]->counts().collectives, 1u);
}

// ---- losses and nonsense ----

TEST_F(ExchangeTest, LossesReachCollectivesAndModexes) {
  Add("job", {0, 1, 2, 3});
  nodes_[2]->FromHost(pmix::Fence{1, {{"job", pmix::kRankWildcard}}, true, "x"});
  nodes_[2]->FromHost(pmix::DirectModex{2, {"job", 3}});
  nodes_[0]->FromHost(pmix::DirectModex{3, {"job", 1}});
  Deliver();
  nodes_[1]->OnHostLost();
  nodes_[0]->OnNodesLost({NodeId{3}});
  nodes_[2]->OnNodesLost({NodeId{3}});
  Deliver();
  ASSERT_EQ(Said<pmix::FenceDone>(2).size(), 1u);
  EXPECT_EQ(Said<pmix::FenceDone>(2)[0].status, pmix::kErrLostConnection);
  ASSERT_EQ(Said<pmix::ModexDone>(2).size(), 1u);
  EXPECT_EQ(Said<pmix::ModexDone>(2)[0].status, pmix::kErrLostConnection);
  ASSERT_EQ(Said<pmix::ModexDone>(0).size(), 1u);
  EXPECT_EQ(Said<pmix::ModexDone>(0)[0].status, pmix::kErrLostConnection);
}

TEST_F(ExchangeTest, TheEndOfANamespaceReachesCollectivesAndModexes) {
  Add("job", {0, 1, 2, 3});
  nodes_[2]->FromHost(pmix::Fence{1, {{"job", pmix::kRankWildcard}}, true, "x"});
  nodes_[2]->FromHost(pmix::DirectModex{2, {"job", 3}});
  Deliver();
  for (auto& node : nodes_) node->RemoveNamespace("job");
  Deliver();
  EXPECT_EQ(Said<pmix::FenceDone>(2).size(), 1u);
  EXPECT_EQ(Said<pmix::ModexDone>(2).size(), 1u);
  for (auto& node : nodes_) {
    EXPECT_EQ(node->counts().collectives, 0u);
    EXPECT_EQ(node->counts().modexes, 0u);
  }
}

TEST_F(ExchangeTest, NonsenseIsAProtocolError) {
  pmix::Unpublish request;
  request.proc = {"job", 0};
  const std::string unpublish = EncodeHostMessage(request);
  const std::string done = EncodeHostMessage(pmix::OpDone{1, 0});
  EXPECT_FALSE(Give(0, 1, ExchangeMessage::kToHead, done));
  EXPECT_FALSE(Give(0, 1, ExchangeMessage::kToHead, "?"));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kToHead, unpublish)) << "not the head";
  EXPECT_FALSE(Give(1, 0, ExchangeMessage::kFromHead, unpublish));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kFromHead, done)) << "not from the head";
  EXPECT_FALSE(Give(0, 0, ExchangeMessage::kFromHead, done));
  EXPECT_FALSE(Give(1, 0, ExchangeMessage::kCollectiveDown, ""));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kCollectiveUp, ""));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kModexAsk, ""));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kModexAnswer, ""));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kModexCancel, ""));
  EXPECT_FALSE(Give(1, 3, ExchangeMessage::kHostState, "\xff"));
  const Status unknown = nodes_[1]->FromNode(NodeId{0}, kLastExchangeKind, "");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::kProtocol);
  EXPECT_TRUE(asked_.empty());
  EXPECT_TRUE(said_[1].empty());
}

}  // namespace
}  // namespace rex
