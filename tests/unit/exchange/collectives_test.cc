#include "launcher/exchange/collectives.h"

#include <algorithm>

#include "tests/unit/exchange/test_tree.h"

namespace rex {
namespace {

using std::chrono::seconds;
constexpr uint64_t kLimit = 1000;
constexpr Clock::Time kNow{1'000'000};

// Agents of a tree, each with its part of every collective.
class Agents {
 public:
  explicit Agents(Shape shape) : wire_(std::move(shape)) {
    for (uint32_t n = 0; n < wire_.shape().size(); ++n) {
      auto agent = std::make_unique<Agent>();
      agent->port = wire_.PortOf(NodeId{n});
      Agent* const a = agent.get();
      agent->collectives = std::make_unique<Collectives>(Collectives::Deps{
          a->port, a->maps, [a](const pmix::HostMessage& m) { a->said.push_back(m); }, kLimit});
      agents_.push_back(std::move(agent));
    }
  }
  // `unknown` nodes are not told of it, as relays may be.
  void Add(const std::string& name, const std::vector<uint32_t>& node_of_rank,
           const std::vector<uint32_t>& unknown = {}) {
    const auto map = MapOf(node_of_rank);
    for (uint32_t n = 0; n < agents_.size(); ++n) {
      if (std::find(unknown.begin(), unknown.end(), n) == unknown.end()) {
        agents_[n]->maps.Add(name, map);
      }
    }
  }
  void Remove(uint32_t node, const std::string& name) {
    agents_[node]->maps.Remove(name);
    agents_[node]->collectives->OnNamespaceGone(name);
  }
  void Contribute(uint32_t node, uint64_t request, std::vector<pmix::ProcId> procs,
                  const std::string& data, seconds timeout = seconds(0),
                  CollectiveKind kind = CollectiveKind::kFence) {
    agents_[node]->collectives->Contribute(
        {request, std::move(procs), true, data, {}, kind, timeout}, kNow);
  }
  void All(uint32_t node, uint64_t request, const std::string& data, seconds timeout = seconds(0)) {
    Contribute(node, request, {{"job", pmix::kRankWildcard}}, data, timeout);
  }
  // Delivers what is under way, and what comes of it. Returns how many messages that were.
  size_t Deliver() {
    size_t count = 0;
    for (; !wire_.queue.empty(); ++count) {
      Sent sent = std::move(wire_.queue.front());
      wire_.queue.pop_front();
      EXPECT_EQ(sent.frame_class, FrameClass::kData);
      const Status s = Give(sent);
      EXPECT_TRUE(s) << s.error().text;
    }
    return count;
  }
  Status Give(const Sent& sent) {
    Collectives& to = *agents_[Index(sent.to)]->collectives;
    const auto kind = static_cast<ExchangeMessage>(sent.kind);
    if (kind == ExchangeMessage::kCollectiveUp) return to.OnUp(sent.from, sent.payload);
    if (kind == ExchangeMessage::kCollectiveDown) return to.OnDown(sent.from, sent.payload);
    return to.OnHostState(sent.from, sent.payload);
  }
  Status Up(uint32_t from, uint32_t to, const CollectiveHeader& header) {
    return agents_[to]->collectives->OnUp(NodeId{from}, EncodeCollective(header, 0));
  }
  std::vector<pmix::FenceDone> Done(uint32_t node) const {
    return Only<pmix::FenceDone>(agents_[node]->said);
  }
  Collectives& operator[](uint32_t node) { return *agents_[node]->collectives; }
  std::deque<Sent>& queue() { return wire_.queue; }
  // Nothing is held any more, anywhere.
  void ExpectIdle() const {
    for (const auto& agent : agents_) {
      EXPECT_EQ(agent->collectives->open_count(), 0u);
      EXPECT_EQ(agent->collectives->held_bytes(), 0u);
      EXPECT_FALSE(agent->collectives->NextDeadline());
    }
  }
  void ExpectAll(const std::vector<uint32_t>& nodes, size_t index, int32_t status) const {
    for (const uint32_t node : nodes) {
      ASSERT_EQ(Done(node).size(), index + 1) << "node " << node;
      EXPECT_EQ(Done(node)[index].status, status) << "node " << node;
      if (status != pmix::kSuccess) {
        EXPECT_EQ(Done(node)[index].data, "");
      }
    }
  }

