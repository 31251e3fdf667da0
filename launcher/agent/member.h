// An agent that another one has started: joins the tree over its channel and does its node's part
// of what the head says. Loop thread only.
#pragma once

#include <memory>
#include <string>

#include "launcher/agent/load_news.h"
#include "launcher/agent/local_node.h"
#include "launcher/tree/tree.h"

namespace rex {

struct MemberOptions {
  UniqueFd channel_in;
  UniqueFd channel_out;
  std::string slurm_node;  // started by srun, on the node that Slurm calls so; empty: by ssh
  NodeOptions node;
};

class Member {
 public:
  Member(EventLoop& loop, MemberOptions options);
  // Says the marker and waits for the parent. Errors: as LocalNode::Start.
  Status Start();

 private:
  Tree::Handlers TreeHandlers();
  void OnWelcome(const Welcome& welcome);
  UplinkPort MakeUplinkPort(const Welcome& welcome);
  void OnMessage(NodeId from, uint8_t kind, std::string payload);
  Status Take(NodeId from, uint8_t kind, std::string payload);
  // This node's load, and that of nodes below, on its way to the head.
  void OnFoundLoad(const FoundLoad& found);
  Status OnLoadNews(NodeId child, const std::string& payload);
  void PassLoadsOn();
  // --check: answered when it is known whether there is a way back.
  void AnswerCheck();
  void OnLost(const std::vector<NodeId>& nodes, const Error& why);
  void LeaveIfUseless();
  void OnKeeperLost();
  void OnTerminate();
  // Nobody is above any more: ends what runs here, and the agent.
  void Leave(const std::string& why);
  void Finish();

  EventLoop& loop_;
  MemberOptions options_;
  ChildTable children_;
  LocalNode node_;
  std::unique_ptr<Tree> tree_;
  SignalWatcher sigterm_;
  LoadLooks looks_ = LoadLooks::kNever;
  std::optional<AgentFacts> facts_;  // not told yet
  LoadRelay loads_;
  Timer loads_timer_;
  Timer leave_;  // bounds Leave
  Timer check_;  // looks again
  std::string check_path_;
  int check_looks_ = 0;
  uint32_t dvm_nodes_ = 0;
  bool leaving_ = false;
};

}  // namespace rex
