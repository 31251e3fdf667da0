// Which rank runs on which node. Pure: no I/O, any thread.
//
// The policy is mpirun's `--map-by slot`: nodes are filled in their order up to their slots; when
// that does not hold all ranks of an app and oversubscribing is allowed, what remains is spread
// evenly over the nodes in order. Ranks are numbered app by app, and within an app node by node.
#pragma once

#include <cstdint>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct PlacementNode {
  uint32_t slots = 1;
  // The slots are only this machine's usable cores; nobody (user, hostfile, resource manager)
  // asked for that number, so it limits nothing.
  bool slots_from_cores = false;
};

struct PlacementRequest {
  std::vector<uint32_t> app_ranks;   // per app, each at least 1
  std::vector<PlacementNode> nodes;  // at least one
  bool oversubscribe = false;        // --oversubscribe or REX_OVERSUBSCRIBE=1
};

// `count` consecutive ranks of the job on one node.
struct PlacementRun {
  uint32_t node = 0;  // index into PlacementRequest::nodes
  uint32_t app = 0;
  uint32_t first_rank = 0;
  uint32_t count = 0;
  auto operator<=>(const PlacementRun&) const = default;
};

struct Placement {
  std::vector<PlacementRun> runs;    // by rank; together every rank once
  std::vector<uint32_t> node_ranks;  // ranks on each node
  bool oversubscribed = false;       // some node has more ranks than slots
};

// Errors: kInvalid: no app, no node, an app without ranks, or more ranks than slots where the slots
// were given by someone; the text names the option that lifts the limit.
Result<Placement> Place(const PlacementRequest& request);

}  // namespace rex
