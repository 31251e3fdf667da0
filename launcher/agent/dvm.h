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
#include "sched/load/load_watch.h"
#include "sched/placement/load_table.h"

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
    // From the host of a node that is a child of the head's, over its uplink. Errors: kProtocol.
    std::function<Status(NodeId child, uint8_t kind, std::string payload)> on_uplink_message;
    // When set, on_failed is not called: each failed start is told by itself, and the others come.
    std::function<void(const StartFailure&)> on_each_failed = {};
    // Some node's load is another than before, or ranks there have ended; at most every
    // kLoadsPause.
    std::function<void()> on_loads = {};
  };
  struct StartOptions {
    bool verbose = false;
    LoadLooks looks = LoadLooks::kNever;  // of every node
    // With DvmSpec::pool: once the nodes that are there have so many, the others get as much time
    // again, at least kStragglersLeast. 0: all are waited for.
    uint64_t wanted_slots = 0;
  };
  static constexpr std::chrono::milliseconds kLoadsPause{100};
  static constexpr std::chrono::milliseconds kStragglersLeast{2000};

  // `here`: this machine's name and cores. `loop` and `children` are borrowed. Nothing is called
  // from inside a call of the owner's.
  Dvm(EventLoop& loop, ChildTable& children, const DvmSpec& spec, JobNode here, Handlers handlers);

  // Begins to start the nodes. Errors: kNotFound: rexd.
  Status Start(const StartOptions& options);

  // In the user's order, once ready; those that were left out are marked. Without named nodes: this
  // machine, with `slots` (0: its cores).
  std::vector<JobNode> JobNodes(uint32_t slots) const;
  // Nodes that have neither answered nor failed, with what is awaited: "n3 (ssh for 30 s)".
  std::vector<std::string> MissingNodes() const;
  // Loads: ranks by the jobs' events, the rest as nodes tell it. The head's own node has to be
  // watched by the owner, who passes on what is found.
  bool awaits_own_load() const { return awaits_own_load_; }
  void OnOwnLoad(const FoundLoad& found);
  // From a child of this agent's. Errors: kProtocol.
  Status OnLoadNews(NodeId child, const std::string& payload);
  const LoadTable& loads() const { return loads_; }
  // Threads of ranks that a node was given, or gave back (negative), of which on_loads tells.
  void AddRanks(NodeId node, int64_t threads);
  // With DvmSpec::pool: lets nodes go that nothing of `used` is on or behind.
  std::vector<NodeId> KeepOnly(const std::vector<NodeId>& used);  // those let go

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
  void TakeLoad(NodeId node, uint32_t foreign, uint32_t capacity);
  void TellLoads();
  Clock::Time LoadsDue() const { return loads_told_ + kLoadsPause; }
  void CountSlots(NodeId node, const AgentFacts& facts);
  void GiveUpStragglers();

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
  LoadTable loads_;
  bool awaits_own_load_ = false;
  uint64_t wanted_slots_ = 0;
  uint64_t ready_slots_ = 0;
  bool gave_up_ = false;  // on nodes that come too late
  Timer stragglers_;
  Timer loads_timer_;
  Clock::Time loads_told_{0};
};

}  // namespace rex