 private:
  struct Agent {
    ExchangePort port;
    NamespaceMaps maps;
    std::unique_ptr<Collectives> collectives;
    std::vector<pmix::HostMessage> said;
  };
  Wire wire_;
  std::vector<std::unique_ptr<Agent>> agents_;
};

std::string Sorted(std::string text) {
  std::sort(text.begin(), text.end());
  return text;
}

// 0 - {1 - {3, 4}, 2 - {5, 6}}
Shape TwoLevels() { return Shape({0, 0, 0, 1, 1, 2, 2}); }

TEST(Collectives, EveryNodeGetsWhatAllContributed) {
  Agents agents(Shape::Flat(4));
  agents.Add("job", {0, 1, 2, 3});
  for (uint32_t n = 0; n < 4; ++n)
    agents.All(n, 10 + n, std::string(1, static_cast<char>('a' + n)));
  agents.Deliver();
  for (uint32_t n = 0; n < 4; ++n) {
    ASSERT_EQ(agents.Done(n).size(), 1u);
    EXPECT_EQ(agents.Done(n)[0].request, 10 + n);
    EXPECT_EQ(agents.Done(n)[0].status, pmix::kSuccess);
    EXPECT_EQ(Sorted(agents.Done(n)[0].data), "abcd");
    EXPECT_EQ(agents.Done(n)[0].data, agents.Done(0)[0].data);
  }
  agents.ExpectIdle();
}

TEST(Collectives, NobodyIsAnsweredBeforeTheLastHasContributed) {
  for (uint32_t last = 0; last < 7; ++last) {
    Agents agents(TwoLevels());
    agents.Add("job", {0, 1, 2, 3, 4, 5, 6});
    for (uint32_t n = 0; n < 7; ++n) {
      if (n != last) agents.All(n, 1, "x");
      agents.Deliver();
    }
    for (uint32_t n = 0; n < 7; ++n) EXPECT_TRUE(agents.Done(n).empty()) << last;
    agents.All(last, 1, "x");
    agents.Deliver();
    agents.ExpectAll({0, 1, 2, 3, 4, 5, 6}, 0, pmix::kSuccess);
    EXPECT_EQ(agents.Done(last)[0].data, "xxxxxxx");
    agents.ExpectIdle();
  }
}

TEST(Collectives, EachAgentSendsItsParentOneMessage) {
  Agents agents(TwoLevels());
  agents.Add("job", {0, 1, 2, 3, 4, 5, 6});
  for (uint32_t n = 0; n < 7; ++n) agents.All(n, 1, "x");
  EXPECT_EQ(agents.Deliver(), 6u + 6u);  // up and down each edge once
}

TEST(Collectives, RelaysNeedNotKnowTheNamespace) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 5}, {1, 2});
  agents.All(3, 1, "a");
  agents.All(5, 1, "b");
  EXPECT_EQ(agents.Deliver(), 8u);  // 3-1-0 and 5-2-0, and back; nothing to 4 and 6
  agents.ExpectAll({3, 5}, 0, pmix::kSuccess);
  EXPECT_EQ(Sorted(agents.Done(3)[0].data), "ab");
  EXPECT_TRUE(agents.Done(0).empty());
  agents.ExpectIdle();
}

TEST(Collectives, TurnsAroundAtTheLowestAgentThatHasAllBelowIt) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4}, {0, 1, 2});
  agents.All(3, 1, "a");
  agents.All(4, 1, "b");
  EXPECT_EQ(agents.Deliver(), 4u);
  agents.ExpectAll({3, 4}, 0, pmix::kSuccess);
}

