// Which rank runs on which node. Pure: no I/O, any thread. Time and memory are linear in ranks and
// nodes.
//
// The rules are mpirun 4.1.4's, found with `mpirun --do-not-launch --display-map` (the tests carry
// its answers):
// - kSlot: an app fills the free slots of its nodes, node by node; when there are not enough and
//   oversubscribing is allowed, what remains is spread evenly over all of them.
// - kNode: an app's ranks are dealt out evenly over its nodes' free slots; when there are not
// enough
//   and oversubscribing is allowed, evenly over the nodes, whatever their slots.
// - Ranks are numbered app by app. Within an app: kSlot node by node, kNode in turn over the nodes
//   that have some left; nodes come in the order in which they got their first ranks.
// - A later app begins where the one before it began; when that node is full, at the next one with
// a
//   free slot; when none has one, at the last one, going round, that is less crowded. Where an app
//   begins decides which nodes get one rank more than others.
// Different on purpose: `per_node` also limits an app that has a number of ranks and with kNode
// (mpirun: an even count on each node or a refusal, and no limit), every app has its own, and
// `most_ranks` holds when oversubscribing too (mpirun forgets max_slots there).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

enum class PlacementPolicy : uint8_t { kSlot, kNode };

struct PlacementNode {
  uint32_t slots = 1;
  // The slots are only the node's usable cores; nobody (user, hostfile, resource manager) asked for
  // that number, so it limits nothing.
  bool slots_from_cores = false;
  uint32_t most_ranks = 0;  // of all apps together, even when oversubscribing; 0: no such limit
  NodeId id{0};             // what Placement::node_of_rank calls it
  std::string name;         // for messages; may be empty
};

struct PlacementApp {
  uint32_t ranks = 1;     // 0: `per_node` on each of its nodes, else as many as those have slots
  uint32_t per_node = 0;  // at most so many on each node; 0: no such limit
  std::vector<uint32_t> nodes;  // the only ones, indices into PlacementRequest::nodes; empty: all
};

struct PlacementRequest {
  std::vector<PlacementApp> apps;    // at least one
  std::vector<PlacementNode> nodes;  // at least one, in the user's order
  bool oversubscribe = false;        // --oversubscribe or REX_OVERSUBSCRIBE=1
  PlacementPolicy policy = PlacementPolicy::kSlot;
};

struct Placement {
  std::vector<NodeId> node_of_rank;       // by rank; what RunsOf (job_map.h) takes
  std::vector<uint32_t> app_ranks;        // how many ranks each app has
  std::vector<uint32_t> node_ranks;       // by index into PlacementRequest::nodes
  std::vector<bool> node_oversubscribed;  // by the same: more ranks than slots
  bool oversubscribed = false;            // some node is
};

// Errors: kInvalid, a line for the user that names ranks, slots, nodes and the option that helps:
// no app, no node, an app without ranks, more ranks than `most_total`, more than slots where the
// slots were given by someone, more than `per_node` or `most_ranks` allow. An index in
// PlacementApp::nodes that is out of range is a bug (REX_CHECK).
Result<Placement> Place(const PlacementRequest& request, uint32_t most_total = UINT32_MAX);

}  // namespace rex
