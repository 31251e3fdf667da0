#include "launcher/exchange/modexes.h"

#include "tests/unit/exchange/test_tree.h"

namespace rex {
namespace {

using std::chrono::seconds;
constexpr Clock::Time kNow{1'000'000};
constexpr uint64_t kLimit = 100;

class ModexesTest : public testing::Test {
 protected:
  ModexesTest() : wire_(Shape::Flat(3)) {
    for (uint32_t n = 0; n < 3; ++n) {
      ports_.push_back(std::make_unique<ExchangePort>(wire_.PortOf(NodeId{n})));
      said_.emplace_back();
    }
    const auto map = MapOf({0, 1, 2, 1});
    maps_.Add("job", map);
    for (uint32_t n = 0; n < 3; ++n) {
      modexes_.push_back(std::make_unique<Modexes>(
          Modexes::Deps{*ports_[n], maps_,
                        [this, n](const pmix::HostMessage& m) { said_[n].push_back(m); }, kLimit}));
    }
  }
  void Ask(uint32_t node, uint64_t request, const pmix::ProcId& proc,
           seconds timeout = seconds(0)) {
    modexes_[node]->Ask({request, proc, timeout}, kNow);
  }
  Status Give(const Sent& sent) {
    Modexes& to = *modexes_[Index(sent.to)];
    const auto kind = static_cast<ExchangeMessage>(sent.kind);
    if (kind == ExchangeMessage::kModexAsk) return to.OnAsk(sent.from, sent.payload);
    if (kind == ExchangeMessage::kModexAnswer) return to.OnAnswer(sent.from, sent.payload);
    return to.OnCancel(sent.from, sent.payload);
  }
  void Deliver() {
    while (!wire_.queue.empty()) {
      const Sent sent = std::move(wire_.queue.front());
      wire_.queue.pop_front();
      const Status s = Give(sent);
      EXPECT_TRUE(s) << s.error().text;
    }
  }
  std::vector<pmix::ModexDone> Done(uint32_t node) const {
    return Only<pmix::ModexDone>(said_[node]);
  }
  std::vector<pmix::ModexRequest> Asked(uint32_t node) const {
    return Only<pmix::ModexRequest>(said_[node]);
  }
  void ExpectIdle() const {
    for (const auto& modexes : modexes_) {
      EXPECT_EQ(modexes->count(), 0u);
      EXPECT_FALSE(modexes->NextDeadline());
    }
  }

