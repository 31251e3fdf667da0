// The nodes of a DVM as its head brings them together: the tree started, every node awaited, what
// went wrong put into one failure. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/agent/dvm_nodes.h"
#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/base/phase.h"
#include "launcher/exchange/exchange_port.h"
#include "launcher/job/job_placement.h"
#include "launcher/staging/image_port.h"
#include "launcher/tree/tree.h"
#include "launcher/wire/messages.h"

namespace rex {

class Dvm {
 public:
  struct Handlers {
    std::function<void()> on_ready;  // every node has answered, or failed (with on_each_failed)
    // Some node will not come: nodes that fail together are in one failure.
    std::function<void(const Failure&)> on_failed;
    std::function<void(const std::vector<NodeId>&, const Failure&)> on_lost;
    std::function<void(NodeId from, uint8_t kind, std::string payload)> on_message;
    std::function<void(const Notice&)> on_notice;
    // When set, on_failed is not called: each failed start is told by itself, and the others come.
    std::function<void(const StartFailure&)> on_each_failed = {};
  };
  // `here`: this machine's name and cores. `loop` and `children` are borrowed. Nothing is called
  // from inside a call of the owner's.
  Dvm(EventLoop& loop, ChildTable& children, const DvmSpec& spec, JobNode here, Handlers handlers);

  // Begins to start the nodes. Errors: kNotFound: rexd.
  Status Start(bool verbose);

  // In the user's order, once ready; those that were left out are marked. Without named nodes: this
  // machine, with `slots` (0: its cores).
  std::vector<JobNode> JobNodes(uint32_t slots) const;
  // Nodes that have neither answered nor failed, with what is awaited: "n3 (ssh for 30 s)".
  std::vector<std::string> MissingNodes() const;
  // How many have answered, of how many; this machine does not count.
  std::pair<uint32_t, uint32_t> Answered() const;
  uint32_t size() const {
    return static_cast<uint32_t>(numbers_.names.size());
  }  // this machine included
  const std::string& NameOf(NodeId node) const { return numbers_.names.at(Index(node)); }

  void Send(NodeId to, uint8_t kind, FrameClass frame_class, std::string payload);
  void Broadcast(uint8_t kind, FrameClass frame_class, const std::string& payload);
  ExchangePort Port() const;
  ImagePort MakeImagePort() const;  // with nodes only
  std::chrono::microseconds OffsetTo(NodeId node) const;
  std::optional<ClockOffset> ClockOf(NodeId node) const;  // this machine's: none
  const NodeNumbers& numbers() const { return numbers_; }
  // How long the nodes took. None without nodes.
  std::optional<Phase> StartPhase() const;
  // From the first start to now: what went over this agent's links. None without nodes.
  std::optional<Phase> LinksPhase() const;
  // Nodes with parts get time to clean up; starts that are under way are broken off.
  void Close();

 private:
  Tree::Handlers TreeHandlers();
  void OnNodeReady(NodeId node, const AgentFacts& facts);
  void OnStartFailed(const StartFailure& failure);
  void OnLost(const std::vector<NodeId>& nodes, const Error& why);
  void LeaveOut(const std::vector<NodeId>& nodes, const Error& why);
  void Resolve();
  void ReportFailure();

  EventLoop& loop_;
  ChildTable& children_;
  const DvmSpec spec_;
  const JobNode here_;
  Handlers handlers_;
  const NodeNumbers numbers_;
  std::map<NodeId, AgentFacts> facts_;
  std::vector<StartFailure> failures_;
  std::unique_ptr<Tree> tree_;
  Timer report_;  // after a first failure: others may follow at once
  Clock::Time begin_{0};
  Clock::Time ready_at_{0};
  bool told_ = false;  // ready or failed
};

}  // namespace rex
