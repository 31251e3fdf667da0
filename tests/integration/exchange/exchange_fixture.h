// Real rexd-pmix processes, one for each node of a tree, with a test in the place of the agents: it
// has an Exchange for each node and carries their messages in memory. The head's services are the
// real name store and simple answers for the rest.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "launcher/exchange/exchange.h"
#include "launcher/job/name_store.h"
#include "tests/integration/pmix_host/rank_runner.h"
#include "tests/integration/pmix_host/started_host.h"
#include "tests/support/shared_files.h"

namespace rex {

class ExchangeFixture : public ::testing::Test {
 protected:
  ExchangeFixture() : names_(loop_.clock()), name_timer_(loop_, [this] { ExpireNames(); }) {}
  void SetUp() override;
  void TearDown() override;  // nothing is held or left, and every host ends well

  // Starts the hosts. `parents`: of each node; node 0 is the head.
  void StartNodes(std::vector<uint32_t> parents, uint64_t max_modex_bytes = 1 << 30);
  // A job with rank r on node node_of_rank[r], registered on every node that has ranks.
  void Register(const std::string& name, const std::vector<uint32_t>& node_of_rank);
  // As agents do at a job's end. Register again to use the name again.
  void Deregister(const std::string& name);
  // Starts the ranks of all nodes and waits for their end. Ascending.
  std::vector<pmix::RankResult> Run(const std::vector<std::string>& argv,
                                    const std::vector<std::string>& env = {});
  void Start(const std::vector<std::string>& argv, const std::vector<std::string>& env = {});
  std::vector<pmix::RankResult> Wait();
  // SIGKILL for the host of `node`, noticed as an agent does.
  void KillHost(uint32_t node);
  // The node is not there any more: neither host nor agent.
  void LoseNode(uint32_t node);
  void Until(const std::function<bool()>& done, const char* what,
             std::chrono::seconds bound = std::chrono::seconds(60));

  static std::string NodeName(uint32_t node) { return "virtual" + std::to_string(node); }
  template <typename T>
  size_t Seen(uint32_t node) const {
    size_t count = 0;
    for (const auto& message : nodes_[node]->seen) count += std::holds_alternative<T>(message);
    return count;
  }
  Exchange& exchange(uint32_t node) { return *nodes_[node]->exchange; }
  pid_t host_pid(uint32_t node) const { return nodes_[node]->host.pid(); }
  pmix::RankRunner& ranks() { return ranks_; }
  size_t messages() const { return messages_; }
  // Environment with which MPI programs talk over loopback between nodes.
  static std::vector<std::string> MpiOverLoopback();

 private:
  struct Node {
    NodeId id{0};
    std::string dir;
    std::vector<NodeId> children;
    std::map<NodeId, std::vector<NodeId>> below;
    std::unique_ptr<Exchange> exchange;
    pmix::StartedHost host;
    bool lost = false;
    bool host_killed = false;
    std::vector<pmix::HostMessage> seen;
    std::map<std::string, pmix::JobRegistered> registered;
  };
  void MakeNode(uint32_t node, uint64_t max_modex_bytes);
  ExchangePort PortOf(Node& node);
  void Deliver(NodeId from, NodeId to, uint8_t kind, std::string payload);
  void OnHostMessage(Node& node, pmix::HostMessage message);
  void AtHead(NodeId from, pmix::HostMessage message);
  void Answer(const NameStore::Replies& replies);
  void ExpireNames();
  pmix::RegisterJob JobFor(const Node& node, const std::string& name, const JobMap& map);
  std::vector<NodeId> Below(uint32_t node) const;

  EventLoop loop_;
  std::string dir_;
  std::vector<uint32_t> parents_;
  std::vector<std::unique_ptr<Node>> nodes_;
  pmix::RankRunner ranks_{loop_};
  NameStore names_;
  Timer name_timer_;
  std::string job_;  // the last one registered
  size_t messages_ = 0;
  rex::testing::SharedFiles shared_files_;
};

void ExpectAllGood(const std::vector<pmix::RankResult>& results, size_t count);

}  // namespace rex
