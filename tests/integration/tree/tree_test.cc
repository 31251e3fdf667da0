// Trees of virtual nodes: they come up, talk, lose members, end.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "launcher/base/descendants.h"
#include "tests/integration/tree/tree_fixture.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

TEST_F(TreeTest, NoNodesNoTree) {
  Start({});
  EXPECT_TRUE(tree_->children().empty());
  EXPECT_EQ(tree_->traffic().messages_sent, 0u);
  Close();
}

TEST_F(TreeTest, OneNodeComesUpAnswersAndMovesToTcp) {
  StartVirtual(1);
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  EXPECT_EQ(ready_.at(NodeId{1}).hostname, "v1");
  EXPECT_EQ(ready_.at(NodeId{1}).cores, 2u);
  EchoAll();
  EXPECT_TRUE(RunUntil([&] { return tree_->links_on_tcp() == 1; })) << Trouble();
  EchoAll();
  EXPECT_TRUE(notices_.empty()) << Trouble();
  EXPECT_GT(tree_->traffic().messages_sent, 2u);
  EXPECT_GT(tree_->traffic().bytes_received, 10u);
}

TEST_F(TreeTest, EightNodesFlat) {
  StartVirtual(8);
  ASSERT_TRUE(AwaitReady(8)) << Trouble();
  EXPECT_EQ(tree_->children().size(), 8u);
  EchoAll();
  answers_.clear();
  tree_->Broadcast(kEcho, FrameClass::kData, "all");
  ASSERT_TRUE(AwaitAnswers(8)) << Trouble();
  const std::vector<std::string> expected = {"v1 all", "v2 all", "v3 all", "v4 all",
                                             "v5 all", "v6 all", "v7 all", "v8 all"};
  EXPECT_EQ(SortedAnswers(), expected);
}

TEST_F(TreeTest, ClocksOfOneMachineAgreeWithinTheirErrorAlsoTwoLevelsDown) {
  StartVirtual(3, TreeShape::kTwoLevel);
  ASSERT_TRUE(AwaitReady(3)) << Trouble();
  const auto known = [&] {
    return tree_->OffsetTo(NodeId{1}) && tree_->OffsetTo(NodeId{2}) && tree_->OffsetTo(NodeId{3});
  };
  ASSERT_TRUE(RunUntil(known)) << Trouble() << "known: " << tree_->OffsetTo(NodeId{1}).has_value()
                               << tree_->OffsetTo(NodeId{2}).has_value()
                               << tree_->OffsetTo(NodeId{3}).has_value();
  for (const uint32_t node : {1, 2, 3}) {
    const ClockOffset offset = *tree_->OffsetTo(NodeId{node});
    EXPECT_LE(std::abs(offset.offset.count()), offset.error.count() + 1) << node;
  }
  EXPECT_FALSE(tree_->OffsetTo(NodeId{9}));
}

TEST_F(TreeTest, MessagesGoBetweenAnyTwoNodes) {
  StartVirtual(7, TreeShape::kTwoLevel);  // 1: 4, 5; 2: 6; 3: 7
  ASSERT_TRUE(AwaitReady(7)) << Trouble();
  EXPECT_EQ(tree_->below(NodeId{1}), NodeIds({4, 5}));
  const std::vector<std::pair<uint32_t, std::string>> tells = {
      {4, "7 across"}, {4, "5 beside"}, {4, "1 up"}, {1, "4 down"}, {1, "2 over"}};
  for (const auto& [node, text] : tells) {
    tree_->Send(NodeId{node}, kTell, FrameClass::kControl, text);
  }
  ASSERT_TRUE(AwaitAnswers(tells.size())) << Trouble();
  const std::vector<std::string> expected = {"v1 heard up from 4", "v2 heard over from 1",
                                             "v4 heard down from 1", "v5 heard beside from 4",
                                             "v7 heard across from 4"};
  EXPECT_EQ(SortedAnswers(), expected);
}

TEST_F(TreeTest, AKilledAgentIsLostAndItsKeeperSaysHow) {
  StartVirtual(2);
  ASSERT_TRUE(AwaitReady(2)) << Trouble();
  ::kill(AgentPid(1), SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !losses_.empty(); })) << Trouble();
  EXPECT_EQ(losses_[0].nodes, NodeIds({1}));
  EXPECT_TRUE(Has(losses_[0].why.text, "v1")) << Trouble();
  EXPECT_TRUE(Has(losses_[0].why.text,
                  "the agent (pid " + std::to_string(AgentPid(1)) + ") was ended by signal 9"))
      << Trouble();
  EXPECT_EQ(tree_->children(), NodeIds({2}));
  losses_.clear();
  tree_->Send(NodeId{1}, kEcho, FrameClass::kControl, "dropped");
  tree_->Send(NodeId{2}, kEcho, FrameClass::kControl, "still there");
  ASSERT_TRUE(AwaitAnswers(1)) << Trouble();
  EXPECT_EQ(answers_[0], "v2 still there");
}

TEST_F(TreeTest, AKilledInnerAgentTakesItsSubtreeWithIt) {
  StartVirtual(7, TreeShape::kTwoLevel);
  ASSERT_TRUE(AwaitReady(7)) << Trouble();
  ::kill(AgentPid(1), SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !losses_.empty(); })) << Trouble();
  EXPECT_EQ(losses_[0].nodes, NodeIds({1, 4, 5}));
  EXPECT_TRUE(Has(losses_[0].why.text, "was ended by signal 9")) << Trouble();
  // What was below ends by itself, while the tree goes on.
  EXPECT_TRUE(RunUntil([&] {
    return ReadProcess(AgentPid(4)).pid == 0 && ReadProcess(AgentPid(5)).pid == 0;
  })) << Trouble();
  EXPECT_EQ(losses_.size(), 1u) << Trouble();
}

