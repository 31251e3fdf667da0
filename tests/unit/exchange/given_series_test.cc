// Series of collectives that an agent gives to its host: docs/design/uplinks.md.
#include "tests/unit/exchange/hosted_nodes.h"

namespace rex {
namespace {

using std::chrono::seconds;
using Way = HostedNodes::Way;

// 0 - {1 - {3, 4}, 2 - {5, 6}}
Shape TwoLevels() { return Shape({0, 0, 0, 1, 1, 2, 2}); }

std::string Sorted(std::string text) {
  std::sort(text.begin(), text.end());
  return text;
}

std::vector<size_t> KindsOf(const std::vector<pmix::HostMessage>& said) {
  std::vector<size_t> kinds;
  for (const auto& message : said) kinds.push_back(message.index());
  return kinds;
}

// All of `nodes` meet once; every answer has this status and, if it is good, everybody's data.
void Meet(HostedNodes& tree, const std::vector<uint32_t>& nodes, uint64_t request,
          int32_t status = pmix::kSuccess, const std::string& data = "x") {
  for (const uint32_t n : nodes) tree.All(n, request, data);
  tree.Deliver();
  for (const uint32_t n : nodes) {
    ASSERT_FALSE(tree.done(n).empty()) << "node " << n << " request " << request;
    EXPECT_EQ(tree.done(n).back().request, request) << "node " << n;
    EXPECT_EQ(tree.done(n).back().status, status) << "node " << n << " request " << request;
    if (status == pmix::kSuccess) {
      EXPECT_EQ(tree.done(n).back().data.size(), nodes.size() * data.size());
    }
  }
}

const CollectiveHeader kJob{CollectiveKind::kFence,
                            {{"job", pmix::kRankWildcard, 1}},
                            0,
                            {NodeId{1}, NodeId{2}},
                            pmix::kSuccess};

std::string JobsDown(uint64_t sequence, int32_t status) {
  CollectiveHeader header = kJob;
  header.sequence = sequence;
  header.status = status;
  return EncodeCollective(header, 0);
}

// A series over the nodes 1 and 2 below the head, which has no part in it.
class TwoLeaves : public ::testing::Test {
 protected:
  TwoLeaves() : tree_(Shape::Flat(3), 1) { tree_.Add("job", {1, 2}); }
  // Both hosts own it after one fence.
  void GiveToBoth() {
    for (const uint32_t n : {1U, 2U}) tree_.SetUplink(n, true);
    Meet(tree_, {1, 2}, request_++);
    ASSERT_EQ(tree_.given(1) + tree_.given(2), 2U);
  }
  HostedNodes tree_;
  uint64_t request_ = 100;
};

// ---- when

TEST(GivenSeries, AfterSoManyAndNotBefore) {
  HostedNodes tree(Shape::Flat(2), 3);
  tree.Add("job", {1, 1});
  for (uint64_t i = 0; i < 2; ++i) {
    Meet(tree, {1}, i);
    EXPECT_EQ(tree.given(1), 0U) << i;
  }
  Meet(tree, {1}, 2);
  ASSERT_EQ(tree.given(1), 1U);
  const auto next = DecodeCollective(Only<pmix::SeriesGiven>(tree.said(1))[0].header);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->header.kind, CollectiveKind::kFence);
  EXPECT_EQ(next->header.participants, kJob.participants);
  EXPECT_EQ(next->header.sequence, 3U);
  EXPECT_EQ(next->header.nodes, std::vector<NodeId>{NodeId{1}});
  EXPECT_EQ(next->header.status, pmix::kSuccess);
}

TEST(GivenSeries, NeverWhenThatIsWanted) {
  HostedNodes tree(Shape::Flat(2), 0);
  tree.Add("job", {0, 1});
  tree.Add("own", {1});
  tree.SetUplink(1, true);
  for (uint64_t i = 0; i < 50; ++i) {
    Meet(tree, {0, 1}, i);
    tree.Contribute(1, {1000 + i, {{"own", 0}}, true, "", {}, CollectiveKind::kFence, seconds(0)});
    tree.Deliver();
  }
  EXPECT_EQ(tree.given(1) + tree.wants(1), 0U);
  EXPECT_EQ(tree.done(1).size(), 100U);
}

TEST(GivenSeries, IsToldBeforeTheAnswerAndOnce) {
  HostedNodes tree(Shape::Flat(2), 1);
  tree.Add("job", {1});
  for (uint64_t i = 0; i < 4; ++i) Meet(tree, {1}, i);
  const std::vector<size_t> wanted = {pmix::HostMessage(pmix::SeriesGiven{}).index(),
                                      pmix::HostMessage(pmix::FenceDone{}).index()};
  EXPECT_EQ(KindsOf(tree.said(1)), wanted) << "the host ends all but the first by itself";
  EXPECT_EQ(tree.done(1).size(), 4U);
}

// Each kind of collective, and each set of participants, is a series of its own.
TEST(GivenSeries, EachKindAndSetByItself) {
  HostedNodes tree(Shape::Flat(2), 2);
  tree.Add("job", {1, 1});
  uint64_t request = 0;
  const auto meet = [&](CollectiveKind kind, std::vector<pmix::ProcId> procs) {
    tree.Contribute(1, {request++, std::move(procs), true, "", {}, kind, seconds(0)});
    tree.Deliver();
    return tree.given(1);
  };
  EXPECT_EQ(meet(CollectiveKind::kFence, {{"job", 0}, {"job", 1}}), 0U);
  EXPECT_EQ(meet(CollectiveKind::kConnect, {{"job", 0}, {"job", 1}}), 0U);
  EXPECT_EQ(meet(CollectiveKind::kFence, {{"job", 0}}), 0U);
  EXPECT_EQ(meet(CollectiveKind::kFence, {{"job", 1}, {"job", 0}}), 1U) << "the same set";
  EXPECT_EQ(meet(CollectiveKind::kConnect, {{"job", 0}, {"job", 1}}), 2U);
  EXPECT_EQ(meet(CollectiveKind::kDisconnect, {{"job", 0}, {"job", 1}}), 2U);
  EXPECT_EQ(tree.host(1).series_count(), 2U);
  EXPECT_EQ(tree.agent(1).series_count(), 4U);
}

TEST(GivenSeries, NotAfterAFailureUntilAnotherOneWentWell) {
  HostedNodes tree(Shape::Flat(2), 2);
  tree.Add("job", {1});
  const std::string too_much(HostedNodes::kMostBytes + 1, 'x');
  Meet(tree, {1}, 0);
  Meet(tree, {1}, 1, pmix::kErrOutOfResource, too_much);
  EXPECT_EQ(tree.given(1), 0U);
  Meet(tree, {1}, 2);
  EXPECT_EQ(tree.given(1), 1U);
  Meet(tree, {1}, 3);
}

TEST_F(TwoLeaves, NotWhileANextOneIsUnderWay) {
  tree_.SetUplink(1, true);
  tree_.All(1, 1, "a");
  tree_.All(1, 2, "b");  // before the first is over, which ranks can't but libpmix might
  tree_.Deliver();
  tree_.All(2, 1, "a");
  tree_.Deliver();
  ASSERT_EQ(tree_.done(1).size(), 1U);
  EXPECT_EQ(tree_.given(1), 0U);
  tree_.All(2, 2, "b");
  tree_.Deliver();
  ASSERT_EQ(tree_.done(1).size(), 2U);
  EXPECT_EQ(tree_.given(1), 1U);
}

// One that is decided already, though the host has two to go before it.
TEST_F(TwoLeaves, NotWhileAFailureWaitsForTheHost) {
  tree_.SetUplink(1, true);
  ASSERT_TRUE(tree_.agent(1).OnDown(NodeId{0}, JobsDown(2, pmix::kErrTimeout)));
  for (uint64_t i = 0; i < 2; ++i) {
    tree_.All(1, i, "a");
    tree_.Deliver();
    ASSERT_TRUE(tree_.agent(1).OnDown(NodeId{0}, JobsDown(i, pmix::kSuccess)));
    tree_.Deliver();
    ASSERT_EQ(tree_.done(1).size(), i + 1);
    EXPECT_EQ(tree_.given(1), 0U) << i;
  }
  tree_.All(1, 2, "b");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1)[2].status, pmix::kErrTimeout);
}