  Wire wire_;
  NamespaceMaps maps_;
  std::vector<std::unique_ptr<ExchangePort>> ports_;
  std::vector<std::vector<pmix::HostMessage>> said_;
  std::vector<std::unique_ptr<Modexes>> modexes_;
};

TEST_F(ModexesTest, TheRanksNodeAnswers) {
  Ask(2, 77, {"job", 3});
  Deliver();
  ASSERT_EQ(Asked(1).size(), 1u);
  EXPECT_EQ(Asked(1)[0].proc, (pmix::ProcId{"job", 3}));
  EXPECT_TRUE(Asked(0).empty());
  EXPECT_TRUE(Done(2).empty());
  modexes_[1]->OnServed({Asked(1)[0].request, pmix::kSuccess, "data"});
  Deliver();
  ASSERT_EQ(Done(2).size(), 1u);
  EXPECT_EQ(Done(2)[0].request, 77u);
  EXPECT_EQ(Done(2)[0].data, "data");
  ExpectIdle();
}

TEST_F(ModexesTest, ManyAskersAreToldApart) {
  Ask(2, 1, {"job", 1});
  Ask(0, 1, {"job", 1});
  Ask(0, 2, {"job", 3});
  Deliver();
  ASSERT_EQ(Asked(1).size(), 3u);
  for (const auto& ask : Asked(1)) {
    modexes_[1]->OnServed({ask.request, pmix::kSuccess, std::to_string(ask.proc.rank)});
  }
  Deliver();
  ASSERT_EQ(Done(2).size(), 1u);
  EXPECT_EQ(Done(2)[0].data, "1");
  ASSERT_EQ(Done(0).size(), 2u);
  EXPECT_EQ(Done(0)[0].data + Done(0)[1].data, "13");
  ExpectIdle();
}

TEST_F(ModexesTest, WhatIsOnNoOtherNodeIsNotFound) {
  Ask(1, 1, {"job", 4});
  Ask(1, 2, {"other", 0});
  Ask(1, 3, {"job", 1});  // our own
  Ask(1, 4, {"job", pmix::kRankWildcard});
  ASSERT_EQ(Done(1).size(), 4u);
  for (const auto& done : Done(1)) EXPECT_EQ(done.status, pmix::kErrNotFound);
  EXPECT_TRUE(wire_.queue.empty());
}

TEST_F(ModexesTest, TheAskersOwnBoundEndsItElseOurs) {
  Ask(0, 1, {"job", 1}, seconds(3));
  Ask(0, 2, {"job", 1});
  Deliver();
  EXPECT_EQ(modexes_[0]->NextDeadline(), kNow + seconds(3));
  modexes_[0]->Expire(kNow + seconds(2));
  EXPECT_TRUE(Done(0).empty());
  modexes_[0]->Expire(kNow + seconds(3));
  ASSERT_EQ(Done(0).size(), 1u);
  EXPECT_EQ(Done(0)[0].request, 1u);
  EXPECT_EQ(Done(0)[0].status, pmix::kErrTimeout);
  Deliver();
  EXPECT_EQ(modexes_[1]->count(), 1u) << "the rank's node has let go of it";
  modexes_[1]->OnServed({Asked(1)[0].request, pmix::kSuccess, "late"});
  EXPECT_TRUE(wire_.queue.empty());
  EXPECT_EQ(modexes_[0]->NextDeadline(), kNow + kModexBound);
  modexes_[0]->Expire(kNow + kModexBound);
  EXPECT_EQ(Done(0).size(), 2u);
  Deliver();
  ExpectIdle();
}

TEST_F(ModexesTest, AnAnswerAfterTheBoundIsDropped) {
  Ask(0, 1, {"job", 1}, seconds(3));
  Deliver();
  modexes_[1]->OnServed({Asked(1)[0].request, pmix::kSuccess, "data"});
  modexes_[0]->Expire(kNow + seconds(3));
  Deliver();
  ASSERT_EQ(Done(0).size(), 1u);
  EXPECT_EQ(Done(0)[0].status, pmix::kErrTimeout);
  ExpectIdle();
}

TEST_F(ModexesTest, ALostNodeIsAnsweredForAndNotAskedAgain) {
  Ask(0, 1, {"job", 1});
  Ask(2, 1, {"job", 1});
  Deliver();
  modexes_[0]->OnNodesLost({NodeId{1}});
  ASSERT_EQ(Done(0).size(), 1u);
  EXPECT_EQ(Done(0)[0].status, pmix::kErrLostConnection);
  EXPECT_TRUE(wire_.queue.empty()) << "nothing is sent to a lost node";
  Ask(0, 2, {"job", 3});
  EXPECT_EQ(Done(0)[1].status, pmix::kErrLostConnection);
  modexes_[1]->OnNodesLost({NodeId{2}});
  EXPECT_EQ(modexes_[1]->count(), 1u);
}

TEST_F(ModexesTest, ALostHostAnswersNobody) {
  Ask(0, 1, {"job", 1});
  Ask(1, 1, {"job", 0});
  Deliver();
  modexes_[1]->OnHostLost();
  Deliver();
  ASSERT_EQ(Done(0).size(), 1u);
  EXPECT_EQ(Done(0)[0].status, pmix::kErrLostConnection);
  EXPECT_TRUE(Done(1).empty());
  Ask(0, 2, {"job", 1});
  Deliver();
  EXPECT_EQ(Done(0)[1].status, pmix::kErrLostConnection);
  modexes_[1]->OnHostBack();
  Ask(0, 3, {"job", 1});
  Deliver();
  EXPECT_EQ(Asked(1).size(), 2u);
}

TEST_F(ModexesTest, ANamespaceThatGoesEndsItsModexes) {
  Ask(0, 1, {"job", 1});
  Ask(2, 1, {"job", 3});
  Deliver();
  modexes_[0]->OnNamespaceGone("job");
  modexes_[1]->OnNamespaceGone("job");
  Deliver();
  ASSERT_EQ(Done(0).size(), 1u);
  EXPECT_EQ(Done(0)[0].status, pmix::kErrLostConnection);
  ASSERT_EQ(Done(2).size(), 1u);
  EXPECT_EQ(Done(2)[0].status, pmix::kErrLostConnection);
  ExpectIdle();
}

TEST_F(ModexesTest, TooMuchDataIsRefused) {
  Ask(0, 1, {"job", 1});
  Ask(0, 2, {"job", 1});
  Deliver();
  modexes_[1]->OnServed({Asked(1)[0].request, pmix::kSuccess, std::string(kLimit + 1, 'x')});
  modexes_[1]->OnServed({Asked(1)[1].request, pmix::kSuccess, std::string(kLimit, 'x')});
  Deliver();
  EXPECT_EQ(Done(0)[0].status, pmix::kErrOutOfResource);
  EXPECT_EQ(Done(0)[1].status, pmix::kSuccess);
}

TEST_F(ModexesTest, NonsenseIsRefused) {
  Ask(0, 1, {"job", 1});
  const Sent ask = wire_.queue.front();
  wire_.queue.clear();
  EXPECT_TRUE(Give(ask));
  EXPECT_FALSE(Give(ask)) << "the same number twice";
  EXPECT_FALSE(modexes_[0]->OnAnswer(NodeId{2}, EncodeModex({1, {}, 0}, ""))) << "was not asked";
  EXPECT_TRUE(modexes_[0]->OnAnswer(NodeId{2}, EncodeModex({99, {}, 0}, "")));
  EXPECT_FALSE(modexes_[0]->OnAnswer(NodeId{1}, "?"));
  EXPECT_TRUE(Done(0).empty());
  EXPECT_TRUE(modexes_[2]->OnAsk(NodeId{0}, EncodeModex({5, {"job", 1}, 0}, "")));
  ASSERT_EQ(wire_.queue.size(), 1u) << "another node's rank: not found";
  const auto answer = DecodeModex(wire_.queue.front().payload, false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.status, pmix::kErrNotFound);
}

}  // namespace
}  // namespace rex
