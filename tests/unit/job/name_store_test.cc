#include "launcher/job/name_store.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::seconds;

class FakeClock final : public Clock {
 public:
  Time Now() const override { return now; }
  Time now{1000};
};

constexpr uint32_t Number(PmixRange range) { return static_cast<uint32_t>(range); }
constexpr uint32_t Number(PmixPersistence p) { return static_cast<uint32_t>(p); }

class NameStoreTest : public testing::Test {
 protected:
  int32_t Publish(const pmix::ProcId& proc, const std::string& key, const std::string& value,
                  PmixRange range = PmixRange::kSession,
                  PmixPersistence persistence = PmixPersistence::kSession,
                  NodeId node = kHeadNode) {
    pmix::Publish m;
    m.request = ++request_;
    m.proc = proc;
    m.items = {{key, value, {}}};
    m.range = Number(range);
    m.persistence = Number(persistence);
    replies_ = store_.Publish(m, node);
    return Status();
  }
  // The status, or 1 when the lookup waits.
  int32_t Lookup(const pmix::ProcId& proc, std::vector<std::string> keys,
                 PmixRange range = PmixRange::kSession, NodeId node = kHeadNode) {
    replies_ = store_.Lookup(
        {++request_, proc, std::move(keys), false, 0, seconds(0), Number(range)}, node);
    return Status();
  }
  int32_t Wait(const pmix::ProcId& proc, std::vector<std::string> keys, uint32_t count = 0,
               seconds timeout = seconds(0)) {
    replies_ = store_.Lookup(
        {++request_, proc, std::move(keys), true, count, timeout, Number(PmixRange::kSession)},
        kHeadNode);
    return replies_.empty() ? 1 : Status();
  }
  int32_t Unpublish(const pmix::ProcId& proc, std::vector<std::string> keys,
                    PmixRange range = PmixRange::kSession) {
    replies_ = store_.Unpublish({++request_, proc, std::move(keys), Number(range)}, kHeadNode);
    return Status();
  }
  // Of the last call's first answer, which must answer the request itself.
  int32_t Status() const {
    const pmix::HostMessage& first = replies_.at(0).message;
    if (const auto* done = std::get_if<pmix::OpDone>(&first)) {
      EXPECT_EQ(done->request, request_);
      return done->status;
    }
    EXPECT_EQ(Found(0).request, request_);
    return Found(0).status;
  }
  const pmix::LookupDone& Found(size_t index) const {
    return std::get<pmix::LookupDone>(replies_.at(index).message);
  }
  std::string Value(size_t reply, size_t item = 0) const {
    return Found(reply).items.at(item).value;
  }

  FakeClock clock_;
  NameStore store_{clock_};
  NameStore::Replies replies_;
  uint64_t request_ = 0;
  const pmix::ProcId a0_{"a", 0}, a1_{"a", 1}, b0_{"b", 0};
};

TEST_F(NameStoreTest, FindsWhatWasPublishedWithItsOwner) {
  EXPECT_EQ(Publish(a0_, "port", "tcp:1"), pmix::kSuccess);
  EXPECT_EQ(Lookup(b0_, {"port"}), pmix::kSuccess);
  EXPECT_EQ(Value(0), "tcp:1");
  EXPECT_EQ(Found(0).items[0].key, "port");
  EXPECT_EQ(Found(0).items[0].owner, a0_);
}