TEST_F(TwoLeaves, OthersThanANodesOwnOnlyWithAnUplink) {
  for (uint64_t i = 0; i < 3; ++i) {
    Meet(tree_, {1, 2}, i);
    EXPECT_EQ(tree_.wants(1), i + 1) << "it is asked for each time";
    EXPECT_EQ(tree_.given(1), 0U);
  }
  tree_.SetUplink(1, true);
  tree_.SetUplink(1, false);
  Meet(tree_, {1, 2}, 3);
  EXPECT_EQ(tree_.wants(1), 4U);
  tree_.SetUplink(1, true);
  Meet(tree_, {1, 2}, 4);
  EXPECT_EQ(tree_.given(1), 1U);
  EXPECT_EQ(tree_.given(2), 0U) << "node 2 has no uplink";
  const size_t wants = tree_.wants(1);
  Meet(tree_, {1, 2}, 5);
  EXPECT_EQ(tree_.wants(1), wants);
  EXPECT_EQ(tree_.wants(0), 0U) << "the head has nobody above";
}

TEST(GivenSeries, ANodesOwnNeedsNoUplink) {
  HostedNodes tree(TwoLevels(), 1);
  tree.Add("job", {4, 4});
  for (uint64_t i = 0; i < 3; ++i) Meet(tree, {4}, i);
  EXPECT_EQ(tree.given(4), 1U);
  EXPECT_EQ(tree.wants(4), 0U);
  for (const uint32_t n : {0U, 1U}) EXPECT_EQ(tree.agent(n).series_count(), 0U);
}

