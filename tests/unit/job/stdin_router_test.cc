#include "launcher/job/stdin_router.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

constexpr NodeId kA{1}, kB{2}, kC{3};

class StdinRouterTest : public ::testing::Test {
 protected:
  uint64_t asked_ = 0;
  std::map<NodeId, std::string> sent_;
  std::vector<NodeId> ends_;
  StdinRouter router_{{[this](uint64_t bytes) { asked_ += bytes; },
                       [this](NodeId part, const std::string& bytes) { sent_[part] += bytes; },
                       [this](NodeId part) { ends_.push_back(part); }}};
};

TEST_F(StdinRouterTest, AsksForWhatTheSlowestTakes) {
  router_.Start({kA, kB});
  router_.OnCredit(kA, 100);
  EXPECT_EQ(asked_, 0U);
  router_.OnCredit(kB, 40);
  EXPECT_EQ(asked_, 40U);
  router_.OnCredit(kB, 100);
  EXPECT_EQ(asked_, 100U);
}

TEST_F(StdinRouterTest, SendsToEveryTarget) {
  router_.Start({kA, kB});
  router_.OnCredit(kA, 5);
  router_.OnCredit(kB, 5);
  ASSERT_TRUE(router_.OnBytes("hello"));
  router_.OnEnd();
  router_.OnEnd();
  EXPECT_EQ(sent_, (std::map<NodeId, std::string>{{kA, "hello"}, {kB, "hello"}}));
  EXPECT_EQ(ends_, (std::vector<NodeId>{kA, kB}));
}

TEST_F(StdinRouterTest, ATargetThatIsDoneHoldsNobodyUp) {
  router_.Start({kA, kB});
  router_.OnCredit(kA, 10);
  router_.OnDone(kB);
  EXPECT_EQ(asked_, 10U);
  ASSERT_TRUE(router_.OnBytes("0123456789"));
  EXPECT_FALSE(sent_.contains(kB));
}

TEST_F(StdinRouterTest, WithoutTargetsNothingIsAskedFor) {
  router_.Start({kA});
  router_.OnDone(kA);
  router_.OnCredit(kA, 10);
  router_.OnCredit(kC, 10);
  EXPECT_EQ(asked_, 0U);
}

TEST_F(StdinRouterTest, MoreThanWasAskedForIsRefused) {
  router_.Start({kA});
  router_.OnCredit(kA, 3);
  ASSERT_TRUE(router_.OnBytes("abc"));
  const Status more = router_.OnBytes("d");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::kProtocol);
}

TEST_F(StdinRouterTest, AfterTheEndNothingIsAskedFor) {
  router_.Start({kA});
  router_.OnEnd();
  router_.OnCredit(kA, 3);
  EXPECT_EQ(asked_, 0U);
}

}  // namespace
}  // namespace rex
