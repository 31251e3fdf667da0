// The nodes of a DVM, the head's own included, and the jobs that run over them: what a one-shot
// head (head.h) and one that stays (dvm_server.h) have in common. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/agent/dvm.h"
#include "launcher/agent/head_images.h"
#include "launcher/agent/local_node.h"
#include "launcher/agent/plug_in_scribe.h"
#include "launcher/job/dvm_jobs.h"

namespace rex {

class HeadCore {
 public:
  // All are set.
  struct Handlers {
    std::function<void()> on_ready;  // every node has answered; GiveNodes is up to the owner
    std::function<void(const Failure&)> on_failed;
    // Jobs have been told.
    std::function<void(const std::vector<NodeId>&, const Failure&)> on_lost;
    // A node that can't be understood has another version of rex, or is out of order.
    std::function<void(NodeId, const Failure&)> on_nonsense;
    std::function<void(const Notice&)> notice;
    std::function<void()> on_keeper_lost;
    std::function<void(const Failure&)> on_host_lost;  // of this node; its jobs have been told
    // A job's parts are launched next, with what is set here.
    std::function<void(JobNumber, LaunchPart*)> on_launch;
    // Somebody who is no rank wants jobs; the status for it. May be empty.
    std::function<int32_t(NodeId, const pmix::ToolConnected&)> on_tool = {};
  };
  // For nodes that are only looked at: what they say, and each that did not come.
  struct Look {
    std::function<Status(NodeId from, uint8_t kind, const std::string& payload)> on_message;
    std::function<void(const StartFailure&)> on_each_failed;
  };
  HeadCore(EventLoop& loop, ChildTable& children, NodeOptions options, bool persistent,
           Handlers handlers);

  // Errors: as LocalNode::Start.
  Status Start() { return node_.Start(); }
  // Once. `slots`: of this machine, when it is alone. Errors: kNotFound: rexd.
  Status StartNodes(const DvmSpec& spec, uint32_t slots, const Dvm::StartOptions& options,
                    Look look = {});
  // Once, after on_ready: jobs that have begun are placed.
  void GiveNodes() { jobs_.OnNodes(Nodes(), dvm_->size()); }
  // Everything ends; last.
  void Close();

  LocalNode& node() { return node_; }
  const LocalNode& node() const { return node_; }
  DvmJobs& jobs() { return jobs_; }
  const DvmJobs& jobs() const { return jobs_; }
  // Once StartNodes was called.
  Dvm& dvm() { return *dvm_; }
  bool has_dvm() const { return dvm_ != nullptr; }
  // In the user's order, once ready.
  std::vector<JobNode> Nodes() const { return dvm_->JobNodes(named_slots_); }

 private:
  void OnHostRequest(NodeId from, pmix::HostMessage message);
  DvmJobs::Services MakeServices(bool persistent);
  Dvm::Handlers MakeHandlers();
  void Command(JobNumber job, NodeId node, PartCommand command);
  void CommandAll(JobNumber job, PartCommand command);
  void OnPartEvent(JobNumber job, PartEvent event);
  Status TakePartEvent(JobNumber job, NodeId from, PartEvent event);
  void OnLost(const std::vector<NodeId>& nodes, const Failure& failure);
  void OnMessage(NodeId from, uint8_t kind, std::string payload);
  Status Take(NodeId from, uint8_t kind, std::string payload);

  EventLoop& loop_;
  ChildTable& children_;
  Handlers handlers_;
  Look look_;
  LocalNode node_;
  DvmJobs jobs_;
  std::unique_ptr<Dvm> dvm_;
  HeadImages images_;
  PlugInScribe plug_ins_;
  uint32_t named_slots_ = 0;
};

}  // namespace rex