TEST(GivenSeries, NeverWithParticipantsBelow) {
  HostedNodes tree(TwoLevels(), 1);
  tree.Add("job", {1, 3, 5});
  for (uint32_t n = 1; n < 7; ++n) tree.SetUplink(n, true);
  for (uint64_t i = 0; i < 20; ++i) Meet(tree, {1, 3, 5}, i);
  EXPECT_EQ(tree.given(1) + tree.wants(1), 0U) << "node 3 is below node 1";
  EXPECT_EQ(tree.given(3), 1U);
  EXPECT_EQ(tree.given(5), 1U);
  EXPECT_EQ(tree.given(0) + tree.given(2), 0U) << "relays have nothing to give";
}

TEST(GivenSeries, ChildrenWithoutParticipantsDoNotMatter) {
  HostedNodes tree(TwoLevels(), 1);
  tree.Add("job", {1, 2});
  for (const uint32_t n : {1U, 2U}) tree.SetUplink(n, true);
  for (uint64_t i = 0; i < 3; ++i) Meet(tree, {1, 2}, i);
  EXPECT_EQ(tree.given(1) + tree.given(2), 2U);
}

TEST(GivenSeries, NotWithALostNode) {
  HostedNodes tree(Shape::Flat(2), 1);
  tree.Add("job", {1});
  tree.All(1, 1, "");
  tree.agent(1).OnNodesLost({NodeId{1}});
  tree.Deliver();
  EXPECT_EQ(tree.done(1)[0].status, pmix::kErrLostConnection);
  EXPECT_EQ(tree.given(1), 0U);
}

// ---- what the two owners do

TEST_F(TwoLeaves, TheNumberGoesOn) {
  Meet(tree_, {1, 2}, 1);
  Meet(tree_, {1, 2}, 2);
  GiveToBoth();
  tree_.All(1, 7, "a");
  ASSERT_EQ(tree_.queue.size(), 1U);
  EXPECT_EQ(tree_.queue[0].way, Way::kUplinkUp);
  const auto up = DecodeCollective(tree_.queue[0].payload);
  ASSERT_TRUE(up);
  EXPECT_EQ(up->header.sequence, 3U);
  EXPECT_EQ(up->header.nodes, kJob.nodes);
  EXPECT_EQ(up->bulk.view(), "a");
  tree_.All(2, 7, "b");
  tree_.Deliver();
  EXPECT_EQ(Sorted(tree_.done(1).back().data), "ab");
  EXPECT_EQ(tree_.done(1).back().data, tree_.done(2).back().data);
}

