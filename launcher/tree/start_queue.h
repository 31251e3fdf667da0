// Whose turn it is to be started, and whose time is up. Pure: no process, no descriptor, no clock
// of its own; the starter tells it what happened and when.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/base/node_id.h"
#include "launcher/tree/start_state.h"

namespace rex {

inline constexpr size_t kStartsAtOnce = 32;  // spawned or greeted
inline constexpr int kBusyRetries = 3;

class StartQueue {
 public:
  // `bound`: of one try, from its spawn to the node's facts. `random`: uniform in [0, 1).
  StartQueue(std::chrono::microseconds bound, std::function<double()> random)
      : bound_(bound), random_(std::move(random)) {}

  // A node not known yet, or one that has failed (then it begins anew).
  void Add(NodeId node, Clock::Time now = Clock::Time(0));
  // Nodes that are to be spawned now; they are spawned from here on.
  std::vector<NodeId> TakeTurns(Clock::Time now);
  // Nodes whose bound has run out; they stay as they are, the caller ends them (kEnd).
  std::vector<NodeId> Overdue(Clock::Time now) const;
  // The node's try is about to end: its bound counts no more.
  void StopClock(NodeId node);
  // Something came of the try that is under way: its bound counts from now.
  void Extend(NodeId node, Clock::Time now);
  // Applies an event; the state after it, or nullopt when it means nothing in the node's state.
  // kServerBusy queues the node for a pause of 0.5 to 1 s, twice that at each further time.
  std::optional<StartState> On(NodeId node, StartEvent event, Clock::Time now);
  // Whether kServerBusy may be used once more.
  bool MayRetry(NodeId node) const;

  std::optional<StartState> state(NodeId node) const;
  std::optional<StartStage> stage(NodeId node) const;
  size_t under_way() const { return under_way_; }
  // When something here becomes due next.
  std::optional<Clock::Time> NextDue() const;

 private:
  struct Start {
    StartState state = StartState::kQueued;
    int retries = 0;
    Clock::Time due{0};    // queued: not before; under way or joined: its bound
    Clock::Time since{0};  // in this state
  };
  Clock::Time Pause(int retry) const;

  const std::chrono::microseconds bound_;
  const std::function<double()> random_;
  std::map<NodeId, Start> starts_;
  size_t under_way_ = 0;
};

}  // namespace rex
