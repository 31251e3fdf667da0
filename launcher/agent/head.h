// The head: serves rexlaunch, brings the job's nodes together and runs the job over them. Loop
// thread only. docs/design/tree.md and one-machine.md have the connections.
#pragma once

#include <memory>
#include <string>

#include "launcher/agent/check.h"
#include "launcher/agent/dvm.h"
#include "launcher/agent/head_image.h"
#include "launcher/agent/local_node.h"
#include "launcher/base/frame_channel.h"
#include "launcher/job/jobs.h"

namespace rex {

class Head {
 public:
  Head(EventLoop& loop, UniqueFd launch_fd, NodeOptions options);
  // Begins to listen. Errors: as LocalNode::Start.
  Status Start();

 private:
  // rexlaunch.
  void OnLaunchMessage(uint8_t kind, std::string payload);
  Status Dispatch(LaunchMessage kind, std::string payload);
  Status OnHello(const std::string& payload);
  Status OnLaunchJob(const std::string& payload);
  void ShowDescribed(const JobSpec& spec);
  void OnClientGone(const Error& error);
  Jobs::Client MakeClient();

  // The jobs.
  Jobs::Services MakeServices();
  void Command(JobNumber job, NodeId node, PartCommand command);
  void CommandAll(JobNumber job, PartCommand command);
  void OnLaunch(JobNumber job, LaunchPart* launch);
  void SendImage(JobNumber job, LaunchPart* launch);
  void OnPartEvent(JobNumber job, NodeId from, PartEvent event);

  // The nodes.
  Status StartNodes(const JobSpec& spec);
  static Dvm::StartOptions StartOptionsOf(const JobSpec& spec);
  std::function<void(const StartFailure&)> OnEachFailed();
  void OnNodesReady();
  void PlaceJob();
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);
  void OnNodeMessage(NodeId from, uint8_t kind, std::string payload);
  Status TakeNodeMessage(NodeId from, uint8_t kind, std::string payload);

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
  LocalNode node_;
  std::unique_ptr<FrameChannel> launch_;
  SignalWatcher sigterm_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<Check> check_;
  std::unique_ptr<Dvm> dvm_;
  std::unique_ptr<HeadImage> image_;  // none: nothing is staged
  uint32_t named_slots_ = 0;          // of this machine alone
  bool hello_seen_ = false;
  bool client_lost_ = false;
};

}  // namespace rex