TEST_F(TwoLeaves, AfterThatNeitherAgentIsHeard) {
  GiveToBoth();
  const size_t said = tree_.said(1).size() + tree_.said(2).size();
  for (uint64_t i = 0; i < 10; ++i) {
    for (const uint32_t n : {1U, 2U}) tree_.All(n, i, "x");
    EXPECT_EQ(tree_.Count(Way::kUplinkUp), 2U);
    EXPECT_EQ(tree_.queue.size(), 2U);
    while (tree_.Count(Way::kUplinkUp) > 0) tree_.DeliverAt(0);
    EXPECT_EQ(tree_.Count(Way::kUplinkDown), 2U);
    EXPECT_EQ(tree_.queue.size(), 2U);
    tree_.Deliver();
  }
  EXPECT_EQ(tree_.said(1).size() + tree_.said(2).size(), said);
  EXPECT_EQ(tree_.done(1).size(), 11U);
  tree_.ExpectIdle();
}

// The node above answers each as it came; and one that loses its uplink, by its agent.
TEST_F(TwoLeaves, TheNodeAboveAnswersByTheWayThatItWasAsked) {
  tree_.SetUplink(1, true);
  Meet(tree_, {1, 2}, 1);
  for (const uint32_t n : {1U, 2U}) tree_.All(n, 2, "x");
  while (tree_.Count(Way::kUplinkUp) + tree_.Count(Way::kToAgent) > 0) tree_.DeliverAt(0);
  ASSERT_EQ(tree_.queue.size(), 1U);
  tree_.DeliverAt(0);  // up from node 2, by its link
  ASSERT_EQ(tree_.queue.size(), 2U);
  for (const auto& down : tree_.queue) {
    EXPECT_EQ(down.way, down.to == NodeId{1} ? Way::kUplinkDown : Way::kLink);
  }
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().data, "xx");
}

TEST_F(TwoLeaves, WithoutTheUplinkTheAnswerComesByTheAgent) {
  GiveToBoth();
  tree_.All(1, 1, "a");
  tree_.Deliver();
  tree_.SetUplink(1, false);
  tree_.All(2, 1, "b");
  tree_.DeliverAt(0);
  EXPECT_EQ(tree_.Count(Way::kUplinkDown), 1U) << "to node 2";
  EXPECT_EQ(tree_.Count(Way::kLink), 1U) << "to node 1";
  const size_t before = tree_.said(1).size();
  tree_.Deliver();
  ASSERT_EQ(tree_.said(1).size(), before + 1);
  EXPECT_TRUE(std::holds_alternative<pmix::FromAbove>(tree_.said(1).back()));
  EXPECT_EQ(Sorted(tree_.done(1).back().data), "ab");
  EXPECT_EQ(tree_.done(1).back().data, tree_.done(2).back().data);
  tree_.ExpectIdle();
}

TEST_F(TwoLeaves, ASecondCopyOfAnAnswerIsPassedOver) {
  GiveToBoth();
  for (const uint32_t n : {1U, 2U}) tree_.All(n, 1, "x");
  while (tree_.Count(Way::kUplinkUp) > 0) tree_.DeliverAt(0);
  const auto to_one = *std::find_if(tree_.queue.begin(), tree_.queue.end(),
                                    [](const auto& m) { return m.to == NodeId{1}; });
  tree_.Deliver();
  ASSERT_EQ(tree_.done(1).size(), 2U);
  EXPECT_TRUE(tree_.Give(to_one)) << "by the uplink once more";
  EXPECT_TRUE(tree_.agent(1).OnDown(NodeId{0}, to_one.payload)) << "by the agent";
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).size(), 2U);
  Meet(tree_, {1, 2}, 2);
}