TEST_F(TreeTest, TheHeadHearsOfALostLeafAndWhy) {
  StartVirtual(7, TreeShape::kTwoLevel);
  ASSERT_TRUE(AwaitReady(7)) << Trouble();
  ::kill(AgentPid(5), SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !losses_.empty(); })) << Trouble();
  EXPECT_EQ(losses_[0].nodes, NodeIds({5}));
  EXPECT_TRUE(Has(losses_[0].why.text, "v5")) << Trouble();
  EXPECT_TRUE(Has(losses_[0].why.text, "was ended by signal 9")) << Trouble();
  EXPECT_EQ(tree_->below(NodeId{1}), NodeIds({4}));
}

TEST_F(TreeTest, AKilledKeeperIsALossToo) {
  StartVirtual(1);
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  const pid_t keeper = ReadProcess(AgentPid(1)).ppid;
  ::kill(keeper, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !losses_.empty(); })) << Trouble();
  EXPECT_EQ(losses_[0].nodes, NodeIds({1}));
  EXPECT_TRUE(Has(losses_[0].why.text, "signal 9")) << Trouble();
}

TEST_F(TreeTest, AStoppedAgentIsNotLostAndGoesOn) {
  StartVirtual(2);
  ASSERT_TRUE(AwaitReady(2)) << Trouble();
  ::kill(AgentPid(1), SIGSTOP);
  tree_->Send(NodeId{1}, kEcho, FrameClass::kControl, "later");
  tree_->Send(NodeId{2}, kEcho, FrameClass::kControl, "now");
  ASSERT_TRUE(AwaitAnswers(1)) << Trouble();
  EXPECT_EQ(answers_[0], "v2 now");
  ::kill(AgentPid(1), SIGCONT);
  ASSERT_TRUE(AwaitAnswers(2)) << Trouble();
  EXPECT_TRUE(losses_.empty()) << Trouble();
}

// The largest resident size so far, in KiB.
long PeakKib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (status >> word) {
    long kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return -1;
}

TEST_F(TreeTest, WhatARelayPassesOnDoesNotPileUpInIt) {
  StartVirtual(7, TreeShape::kTwoLevel);
  ASSERT_TRUE(AwaitReady(7)) << Trouble();
  const long before = PeakKib(AgentPid(1));
  ASSERT_GT(before, 0);
  ::kill(AgentPid(5), SIGSTOP);
  tree_->Send(NodeId{4}, kFlood, FrameClass::kControl, "5 2000");  // 120 MB past node 1
  // Control messages go past the flood's source and its relay.
  answers_.clear();
  tree_->Send(NodeId{4}, kEcho, FrameClass::kControl, "over here");
  ASSERT_TRUE(AwaitAnswers(1)) << Trouble();
  tree_->Send(NodeId{1}, kEcho, FrameClass::kControl, "and here");
  ASSERT_TRUE(AwaitAnswers(2)) << Trouble();
  ::kill(AgentPid(5), SIGCONT);
  ASSERT_TRUE(AwaitAnswers(3)) << Trouble();
  EXPECT_EQ(answers_[2], "v5 got 120000000");
  if (IsSanitized()) return;  // memory that was freed is kept for a while
  EXPECT_LT(PeakKib(AgentPid(1)) - before, 32 * 1024) << "of 120 MB";
}

TEST_F(TreeTest, TheHeadsDeathEndsEverything) {
  std::array<int, 2> up{};
  ASSERT_EQ(::pipe(up.data()), 0);
  const pid_t head = ::fork();
  ASSERT_GE(head, 0);
  if (head == 0) {
    StartVirtual(7, TreeShape::kTwoLevel);
    const bool ready = AwaitReady(7);
    const char byte = ready ? 'y' : 'n';
    [[maybe_unused]] const ssize_t n = ::write(up[1], &byte, 1);
    RunUntil([] { return false; });
    ::_exit(1);
  }
  ::close(up[1]);
  char byte = 0;
  ASSERT_EQ(::read(up[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  ::close(up[0]);
  ::kill(head, SIGKILL);
  ::waitpid(head, nullptr, 0);
}  // TearDown proves that nothing is left

TEST_F(TreeTest, AnOrderlyEndLeavesNoProcess) {
  StartVirtual(7, TreeShape::kTwoLevel);
  ASSERT_TRUE(AwaitReady(7)) << Trouble();
  Close();
  EXPECT_TRUE(FindDescendants(::getpid()).empty());
  EXPECT_TRUE(losses_.empty()) << Trouble();
}

TEST_F(TreeTest, ClosingWhileNodesStartLeavesNothing) {
  StartVirtual(7, TreeShape::kTwoLevel);
  RunUntil([&] { return !ready_.empty(); });
  Close();
}

class WideTreeTest : public TreeTest {};

TEST_F(WideTreeTest, SeventyNodesInTwoLevels) {
  StartVirtual(70);
  ASSERT_TRUE(RunUntil([&] { return ready_.size() == 70 || !failures_.empty(); }, seconds(110)))
      << Trouble();
  ASSERT_EQ(ready_.size(), 70u) << Trouble();
  EXPECT_EQ(tree_->children().size(), 9u);
  EchoAll();
  answers_.clear();
  tree_->Broadcast(kEcho, FrameClass::kControl, "all");
  ASSERT_TRUE(AwaitAnswers(70)) << Trouble();
  answers_.clear();
  tree_->Send(NodeId{69}, kTell, FrameClass::kControl, "10 far");
  ASSERT_TRUE(AwaitAnswers(1)) << Trouble();
  EXPECT_EQ(answers_[0], "v10 heard far from 69");
}

}  // namespace
}  // namespace rex::testing
