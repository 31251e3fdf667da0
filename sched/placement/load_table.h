// What the head knows of its nodes' loads: own ranks by events, the rest as nodes tell it. One per
// DVM; its owner's thread only. No I/O: times come from the caller.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "launcher/base/clock.h"
#include "launcher/base/node_id.h"
#include "sched/placement/node_load.h"

namespace rex {

struct KnownLoad {
  NodeLoad load;
  std::optional<Clock::Time> told;  // when the node said so last; none: it never did
};

class LoadTable {
 public:
  // What a node found: see NodeLoad. False: it is what was known.
  bool OnTold(NodeId node, uint32_t foreign, uint32_t capacity, Clock::Time now);
  // Threads of ranks that were given to the node (above 0), or have ended there (below). What a
  // node gives back after it was forgotten does not count.
  void AddRanks(NodeId node, int64_t threads);
  // It is lost: nothing is known of it any more, and what its ranks' ends would give back is gone.
  void Forget(NodeId node) { loads_.erase(node); }

  // All zero for a node that was never heard of.
  KnownLoad Of(NodeId node) const;
  bool Knows(NodeId node) const { return Of(node).told.has_value(); }

 private:
  std::map<NodeId, KnownLoad> loads_;
};

}  // namespace rex