TEST_F(TwoLeaves, WhatComesToTheAgentGoesToTheHostAsItIs) {
  GiveToBoth();
  const std::string payload = JobsDown(1, pmix::kErrTimeout);
  ASSERT_TRUE(tree_.agent(1).OnDown(NodeId{0}, payload));
  ASSERT_TRUE(std::holds_alternative<pmix::FromAbove>(tree_.said(1).back()));
  EXPECT_EQ(std::get<pmix::FromAbove>(tree_.said(1).back()).payload, payload);
  EXPECT_EQ(tree_.done(1).size(), 1U);
  tree_.Deliver();
  tree_.All(1, 2, "x");
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrTimeout) << "it had failed before it began";
  EXPECT_EQ(tree_.done(1).back().request, 2U);
}

TEST_F(TwoLeaves, TheAgentRefusesWhatIsTheHosts) {
  GiveToBoth();
  tree_.agent(1).Contribute(
      {9, {{"job", pmix::kRankWildcard}}, true, "", {}, CollectiveKind::kFence, seconds(0)},
      HostedNodes::kNow);
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().request, 9U);
  EXPECT_EQ(tree_.done(1).back().status, pmix::kError);
  Meet(tree_, {1, 2}, 10);
}

TEST_F(TwoLeaves, AHostKnowsItsOwnOnly) {
  GiveToBoth();
  const auto knows = [this](std::vector<pmix::ProcId> procs, CollectiveKind kind) {
    pmix::Fence fence{1, std::move(procs), true, "data", {}, kind, seconds(0)};
    const bool took = tree_.host(1).ContributeIfKnown(fence, HostedNodes::kNow);
    EXPECT_EQ(fence.data, took ? "" : "data");
    return took;
  };
  EXPECT_TRUE(knows({{"job", pmix::kRankWildcard}}, CollectiveKind::kFence));
  EXPECT_FALSE(knows({{"job", pmix::kRankWildcard}}, CollectiveKind::kConnect));
  EXPECT_FALSE(knows({{"job", 0}, {"job", 1}}, CollectiveKind::kFence));
  EXPECT_FALSE(knows({{"other", pmix::kRankWildcard}}, CollectiveKind::kFence));
}

// ---- failures while the series is the hosts'

TEST_F(TwoLeaves, AHostsTimeoutGoesThroughTheTop) {
  GiveToBoth();
  tree_.All(1, 1, "a", seconds(2));
  tree_.Deliver();
  EXPECT_EQ(tree_.host(1).NextDeadline(), HostedNodes::kNow + seconds(2));
  EXPECT_FALSE(tree_.agent(1).NextDeadline());
  tree_.host(1).Expire(HostedNodes::kNow + seconds(1));
  EXPECT_TRUE(tree_.queue.empty());
  tree_.host(1).Expire(HostedNodes::kNow + seconds(2));
  EXPECT_EQ(tree_.done(1).size(), 1U) << "the top decides";
  EXPECT_EQ(tree_.Count(Way::kUplinkUp), 1U);
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrTimeout);
  tree_.All(2, 1, "late");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(2).back().status, pmix::kErrTimeout);
  tree_.ExpectIdle();
  Meet(tree_, {1, 2}, 2);
}

TEST_F(TwoLeaves, TooMuchDataFailsForBothWhoeverHasIt) {
  GiveToBoth();
  tree_.All(1, 1, std::string(HostedNodes::kMostBytes + 1, 'x'));
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrOutOfResource);
  tree_.All(2, 1, "b");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(2).back().status, pmix::kErrOutOfResource);
  Meet(tree_, {1, 2}, 2, pmix::kErrOutOfResource,
       std::string(HostedNodes::kMostBytes / 2 + 1, 'x'));
  Meet(tree_, {1, 2}, 3);
  tree_.ExpectIdle();
}