TEST(Collectives, OneNodeAloneIsAnsweredAtOnce) {
  Agents agents(TwoLevels());
  agents.Add("job", {4, 4});
  agents.All(4, 7, "a");
  EXPECT_TRUE(agents.queue().empty());
  agents.ExpectAll({4}, 0, pmix::kSuccess);
  EXPECT_EQ(agents.Done(4)[0].data, "a");
}

TEST(Collectives, ManyInARowNeedNoMoreRoom) {
  Agents agents(TwoLevels());
  agents.Add("job", {0, 3, 5}, {1, 2});
  for (uint64_t i = 0; i < 3000; ++i) {
    for (const uint32_t n : {5u, 0u, 3u}) agents.All(n, i, std::to_string(i % 10));
    agents.Deliver();
    ASSERT_EQ(agents.Done(3).size(), i + 1);
    ASSERT_EQ(agents.Done(3)[i].data, std::string(3, static_cast<char>('0' + i % 10)));
  }
  agents.ExpectIdle();
  for (uint32_t n = 0; n < 7; ++n) EXPECT_LE(agents[n].series_count(), 1u);
}

// One node's ranks are in their second fence while another node has not heard of the first's end.
TEST(Collectives, ANextOneMayBeginBeforeAllHaveHeardOfTheLast) {
  Agents agents(Shape::Flat(3));
  agents.Add("job", {0, 1, 2});
  for (uint32_t n = 0; n < 3; ++n) agents.All(n, 1, "1");
  auto& queue = agents.queue();
  ASSERT_EQ(queue.size(), 2u);  // up from 1 and 2
  while (queue.front().kind == static_cast<uint8_t>(ExchangeMessage::kCollectiveUp)) {
    ASSERT_TRUE(agents.Give(queue.front()));
    queue.pop_front();
  }
  const Sent to_slow = queue.back();
  queue.pop_back();
  ASSERT_EQ(to_slow.to, NodeId{2});
  agents.Deliver();
  agents.All(0, 2, "2");
  agents.All(1, 2, "2");
  agents.Deliver();
  EXPECT_TRUE(agents.Done(2).empty());
  ASSERT_TRUE(agents.Give(to_slow));
  agents.All(2, 2, "2");
  agents.Deliver();
  agents.ExpectAll({0, 1, 2}, 1, pmix::kSuccess);
  EXPECT_EQ(agents.Done(2)[0].data, "111");
  EXPECT_EQ(agents.Done(2)[1].data, "222");
}

TEST(Collectives, SeveralAtOnceDoNotMix) {
  Agents agents(Shape::Flat(3));
  agents.Add("job", {0, 1, 2, 0, 1, 2});
  const std::vector<pmix::ProcId> some = {{"job", 1}, {"job", 2}};
  agents.Contribute(1, 1, some, "s");
  agents.All(1, 2, "a");
  agents.Contribute(1, 3, {{"job", pmix::kRankWildcard}}, "", seconds(0), CollectiveKind::kConnect);
  agents.All(2, 1, "a");
  agents.Contribute(2, 2, {{"job", 2}, {"job", 1}}, "s");  // the same set
  agents.Deliver();
  ASSERT_EQ(agents.Done(1).size(), 1u);
  EXPECT_EQ(agents.Done(1)[0].request, 1u);
  EXPECT_EQ(agents.Done(1)[0].data, "ss");
  agents.All(0, 1, "a");
  agents.Deliver();
  EXPECT_EQ(agents.Done(1)[1].request, 2u);
  EXPECT_EQ(agents.Done(1)[1].data, "aaa");
  EXPECT_EQ(agents.Done(1).size(), 2u);  // the connect waits
}

