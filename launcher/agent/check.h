// `rexlaunch --check` at the head: a DVM without a job, whose nodes are asked for facts. Loop
// thread only.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "launcher/agent/check_judge.h"
#include "launcher/agent/dvm.h"

namespace rex {

class Check {
 public:
  // `spec`: of the DVM's nodes; without any it is about this machine. `done` is called once, from
  // the loop, when every node has answered or failed; at the latest kAnswerBound after the last has
  // come.
  Check(EventLoop& loop, const JobSpec& spec, uint32_t cores, std::string session_dir,
        std::function<void(const CheckReport&)> done);
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;

  // What the DVM says.
  void OnStartFailed(const StartFailure& failure);
  void OnNodesReady(Dvm& dvm);  // borrowed, from here on
  void OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure);
  Status OnMessage(NodeId from, uint8_t kind, const std::string& payload);

 private:
  void Finish();
  bool Complete() const;
  CheckSubject SubjectOf(const NodeRequest& node, NodeId id) const;

  const DvmSpec spec_;
  const uint32_t named_slots_;
  const std::string library_path_;
  const uint32_t cores_;
  const std::string session_dir_;
  std::function<void(const CheckReport&)> done_;
  Dvm* dvm_ = nullptr;
  std::map<NodeId, CheckFacts> facts_;
  std::map<NodeId, StartFailure> failures_;
  Timer bound_;
};

}  // namespace rex