// The failure comes by the agent: what came by the uplink so far was of another series.
TEST_F(TwoLeaves, AFailureBeforeTheHostContributedIsNotLost) {
  GiveToBoth();
  Meet(tree_, {1, 2}, 1);
  tree_.agent(0).OnNodesLost({NodeId{2}});
  tree_.All(1, 2, "a");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrLostConnection);
  tree_.ExpectIdle();
}

TEST_F(TwoLeaves, ALostNodeFailsWhatIsUnderWay) {
  GiveToBoth();
  tree_.All(1, 1, "a");
  tree_.Deliver();
  tree_.agent(0).OnNodesLost({NodeId{2}});
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrLostConnection);
  tree_.ExpectIdle();
}

TEST_F(TwoLeaves, ALostHostFailsItForTheOther) {
  GiveToBoth();
  for (const uint32_t lost_first : {0U, 1U}) {
    if (lost_first == 0) tree_.All(1, 1, "a");
    tree_.Deliver();
    if (lost_first == 0) tree_.agent(2).OnHostLost();
    if (lost_first == 1) tree_.All(1, 2, "b");
    tree_.Deliver();
    EXPECT_EQ(tree_.done(1).back().status, pmix::kErrLostConnection) << lost_first;
    EXPECT_EQ(tree_.done(1).back().request, 1 + lost_first);
  }
  tree_.ExpectIdle();
}

TEST_F(TwoLeaves, ANamespaceThatGoesIsAnsweredByTheHost) {
  GiveToBoth();
  tree_.All(1, 1, "a");
  tree_.Deliver();
  for (const uint32_t n : {1U, 2U, 0U}) tree_.Remove(n, "job");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().request, 1U);
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrLostConnection);
  EXPECT_EQ(tree_.done(1).size(), 2U);
  EXPECT_EQ(tree_.done(2).size(), 1U);
  for (const uint32_t n : {1U, 2U}) {
    EXPECT_EQ(tree_.host(n).series_count(), 0U);
    EXPECT_EQ(tree_.agent(n).series_count(), 0U);
  }
  tree_.ExpectIdle();
}

// The head's job has ended, that of the nodes has not yet.
TEST_F(TwoLeaves, AfterTheHeadForgotTheNamespaceNothingWaits) {
  GiveToBoth();
  tree_.Remove(0, "job");
  tree_.All(1, 1, "a");
  tree_.Deliver();
  EXPECT_EQ(tree_.done(1).back().status, pmix::kErrNotFound);
  tree_.ExpectIdle();
}

TEST(GivenSeries, ConnectsOfTwoJobsAreGivenToo) {
  HostedNodes tree(TwoLevels(), 2);
  tree.Add("job", {3, 4});
  tree.Add("other", {4, 6});
  for (const uint32_t n : {3U, 4U, 6U}) tree.SetUplink(n, true);
  for (uint64_t i = 0; i < 5; ++i) {
    for (const CollectiveKind kind : {CollectiveKind::kConnect, CollectiveKind::kDisconnect}) {
      for (const uint32_t n : {3U, 4U, 6U}) {
        const std::vector<pmix::ProcId> both = {{"other", pmix::kRankWildcard},
                                                {"job", pmix::kRankWildcard}};
        tree.Contribute(n, {i, both, true, "", {}, kind, seconds(0)});
      }
      tree.Deliver();
    }
  }
  for (const uint32_t n : {3U, 4U, 6U}) {
    EXPECT_EQ(tree.given(n), 2U);
    ASSERT_EQ(tree.done(n).size(), 10U);
    for (const auto& done : tree.done(n)) EXPECT_EQ(done.status, pmix::kSuccess);
  }
  // One of the two ends: what is under way with it ends, for the job that is left.
  tree.Contribute(3, {99,
                      {{"job", pmix::kRankWildcard}, {"other", pmix::kRankWildcard}},
                      true,
                      "",
                      {},
                      CollectiveKind::kConnect,
                      seconds(0)});
  tree.Deliver();
  for (const uint32_t n : {0U, 3U, 4U, 6U}) tree.Remove(n, "other");
  tree.Deliver();
  EXPECT_EQ(tree.done(3).back().request, 99U);
  EXPECT_EQ(tree.done(3).back().status, pmix::kErrLostConnection);
  EXPECT_EQ(tree.host(3).series_count(), 0U);
}