TEST(Collectives, TheSameSetIsTheSameHoweverItIsNamed) {
  Agents agents(Shape::Flat(2));
  agents.Add("job", {0, 0, 1});
  agents.Contribute(0, 1, {{"job", 2}, {"job", 0}, {"job", 1}, {"job", 1}}, "");
  agents.Contribute(1, 1, {{"job", 0}, {"job", 1}, {"job", 2}}, "");
  agents.Deliver();
  agents.ExpectAll({0, 1}, 0, pmix::kSuccess);
}

TEST(Collectives, TwoNamespacesConnect) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4});
  agents.Add("other", {5, 6});
  const std::vector<pmix::ProcId> both = {{"other", pmix::kRankWildcard},
                                          {"job", pmix::kRankWildcard}};
  for (const uint32_t n : {3u, 4u, 5u, 6u}) {
    agents.Contribute(n, 1, both, "", seconds(0), CollectiveKind::kConnect);
  }
  agents.Deliver();
  agents.ExpectAll({3, 4, 5, 6}, 0, pmix::kSuccess);
}

TEST(Collectives, RanksThatAreNotKnownAreNotFound) {
  Agents agents(Shape::Flat(2));
  agents.Add("job", {0, 1});
  agents.Contribute(0, 1, {{"nobody", 0}}, "");
  agents.Contribute(0, 2, {{"job", 2}}, "");
  agents.Contribute(0, 3, {{"job", 1}}, "");  // none of ours
  ASSERT_EQ(agents.Done(0).size(), 3u);
  for (const auto& done : agents.Done(0)) EXPECT_EQ(done.status, pmix::kErrNotFound);
  EXPECT_TRUE(agents.queue().empty());
}

// ---- limits ----

TEST(Collectives, AsMuchDataAsAllowedPassesAndOneByteMoreFailsEverywhere) {
  for (const bool too_much : {false, true}) {
    Agents agents(TwoLevels());
    agents.Add("job", {3, 4, 5});
    agents.All(3, 1, std::string(400, 'x'));
    agents.All(4, 1, std::string(400, 'x'));
    agents.All(5, 1, std::string(too_much ? 201 : 200, 'x'));
    agents.Deliver();
    agents.ExpectAll({3, 4, 5}, 0, too_much ? pmix::kErrOutOfResource : pmix::kSuccess);
    agents.ExpectIdle();
  }
}

TEST(Collectives, OneNodesDataAloneMayBeTooMuch) {
  Agents agents(Shape::Flat(3));
  agents.Add("job", {1, 2});
  agents.All(1, 1, std::string(kLimit + 1, 'x'));
  agents.Deliver();
  agents.ExpectAll({1}, 0, pmix::kErrOutOfResource);
  agents.All(2, 1, "late");
  agents.Deliver();
  agents.ExpectAll({2}, 0, pmix::kErrOutOfResource);
  agents.ExpectIdle();
  agents.All(1, 2, "a");
  agents.All(2, 2, "b");
  agents.Deliver();
  agents.ExpectAll({1, 2}, 1, pmix::kSuccess);
}

// ---- timeouts ----

TEST(Collectives, ATimeoutEndsItEverywhereAndTheNextOneWorks) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5});
  agents.All(3, 1, "a", seconds(2));
  agents.All(5, 1, "c");
  agents.Deliver();
  EXPECT_EQ(agents[3].NextDeadline(), kNow + seconds(2));
  agents[3].Expire(kNow + seconds(1));
  EXPECT_EQ(agents.Deliver(), 0u);
  agents[3].Expire(kNow + seconds(2));
  agents.Deliver();
  agents.ExpectAll({3, 5}, 0, pmix::kErrTimeout);
  agents.All(4, 9, "late");
  agents.ExpectAll({4}, 0, pmix::kErrTimeout);
  agents.ExpectIdle();
  for (const uint32_t n : {3u, 4u, 5u}) agents.All(n, 2, "x");
  agents.Deliver();
  agents.ExpectAll({3, 4, 5}, 1, pmix::kSuccess);
}