TEST_F(NameStoreTest, DoesNotBelieveTheOwnerInTheItem) {
  pmix::Publish m;
  m.proc = a0_;
  m.items = {{"k", "v", b0_}};
  replies_ = store_.Publish(m, kHeadNode);
  ASSERT_EQ(Lookup(a1_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Found(0).items[0].owner, a0_);
}

TEST_F(NameStoreTest, SomeKeysArePartialSuccessAndNoneIsNotFound) {
  Publish(a0_, "x", "1");
  EXPECT_EQ(Lookup(a1_, {"x", "y"}), pmix::kErrPartialSuccess);
  EXPECT_EQ(Found(0).items.size(), 1U);
  EXPECT_EQ(Lookup(a1_, {"y", "z"}), pmix::kErrNotFound);
  EXPECT_TRUE(Found(0).items.empty());
}

TEST_F(NameStoreTest, AKeyAskedForTwiceIsOneKey) {
  Publish(a0_, "x", "1", PmixRange::kSession, PmixPersistence::kFirstRead);
  EXPECT_EQ(Wait(a1_, {"x", "x"}), pmix::kSuccess);
  EXPECT_EQ(Found(0).items.size(), 1U);
}

TEST_F(NameStoreTest, RefusesBadRequests) {
  EXPECT_EQ(Publish(a0_, "", "v"), pmix::kErrBadParam);
  EXPECT_EQ(Lookup(a0_, {}), pmix::kErrBadParam);
  pmix::Publish m;
  m.request = ++request_;
  m.proc = a0_;
  replies_ = store_.Publish(m, kHeadNode);
  EXPECT_EQ(Status(), pmix::kErrBadParam);
  m.items = {{"k", "v", a0_}};
  m.range = 8;
  replies_ = store_.Publish(m, kHeadNode);
  EXPECT_EQ(Status(), pmix::kErrBadParam);
  m.range = 0;
  m.persistence = 5;
  replies_ = store_.Publish(m, kHeadNode);
  EXPECT_EQ(Status(), pmix::kErrBadParam);
  EXPECT_EQ(Publish(a0_, "k", "v", PmixRange::kCustom), pmix::kErrNotSupported);
  EXPECT_EQ(Publish(a0_, "k", "v", PmixRange::kResourceManager), pmix::kErrNotSupported);
  EXPECT_EQ(Lookup(a0_, {"k"}, PmixRange::kCustom), pmix::kErrNotSupported);
  EXPECT_EQ(store_.item_count(), 0U);
}

// ---- duplicates ----

TEST_F(NameStoreTest, TheSameKeyInTheSameRangeIsADuplicateForAnyone) {
  Publish(a0_, "k", "1");
  EXPECT_EQ(Publish(a0_, "k", "2"), pmix::kErrDuplicateKey);
  EXPECT_EQ(Publish(b0_, "k", "2"), pmix::kErrDuplicateKey);
  EXPECT_EQ(Publish(b0_, "k", "2", PmixRange::kUndefined), pmix::kErrDuplicateKey);
  Lookup(b0_, {"k"});
  EXPECT_EQ(Value(0), "1");
}

TEST_F(NameStoreTest, OtherCirclesMayUseTheSameKey) {
  EXPECT_EQ(Publish(a0_, "k", "a", PmixRange::kNamespace), pmix::kSuccess);
  EXPECT_EQ(Publish(b0_, "k", "b", PmixRange::kNamespace), pmix::kSuccess);
  EXPECT_EQ(Publish(a1_, "k", "x", PmixRange::kNamespace), pmix::kErrDuplicateKey);
  EXPECT_EQ(Publish(a0_, "k", "p", PmixRange::kProcLocal), pmix::kSuccess);
  EXPECT_EQ(Publish(a1_, "k", "q", PmixRange::kProcLocal), pmix::kSuccess);
  EXPECT_EQ(Publish(a0_, "k", "g", PmixRange::kGlobal), pmix::kSuccess);
}

TEST_F(NameStoreTest, ADuplicateAmongSeveralStoresNothing) {
  Publish(a0_, "k", "1");
  pmix::Publish m;
  m.request = ++request_;
  m.proc = b0_;
  m.items = {{"new", "v", b0_}, {"k", "v", b0_}};
  replies_ = store_.Publish(m, kHeadNode);
  EXPECT_EQ(Status(), pmix::kErrDuplicateKey);
  m.items = {{"new", "v", b0_}, {"new", "w", b0_}};
  replies_ = store_.Publish(m, kHeadNode);
  EXPECT_EQ(Status(), pmix::kErrDuplicateKey);
  EXPECT_EQ(store_.item_count(), 1U);
}

TEST_F(NameStoreTest, TooMuchIsRefusedAndRoomComesBack) {
  const std::string big(kMaxNameStoreBytes - 1, 'v');
  EXPECT_EQ(Publish(a0_, "k", big), pmix::kSuccess);
  EXPECT_EQ(Publish(a0_, "l", "v"), kPmixErrOutOfResource);
  EXPECT_EQ(Unpublish(a0_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Publish(a0_, "l", "v"), pmix::kSuccess);
}

// ---- ranges ----

struct RangeCase {
  PmixRange range;
  bool own, same_job, other_job;
};

TEST_F(NameStoreTest, RangesDecideWhoSees) {
  const RangeCase cases[] = {
      {PmixRange::kUndefined, true, true, true},  {PmixRange::kLocal, true, true, true},
      {PmixRange::kNamespace, true, true, false}, {PmixRange::kSession, true, true, true},
      {PmixRange::kGlobal, true, true, true},     {PmixRange::kProcLocal, true, false, false},
  };
  for (const RangeCase& c : cases) {
    const std::string key = "key" + std::to_string(Number(c.range));
    ASSERT_EQ(Publish(a0_, key, "v", c.range), pmix::kSuccess);
    EXPECT_EQ(Lookup(a0_, {key}) == pmix::kSuccess, c.own) << key;
    EXPECT_EQ(Lookup(a1_, {key}) == pmix::kSuccess, c.same_job) << key;
    EXPECT_EQ(Lookup(b0_, {key}) == pmix::kSuccess, c.other_job) << key;
  }
}

TEST_F(NameStoreTest, ALookupsRangeLimitsWhoseItemsAreConsidered) {
  Publish(a0_, "k", "v");
  EXPECT_EQ(Lookup(a1_, {"k"}, PmixRange::kNamespace), pmix::kSuccess);
  EXPECT_EQ(Lookup(b0_, {"k"}, PmixRange::kNamespace), pmix::kErrNotFound);
  EXPECT_EQ(Lookup(a1_, {"k"}, PmixRange::kProcLocal), pmix::kErrNotFound);
  EXPECT_EQ(Lookup(a0_, {"k"}, PmixRange::kProcLocal), pmix::kSuccess);
}

TEST_F(NameStoreTest, TheNarrowestItemWins) {
  Publish(a0_, "k", "global", PmixRange::kGlobal);
  Publish(a0_, "k", "job", PmixRange::kNamespace);
  Publish(a1_, "k", "mine", PmixRange::kProcLocal);
  Lookup(a1_, {"k"});
  EXPECT_EQ(Value(0), "mine");
  Lookup(a0_, {"k"});
  EXPECT_EQ(Value(0), "job");
  Lookup(b0_, {"k"});
  EXPECT_EQ(Value(0), "global");
}

TEST_F(NameStoreTest, TheLocalRangeIsTheAskersNode) {
  constexpr NodeId kOther{3};
  EXPECT_EQ(Publish(a0_, "k", "here", PmixRange::kLocal), pmix::kSuccess);
  EXPECT_EQ(Publish(a1_, "k", "again", PmixRange::kLocal), pmix::kErrDuplicateKey);
  EXPECT_EQ(Publish(a1_, "k", "there", PmixRange::kLocal, PmixPersistence::kSession, kOther),
            pmix::kSuccess)
      << "another node's key is another key";
  EXPECT_EQ(Lookup(b0_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Value(0), "here");
  EXPECT_EQ(Lookup(b0_, {"k"}, PmixRange::kSession, kOther), pmix::kSuccess);
  EXPECT_EQ(Value(0), "there");
  EXPECT_EQ(Lookup(a0_, {"k"}, PmixRange::kSession, NodeId{4}), pmix::kErrNotFound);
}

TEST_F(NameStoreTest, ALookupInTheLocalRangeFindsWhatItsNodePublished) {
  constexpr NodeId kOther{3};
  Publish(a0_, "k", "v", PmixRange::kSession, PmixPersistence::kSession, kOther);
  EXPECT_EQ(Lookup(b0_, {"k"}, PmixRange::kLocal), pmix::kErrNotFound);
  EXPECT_EQ(Lookup(b0_, {"k"}, PmixRange::kLocal, kOther), pmix::kSuccess);
}

// ---- waiting ----

TEST_F(NameStoreTest, WaitersOfSeveralNodesAreToldApartThoughTheirNumbersAreTheSame) {
  const auto wait = [&](NodeId node, const char* key, seconds timeout) {
    const pmix::Lookup m{7, b0_, {key}, true, 0, timeout, Number(PmixRange::kSession)};
    EXPECT_TRUE(store_.Lookup(m, node).empty());
  };
  wait(NodeId{1}, "k", seconds(0));
  wait(NodeId{2}, "k", seconds(0));
  wait(NodeId{3}, "late", seconds(5));
  Publish(a0_, "k", "v", PmixRange::kSession, PmixPersistence::kSession, NodeId{4});
  ASSERT_EQ(replies_.size(), 3U);
  EXPECT_EQ(replies_[0].node, NodeId{4});
  EXPECT_EQ(replies_[1].node, NodeId{1});
  EXPECT_EQ(replies_[2].node, NodeId{2});
  EXPECT_EQ(Found(1).request, 7U);
  replies_ = store_.Expire(clock_.now + seconds(5));
  ASSERT_EQ(replies_.size(), 1U);
  EXPECT_EQ(replies_[0].node, NodeId{3});
}

TEST_F(NameStoreTest, AWaitingLookupIsAnsweredByALaterPublish) {
  EXPECT_EQ(Wait(b0_, {"k"}), 1);
  const uint64_t waiting = request_;
  EXPECT_EQ(Publish(a0_, "k", "v"), pmix::kSuccess);
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(Found(1).request, waiting);
  EXPECT_EQ(Found(1).status, pmix::kSuccess);
  EXPECT_EQ(Value(1), "v");
  EXPECT_EQ(store_.waiting_count(), 0U);
}

TEST_F(NameStoreTest, WaitsForAllKeys) {
  EXPECT_EQ(Wait(b0_, {"k", "l"}), 1);
  Publish(a0_, "l", "2");
  EXPECT_EQ(replies_.size(), 1U);
  Publish(a1_, "k", "1");
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(Value(1, 0), "1");
  EXPECT_EQ(Value(1, 1), "2");
}

TEST_F(NameStoreTest, WaitsForAsManyAsAsked) {
  EXPECT_EQ(Wait(b0_, {"k", "l", "m"}, 2), 1);
  Publish(a0_, "l", "2");
  EXPECT_EQ(replies_.size(), 1U);
  Publish(a0_, "m", "3");
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(Found(1).status, pmix::kErrPartialSuccess);
  EXPECT_EQ(Found(1).items.size(), 2U);
  EXPECT_EQ(Wait(b0_, {"k", "l"}, 9), 1) << "a count beyond the keys means all";
}

TEST_F(NameStoreTest, AWaitIsAnsweredAtOnceWhenAllIsThere) {
  Publish(a0_, "k", "v");
  EXPECT_EQ(Wait(b0_, {"k"}, 0, seconds(5)), pmix::kSuccess);
  EXPECT_FALSE(store_.NextDeadline());
}

TEST_F(NameStoreTest, WhatAWaiterMayNotSeeDoesNotWakeIt) {
  EXPECT_EQ(Wait(b0_, {"k"}), 1);
  Publish(a0_, "k", "v", PmixRange::kNamespace);
  EXPECT_EQ(replies_.size(), 1U);
  Publish(a0_, "k", "v", PmixRange::kGlobal);
  EXPECT_EQ(replies_.size(), 2U);
}

TEST_F(NameStoreTest, AFailedPublishWakesNobody) {
  Publish(a0_, "k", "v", PmixRange::kNamespace);
  EXPECT_EQ(Wait(b0_, {"k"}), 1);
  EXPECT_EQ(Publish(a1_, "k", "v", PmixRange::kNamespace), pmix::kErrDuplicateKey);
  EXPECT_EQ(replies_.size(), 1U);
}

TEST_F(NameStoreTest, OnlyTimedOutWaitersAreAnsweredByExpire) {
  Wait(a0_, {"x"}, 0, seconds(5));
  const uint64_t first = request_;
  Wait(a1_, {"x"}, 0, seconds(2));
  const uint64_t second = request_;
  Wait(b0_, {"x"});
  EXPECT_EQ(store_.NextDeadline(), clock_.now + seconds(2));
  EXPECT_TRUE(store_.Expire(clock_.now + seconds(1)).empty());
  replies_ = store_.Expire(clock_.now + seconds(2));
  ASSERT_EQ(replies_.size(), 1U);
  EXPECT_EQ(Found(0).request, second);
  EXPECT_EQ(Found(0).status, pmix::kErrTimeout);
  EXPECT_EQ(store_.NextDeadline(), clock_.now + seconds(5));
  replies_ = store_.Expire(clock_.now + seconds(60));
  ASSERT_EQ(replies_.size(), 1U);
  EXPECT_EQ(Found(0).request, first);
  EXPECT_FALSE(store_.NextDeadline());
  EXPECT_EQ(store_.waiting_count(), 1U);
}

// ---- persistence ----

TEST_F(NameStoreTest, AFirstReadItemIsReadOnce) {
  Publish(a0_, "k", "v", PmixRange::kSession, PmixPersistence::kFirstRead);
  EXPECT_EQ(Lookup(a1_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Lookup(a1_, {"k"}), pmix::kErrNotFound);
  EXPECT_EQ(Publish(a0_, "k", "w"), pmix::kSuccess) << "the key is free again";
}

TEST_F(NameStoreTest, OfSeveralWaitersTheOldestGetsAFirstReadItem) {
  Wait(a1_, {"k"});
  const uint64_t oldest = request_;
  Wait(b0_, {"k"});
  Publish(a0_, "k", "v", PmixRange::kSession, PmixPersistence::kFirstRead);
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(Found(1).request, oldest);
  EXPECT_EQ(store_.waiting_count(), 1U);
  EXPECT_EQ(store_.item_count(), 0U);
}

TEST_F(NameStoreTest, AWaitThatFailsLeavesFirstReadItemsInPlace) {
  Publish(a0_, "k", "v", PmixRange::kSession, PmixPersistence::kFirstRead);
  Wait(b0_, {"k", "never"}, 0, seconds(1));
  store_.Expire(clock_.now + seconds(1));
  EXPECT_EQ(Lookup(b0_, {"k"}), pmix::kSuccess);
}

struct EndCase {
  uint32_t persistence;
  bool survives_process, survives_job;
};

TEST_F(NameStoreTest, PersistenceDecidesWhatOutlivesProcessAndJob) {
  const EndCase cases[] = {
      {Number(PmixPersistence::kIndefinite), true, true},
      {Number(PmixPersistence::kFirstRead), true, true},
      {Number(PmixPersistence::kProcess), false, false},
      {Number(PmixPersistence::kApplication), true, false},
      {Number(PmixPersistence::kSession), true, true},
      {UINT8_MAX, true, false},  // not said: application
  };
  for (const EndCase& c : cases) {
    NameStore store(clock_);
    pmix::Publish m;
    m.proc = a0_;
    m.items = {{"k", "v", a0_}};
    m.persistence = c.persistence;
    store.Publish(m, kHeadNode);
    store.OnProcGone(a1_);
    store.OnProcGone({"b", pmix::kRankWildcard});
    EXPECT_EQ(store.item_count(), 1U) << c.persistence;
    store.OnProcGone(a0_);
    EXPECT_EQ(store.item_count() == 1, c.survives_process) << c.persistence;
    store.OnProcGone({"a", pmix::kRankWildcard});
    EXPECT_EQ(store.item_count() == 1, c.survives_job) << c.persistence;
  }
}

TEST_F(NameStoreTest, TheLookupsOfADeadProcessEndWithIt) {
  Wait(a0_, {"k"}, 0, seconds(9));
  const uint64_t dead = request_;
  Wait(a1_, {"k"});
  Wait(b0_, {"k"});
  replies_ = store_.OnProcGone(a0_);
  ASSERT_EQ(replies_.size(), 1U);
  EXPECT_EQ(Found(0).request, dead);
  EXPECT_EQ(Found(0).status, pmix::kErrLostConnection);
  EXPECT_FALSE(store_.NextDeadline());
  EXPECT_EQ(store_.OnProcGone({"a", pmix::kRankWildcard}).size(), 1U);
  EXPECT_EQ(store_.waiting_count(), 1U);
}

// ---- unpublish ----

TEST_F(NameStoreTest, OnlyTheOwnerUnpublishes) {
  Publish(a0_, "k", "v");
  EXPECT_EQ(Unpublish(a1_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Lookup(b0_, {"k"}), pmix::kSuccess);
  EXPECT_EQ(Unpublish(a0_, {"k", "other"}), pmix::kSuccess);
  EXPECT_EQ(Lookup(b0_, {"k"}), pmix::kErrNotFound);
}

TEST_F(NameStoreTest, UnpublishesTheNamedRangeFirst) {
  Publish(a0_, "k", "session", PmixRange::kSession);
  Publish(a0_, "k", "job", PmixRange::kNamespace);
  Unpublish(a0_, {"k"}, PmixRange::kSession);
  Lookup(a1_, {"k"});
  EXPECT_EQ(Value(0), "job");
  Unpublish(a0_, {"k"}, PmixRange::kSession);
  EXPECT_EQ(store_.item_count(), 0U) << "in any range when none is in the named one";
}

TEST_F(NameStoreTest, WithoutKeysAllOfTheRangeGoes) {
  Publish(a0_, "k", "1", PmixRange::kNamespace);
  Publish(a0_, "l", "2", PmixRange::kSession);
  Publish(a1_, "m", "3", PmixRange::kSession);
  Unpublish(a0_, {}, PmixRange::kSession);
  EXPECT_EQ(store_.item_count(), 2U);
  Unpublish(a0_, {}, PmixRange::kUndefined);
  EXPECT_EQ(store_.item_count(), 1U);
  EXPECT_EQ(Lookup(b0_, {"m"}), pmix::kSuccess);
}

}  // namespace
}  // namespace rex