// ---- nonsense by an uplink

TEST_F(TwoLeaves, NonsenseByAnUplinkIsRefused) {
  GiveToBoth();
  const auto up = [this](uint32_t from, const CollectiveHeader& header) {
    return tree_.agent(0).OnUp(NodeId{from}, EncodeCollective(header, 0),
                               Collectives::Way::kUplink);
  };
  CollectiveHeader next = kJob;
  next.sequence = 1;
  EXPECT_FALSE(tree_.agent(0).OnUp(NodeId{1}, "x", Collectives::Way::kUplink));
  EXPECT_FALSE(up(0, next)) << "no child";
  CollectiveHeader bad = next;
  bad.nodes = {NodeId{1}};
  EXPECT_FALSE(up(1, bad)) << "other nodes than its ranks'";
  bad = next;
  bad.sequence = 5000;
  EXPECT_FALSE(up(1, bad)) << "too far ahead";
  EXPECT_TRUE(up(1, next));
  EXPECT_FALSE(up(1, next)) << "twice";
  EXPECT_FALSE(tree_.agent(0).OnUp(NodeId{1}, EncodeCollective(next, 0))) << "again by the link";
  EXPECT_EQ(tree_.agent(0).open_count(), 1U);
}

// ---- the whole tree, in any order of what is independent

struct Weather {
  const char* name;
  bool two_level;
  uint32_t give_after;
  bool too_much_now_and_then;
};

void PrintTo(const Weather& weather, std::ostream* os) { *os << weather.name; }

class AnyOrder : public ::testing::TestWithParam<Weather> {};

// Three series over all nodes or some; a node goes on in each as soon as it was answered there.
class Walk {
 public:
  static constexpr uint64_t kRounds = 25;

  Walk(const Weather& weather, uint32_t seed)
      : tree_(weather.two_level ? TwoLevels() : Shape::Flat(7), weather.give_after),
        random_(seed),
        too_much_(weather.too_much_now_and_then) {
    tree_.Add("job", {0, 1, 2, 3, 4, 5, 6});
    for (uint32_t n = 1; n < 7; ++n) may_have_uplink_.push_back(random_() % 4 != 0);
  }

  void Run() {
    for (size_t steps = 0; !AllDone(); ++steps) {
      ASSERT_LT(steps, 1'000'000U) << "somebody waits in vain";
      Begin();
      MakeUplinks();
      if (!tree_.queue.empty()) tree_.DeliverSome(random_);
    }
    while (!tree_.queue.empty()) tree_.DeliverSome(random_);
    Check();
  }
  size_t given() const {
    size_t given = 0;
    for (uint32_t n = 0; n < 7; ++n) given += tree_.given(n);
    return given;
  }

 private:
  struct Series {
    std::vector<uint32_t> nodes;
    std::vector<pmix::ProcId> procs;
    CollectiveKind kind;
  };
  // Requests tell series and round: round * 8 + series.
  const std::vector<Series> series_ = {
      {{0, 1, 2, 3, 4, 5, 6}, {{"job", pmix::kRankWildcard}}, CollectiveKind::kFence},
      {{3, 4, 6}, {{"job", 3}, {"job", 4}, {"job", 6}}, CollectiveKind::kFence},
      {{1, 2, 5}, {{"job", 1}, {"job", 2}, {"job", 5}}, CollectiveKind::kConnect},
      {{5}, {{"job", 5}}, CollectiveKind::kFence}};