TEST(Collectives, ATimeoutThatComesTooLateChangesNothing) {
  Agents agents(Shape::Flat(3));
  agents.Add("job", {0, 1, 2});
  agents.All(1, 1, "b", seconds(2));
  agents.All(2, 1, "c");
  agents.Deliver();
  agents.All(0, 1, "a");                // turns around
  agents[1].Expire(kNow + seconds(3));  // before the answer is there
  agents.Deliver();
  agents.ExpectAll({0, 1, 2}, 0, pmix::kSuccess);
  EXPECT_EQ(Sorted(agents.Done(1)[0].data), "abc");
  agents.ExpectIdle();
}

// ---- losses ----

TEST(Collectives, ALostNodeFailsWhatNeedsItNowAndLater) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5});
  agents.Add("away", {4, 5});
  agents.All(4, 1, "a");
  agents.Contribute(4, 2, {{"away", 0}, {"away", 1}}, "");
  agents.Deliver();
  agents[0].OnNodesLost({NodeId{3}});
  agents[1].OnNodesLost({NodeId{3}});
  agents.Deliver();
  agents.ExpectAll({4}, 0, pmix::kErrLostConnection);
  agents.All(5, 1, "late");
  agents.Deliver();
  agents.ExpectAll({5}, 0, pmix::kErrLostConnection);
  agents.Contribute(5, 2, {{"away", 0}, {"away", 1}}, "");
  agents.Deliver();
  agents.ExpectAll({4, 5}, 1, pmix::kSuccess);
  agents.All(5, 3, "");
  agents.Deliver();
  agents.ExpectAll({5}, 2, pmix::kErrLostConnection);
}

TEST(Collectives, ALostHostFailsWhatNeedsItUntilThereIsANewOne) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5});
  agents.All(4, 1, "a");
  agents.All(5, 1, "b");
  agents.Deliver();
  agents[3].OnHostLost();
  agents.Deliver();
  agents.ExpectAll({4, 5}, 0, pmix::kErrLostConnection);
  EXPECT_TRUE(agents.Done(3).empty());
  agents.All(5, 2, "b");
  agents.Deliver();
  agents.ExpectAll({5}, 1, pmix::kErrLostConnection);
  agents.Add("next", {3, 5});
  agents[3].OnHostBack();
  agents.Deliver();
  for (const uint32_t n : {3u, 5u}) agents.Contribute(n, 3, {{"next", pmix::kRankWildcard}}, "");
  agents.Deliver();
  EXPECT_EQ(agents.Done(3).back().status, pmix::kSuccess);
  EXPECT_EQ(agents.Done(5).back().status, pmix::kSuccess);
}

TEST(Collectives, AHostLostInMidFenceIsNotAnswered) {
  Agents agents(Shape::Flat(3));
  agents.Add("job", {1, 2});
  agents.All(1, 1, "a");
  agents.Deliver();
  agents[1].OnHostLost();
  agents.All(2, 1, "b");
  agents.Deliver();
  EXPECT_TRUE(agents.Done(1).empty());
  agents.ExpectAll({2}, 0, pmix::kErrLostConnection);
  agents.ExpectIdle();
}

TEST(Collectives, ANamespaceThatGoesTakesItsCollectivesWithIt) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5}, {1, 2});
  agents.All(3, 1, "a");
  agents.All(5, 1, "c");
  agents.Deliver();
  for (const uint32_t n : {3u, 0u, 4u, 5u}) agents.Remove(n, "job");
  agents.Deliver();
  agents.ExpectAll({3, 5}, 0, pmix::kErrLostConnection);
  EXPECT_TRUE(agents.Done(4).empty());
  agents.ExpectIdle();
  for (const uint32_t n : {0u, 3u, 4u, 5u}) EXPECT_EQ(agents[n].series_count(), 0u);
}

