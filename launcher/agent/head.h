// The one-shot head: serves one rexlaunch, brings the job's nodes together and runs the job over
// them. Loop thread only. docs/design/tree.md and one-machine.md have the connections.
#pragma once

#include <memory>
#include <string>

#include "launcher/agent/check.h"
#include "launcher/agent/head_core.h"
#include "launcher/agent/launch_client.h"

namespace rex {

class Head {
 public:
  Head(EventLoop& loop, UniqueFd launch_fd, NodeOptions options);
  // Begins to listen. Errors: as LocalNode::Start.
  Status Start();

 private:
  // rexlaunch.
  void OnNonsense(const Error& error);
  Status OnOther(LaunchMessage kind, const std::string& payload);
  Status OnLaunchJob(const JobSpec& spec);
  void ShowDescribed(const JobSpec& spec);
  void OnClientGone(const Error& error);
  void OnEnded(JobEnded ended);

  // The job.
  void OnLaunch(JobNumber job, const LaunchPart& launch);

  // The nodes.
  static Dvm::StartOptions StartOptionsOf(const JobSpec& spec);
  HeadCore::Handlers MakeHandlers();
  void OnNodesReady();
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);
  void OnNonsenseOfNode(NodeId node, const Failure& failure);

  void OnKeeperLost();
  void OnTerminate();
  // --check: no job, the nodes are looked at.
  Status StartCheck(const JobSpec& spec);
  void EndCheck(const CheckReport& report);
  // Refuses the job, or ends the agent when there is none.
  void EndWith(const Failure& failure, bool quick);
  void Finish();

  EventLoop& loop_;
  UniqueFd launch_fd_;
  ChildTable children_;
  HeadCore core_;
  SignalWatcher sigterm_;
  std::unique_ptr<LaunchClient> client_;
  std::unique_ptr<Check> check_;
};

}  // namespace rex