  static char Letter(uint32_t node) { return static_cast<char>('a' + node); }
  bool FailsAt(size_t series, uint64_t round) const {
    return too_much_ && (round * 7 + series) % 5 == 4;
  }
  std::string DataOf(uint32_t node, size_t series, uint64_t round) const {
    const bool too_much = FailsAt(series, round) && node == series_[series].nodes.back();
    return {std::string(too_much ? HostedNodes::kMostBytes + 1 : 1 + round % 3, Letter(node))};
  }
  bool AllDone() const {
    for (uint32_t n = 0; n < 7; ++n) {
      for (size_t s = 0; s < series_.size(); ++s) {
        if (Has(n, s) && Answered(n, s) < kRounds) return false;
      }
    }
    return true;
  }
  bool Has(uint32_t node, size_t series) const {
    const auto& nodes = series_[series].nodes;
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  }
  std::vector<pmix::FenceDone> AnswersOf(uint32_t node, size_t series) const {
    std::vector<pmix::FenceDone> answers;
    for (const auto& done : tree_.done(node)) {
      if (done.request % 8 == series) answers.push_back(done);
    }
    return answers;
  }
  uint64_t Answered(uint32_t node, size_t series) const { return AnswersOf(node, series).size(); }

  // Some node's ranks meet in some series, if they are not under way there.
  void Begin() {
    const uint32_t node = random_() % 7;
    const size_t s = random_() % series_.size();
    uint64_t& begun = begun_[{node, s}];
    if (!Has(node, s) || begun == kRounds || Answered(node, s) < begun) return;
    const uint64_t round = begun++;
    tree_.Contribute(node, {round * 8 + s,
                            series_[s].procs,
                            true,
                            DataOf(node, s, round),
                            {},
                            series_[s].kind,
                            seconds(0)});
  }
  void MakeUplinks() {
    const uint32_t node = 1 + random_() % 6;
    if (may_have_uplink_[node - 1] && tree_.wants(node) > 0 && !tree_.has_uplink(node)) {
      tree_.SetUplink(node, true);
    }
  }
  void Check() const {
    for (size_t s = 0; s < series_.size(); ++s) {
      const auto first = AnswersOf(series_[s].nodes[0], s);
      for (const uint32_t node : series_[s].nodes) CheckAnswers(s, node, first);
    }
    tree_.ExpectIdle();
  }
  void CheckAnswers(size_t s, uint32_t node, const std::vector<pmix::FenceDone>& first) const {
    const auto answers = AnswersOf(node, s);
    ASSERT_EQ(answers.size(), kRounds);
    for (uint64_t round = 0; round < kRounds; ++round) {
      const bool fails = FailsAt(s, round);
      std::string all;
      for (const uint32_t other : series_[s].nodes) all += fails ? "" : DataOf(other, s, round);
      EXPECT_EQ(answers[round].request, round * 8 + s) << "node " << node;
      EXPECT_EQ(answers[round].status, fails ? pmix::kErrOutOfResource : pmix::kSuccess)
          << "node " << node << " series " << s << " round " << round;
      EXPECT_EQ(Sorted(answers[round].data), Sorted(all));
      EXPECT_EQ(answers[round].data, first[round].data) << "in another order than elsewhere";
    }
  }

  HostedNodes tree_;
  std::mt19937 random_;
  bool too_much_;
  std::vector<bool> may_have_uplink_;
  std::map<std::pair<uint32_t, size_t>, uint64_t> begun_;
};

TEST_P(AnyOrder, AllEndWithTheSameDataWhoeverOwnsTheSeries) {
  size_t given = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(GetParam(), seed);
    ASSERT_NO_FATAL_FAILURE(walk.Run());
    given += walk.given();
    if (HasFailure()) return;
  }
  if (GetParam().give_after == 0) {
    EXPECT_EQ(given, 0U);
  } else {
    EXPECT_GT(given, 40U * 3) << "the walks do not test what they are for";
  }
}

INSTANTIATE_TEST_SUITE_P(Trees, AnyOrder,
                         ::testing::Values(Weather{"FlatNever", false, 0, false},
                                           Weather{"FlatAtOnce", false, 1, false},
                                           Weather{"FlatLater", false, 8, false},
                                           Weather{"FlatWithFailures", false, 3, true},
                                           Weather{"DeepNever", true, 0, true},
                                           Weather{"DeepAtOnce", true, 1, false},
                                           Weather{"DeepLater", true, 8, false},
                                           Weather{"DeepWithFailures", true, 2, true}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace rex