TEST(Collectives, WhatComesAfterTheNamespaceHasGoneAtTheHeadDoesNotWait) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5}, {1, 2});
  agents.Remove(0, "job");
  agents.All(5, 1, "c");
  agents.Deliver();
  agents.ExpectAll({5}, 0, pmix::kErrNotFound);
  agents.ExpectIdle();
}

// ---- nonsense ----

TEST(Collectives, NonsenseFromBelowIsRefused) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4, 5});
  const CollectiveHeader good{CollectiveKind::kFence,
                              {{"job", pmix::kRankWildcard, 1}},
                              0,
                              {NodeId{3}, NodeId{4}, NodeId{5}},
                              0};
  EXPECT_FALSE(agents.Up(3, 0, good)) << "no child of the head";
  EXPECT_FALSE(agents.Up(0, 1, good)) << "the parent";
  auto bad = good;
  bad.nodes = {NodeId{3}, NodeId{5}};
  EXPECT_FALSE(agents.Up(1, 0, bad)) << "not the ranks' nodes";
  bad = good;
  bad.sequence = 5000;
  EXPECT_FALSE(agents.Up(1, 0, bad)) << "too far ahead";
  bad = good;
  bad.participants = {{"other", 0, 1}};
  bad.nodes = {NodeId{5}, NodeId{6}};
  EXPECT_FALSE(agents.Up(4, 1, bad)) << "none of its nodes is there";
  EXPECT_TRUE(agents.Up(1, 0, good));
  const Status twice = agents.Up(1, 0, good);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kProtocol);
  EXPECT_EQ(agents[0].open_count(), 1u);
}

TEST(Collectives, OnlyTheParentSpeaksFromAbove) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 4});
  const std::string payload = EncodeCollective({CollectiveKind::kFence,
                                                {{"job", pmix::kRankWildcard, 1}},
                                                0,
                                                {NodeId{3}, NodeId{4}},
                                                pmix::kErrTimeout},
                                               0);
  EXPECT_FALSE(agents[3].OnDown(NodeId{0}, payload));
  EXPECT_FALSE(agents[0].OnDown(NodeId{0}, payload));
  EXPECT_FALSE(agents[3].OnDown(NodeId{1}, "x"));
  EXPECT_TRUE(agents[3].OnDown(NodeId{1}, payload));
}

TEST(Collectives, AHostsStateComesFromBelow) {
  Agents agents(TwoLevels());
  EXPECT_FALSE(agents[0].OnHostState(NodeId{2}, EncodeHostState({NodeId{3}, true})));
  EXPECT_FALSE(agents[1].OnHostState(NodeId{0}, EncodeHostState({NodeId{0}, true})));
  EXPECT_TRUE(agents[0].OnHostState(NodeId{1}, EncodeHostState({NodeId{3}, true})));
}

TEST(Collectives, ARelayThatForgotASeriesTakesItUpAgain) {
  Agents agents(TwoLevels());
  agents.Add("job", {3, 5}, {1, 2});
  constexpr uint64_t kFences = 3000;
  for (uint64_t i = 0; i < kFences; ++i) {
    agents.All(3, i, "");
    agents.All(5, i, "");
    agents.Deliver();
  }
  // Enough other series to make the relay forget.
  for (uint32_t i = 0; i < 5000; ++i) {
    const std::string name = "job" + std::to_string(i);
    agents.Add(name, {3, 5}, {1, 2});
    for (const uint32_t n : {3u, 5u}) agents.Contribute(n, i, {{name, pmix::kRankWildcard}}, "");
    agents.Deliver();
    for (const uint32_t n : {0u, 3u, 5u}) agents.Remove(n, name);
  }
  EXPECT_LE(agents[1].series_count(), 4097u);
  agents.All(3, kFences, "a");
  agents.All(5, kFences, "b");
  agents.Deliver();
  EXPECT_EQ(agents.Done(3).back().status, pmix::kSuccess);
  EXPECT_EQ(Sorted(agents.Done(3).back().data), "ab");
}

}  // namespace
}  // namespace rex
