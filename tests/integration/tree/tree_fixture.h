// A head inside the test, with real rexds below it that start the test's own agents (agent.cc).
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/tree/tree.h"
#include "tests/integration/tree/tree_kinds.h"
#include "tests/support/nothing_left.h"

namespace rex::testing {

class TreeTest : public ::testing::Test {
 protected:
  TreeTest();
  void SetUp() override;
  void TearDown() override;

  // Nodes of these names with ids from 1 on.
  void Start(const std::vector<std::string>& names, TreeOptions options = {});
  // "v1" ... on this machine.
  void StartVirtual(uint32_t count, TreeShape shape = TreeShape::kAuto);
  // Through the fake ssh, under its name or another one.
  TreeOptions FakeSsh(const std::string& called = "ssh") const;

  // Runs the loop until `condition`, at most for `bound`.
  bool RunUntil(const std::function<bool()>& condition, seconds bound = seconds(60));
  bool AwaitReady(size_t count);
  bool AwaitAnswers(size_t count);
  // Sends kEcho to each and checks the answers.
  void EchoAll();
  void Close();
  pid_t AgentPid(uint32_t node) const;
  std::vector<std::string> SortedAnswers() const;
  const StartFailure* FailureOf(const std::string& name) const;
  std::string Trouble() const;  // failures and losses so far, for messages

  NothingLeft left_;
  std::string prefix_;
  EventLoop loop_;
  ChildTable children_{loop_};
  std::unique_ptr<Tree> tree_;
  std::map<NodeId, std::string> names_;
  std::map<NodeId, AgentFacts> ready_;
  std::vector<StartFailure> failures_;
  struct Loss {
    std::vector<NodeId> nodes;
    Error why;
  };
  std::vector<Loss> losses_;
  std::vector<std::string> notices_;
  std::vector<std::string> answers_;
};

std::vector<NodeId> NodeIds(std::initializer_list<uint32_t> ids);

}  // namespace rex::testing
