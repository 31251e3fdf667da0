#include "launcher/job/group_store.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using std::chrono::seconds;
constexpr NodeId kA{1};
constexpr NodeId kB{2};

class GroupStoreTest : public ::testing::Test {
 protected:
  static pmix::Group Group(uint64_t request, const std::string& id = "g") {
    pmix::Group group;
    group.request = request;
    group.id = id;
    group.members = {{"job", 0}, {"job", 1}};
    group.want_context = true;
    return group;
  }
  GroupStore store_{
      [](const std::vector<pmix::ProcId>& procs) -> std::optional<std::vector<NodeId>> {
        std::vector<NodeId> nodes;
        for (const pmix::ProcId& proc : procs) {
          if (proc.name_space != "job") return std::nullopt;
          nodes.push_back(proc.rank == 0 ? kA : kB);
        }
        return nodes;
      }};
};

TEST_F(GroupStoreTest, AllAreAnsweredAlikeWhenTheLastHasCome) {
  EXPECT_TRUE(store_.OnGroup(Group(1), kB, seconds(0)).empty());
  const auto replies = store_.OnGroup(Group(2), kA, seconds(0));
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].node, kB);
  EXPECT_EQ(replies[0].message.request, 1U);
  EXPECT_EQ(replies[1].message.request, 2U);
  EXPECT_EQ(replies[0].message.context, replies[1].message.context);
  EXPECT_EQ(store_.open_count(), 0U);
}

TEST_F(GroupStoreTest, ContextsNeverComeAgain) {
  store_.OnGroup(Group(1), kA, seconds(0));
  const uint64_t first = store_.OnGroup(Group(2), kB, seconds(0))[0].message.context;
  store_.OnGroup(Group(3), kA, seconds(0));
  const uint64_t second = store_.OnGroup(Group(4), kB, seconds(0))[0].message.context;
  EXPECT_GT(first, 0U);
  EXPECT_NE(first, second);
}

TEST_F(GroupStoreTest, NoContextUnlessAskedFor) {
  pmix::Group group = Group(1);
  group.want_context = false;
  group.operation = pmix::Group::Operation::kDestruct;
  store_.OnGroup(group, kA, seconds(0));
  EXPECT_EQ(store_.OnGroup(group, kB, seconds(0))[0].message.context, 0U);
}

TEST_F(GroupStoreTest, ConstructAndDestructOfOneNameAreTwoThings) {
  EXPECT_TRUE(store_.OnGroup(Group(1), kA, seconds(0)).empty());
  pmix::Group destruct = Group(2);
  destruct.operation = pmix::Group::Operation::kDestruct;
  EXPECT_TRUE(store_.OnGroup(destruct, kB, seconds(0)).empty());
  EXPECT_EQ(store_.open_count(), 2U);
}

TEST_F(GroupStoreTest, NonsenseIsRefused) {
  pmix::Group group = Group(1);
  group.members.push_back({"stranger", 0});
  EXPECT_EQ(store_.OnGroup(group, kA, seconds(0))[0].message.status, pmix::kErrNotFound);
  EXPECT_TRUE(store_.OnGroup(Group(1), kA, seconds(0)).empty());
  EXPECT_EQ(store_.OnGroup(Group(2), kA, seconds(0))[0].message.status, pmix::kErrBadParam);
  group = Group(3);
  group.members.pop_back();
  EXPECT_EQ(store_.OnGroup(group, kB, seconds(0))[0].message.status, pmix::kErrBadParam);
  EXPECT_EQ(store_.OnGroup(Group(4, "other"), NodeId{9}, seconds(0))[0].message.status,
            pmix::kErrBadParam);
  EXPECT_EQ(store_.open_count(), 1U);
}

TEST_F(GroupStoreTest, AMemberThatEndsFailsIt) {
  store_.OnGroup(Group(1), kA, seconds(0));
  EXPECT_TRUE(store_.OnProcGone({"job", 7}).empty());
  EXPECT_TRUE(store_.OnProcGone({"other", 1}).empty());
  const auto replies = store_.OnProcGone({"job", 1});
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].message.status, pmix::kErrLostConnection);
  EXPECT_EQ(replies[0].message.context, 0U);
  store_.OnGroup(Group(2), kA, seconds(0));
  EXPECT_EQ(store_.OnProcGone({"job", pmix::kRankWildcard}).size(), 1U);
}

TEST_F(GroupStoreTest, TheShortestTimeLimitCounts) {
  pmix::Group group = Group(1);
  group.timeout = seconds(30);
  store_.OnGroup(group, kA, seconds(100));
  EXPECT_EQ(store_.NextDeadline(), seconds(130));
  EXPECT_TRUE(store_.Expire(seconds(129)).empty());
  const auto replies = store_.Expire(seconds(130));
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].message.status, pmix::kErrTimeout);
  EXPECT_FALSE(store_.NextDeadline());
}

}  // namespace
}  // namespace rex
