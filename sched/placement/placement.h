// Which rank runs on which node. Pure: no I/O, any thread. Time and memory are linear in ranks and
// nodes.
//
// The rules are mpirun 4.1.4's, found by running it (the tests carry its answers); policy.h has
// what can be asked, docs/design/sched.md the formulas. In short:
// - Slot, objects without SPAN, dist: an app fills the free slots of its nodes, node by node; when
//   there are not enough and oversubscribing is allowed, what remains is spread evenly over all.
// - Node: an app's ranks are dealt out evenly over its nodes' free slots; when there are not enough
//   and oversubscribing is allowed, evenly over the nodes, whatever their slots.
// - Objects with SPAN: evenly over the objects of all nodes, whatever the nodes' own slots.
// - Load, which mpirun does not have: each rank goes to the node that is the least loaded with it.
// - ppr: each node in turn takes as many as its objects allow.
// - Ranks are numbered app by app; within an app node by node, in turn over the nodes, or in turn
//   over the objects of all nodes; nodes come in the order in which they got their first ranks.
// - A later app begins where the one before it began (with SPAN: ended); when that node is full, at
//   the next one with a free slot; when none has one, at the last one, going round, that is less
//   crowded. Where an app begins decides which nodes get one rank more than others.
// Different on purpose: `per_node` also limits an app that has a number of ranks and with node
// (mpirun: an even count on each node or a refusal, and no limit), every app has its own, ppr
// without a number of ranks is as many as the nodes' objects allow (mpirun: as many as slots, or a
// refusal), and `most_ranks` holds when oversubscribing too (mpirun forgets max_slots there).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "sched/placement/hardware.h"
#include "sched/placement/node_load.h"
#include "sched/policy/load_request.h"
#include "sched/policy/policy.h"

namespace rex {

struct PlacementNode {
  uint32_t slots = 1;
  // The slots are only the node's usable cores; nobody (user, hostfile, resource manager) asked for
  // that number, so it limits nothing.
  bool slots_from_cores = false;
  uint32_t most_ranks = 0;  // of all apps together, even when oversubscribing; 0: no such limit
  NodeId id{0};             // what Placement::node_of_rank calls it
  std::string name;         // for messages; may be empty
  // Nodes of one kind may share it. None: cores are not known, as if all were one.
  std::shared_ptr<const Hardware> hardware;
  NodeLoad load;      // before this job
  uint32_t used = 0;  // ranks of other jobs that are there already
};

struct PlacementApp {
  // 0: `per_node` on each of its nodes, or as many as ppr or `fixed` say, or as there are slots.
  uint32_t ranks = 1;
  uint32_t per_node = 0;        // at most so many on each node; 0: no such limit
  std::vector<uint32_t> nodes;  // the only ones, indices into PlacementRequest::nodes; empty: all
  PlacePolicy policy;
  std::vector<uint32_t> fixed;  // with kSeq and kRankfile: each rank's node, as in `nodes`
};

struct PlacementRequest {
  std::vector<PlacementApp> apps;    // at least one
  std::vector<PlacementNode> nodes;  // at least one, in the user's order
  bool oversubscribe = false;        // --oversubscribe or REX_OVERSUBSCRIBE=1
  // Apps without a mapping of their own take the lightest nodes first, not the user's order.
  bool lightest_first = false;
  uint32_t max_load = kNoMaxLoad;  // nodes above it, in hundredths, are not there
};

struct Placement {
  std::vector<NodeId> node_of_rank;       // by rank; what RunsOf (job_map.h) takes
  std::vector<uint32_t> app_ranks;        // how many ranks each app has
  std::vector<PlacePolicy> policies;      // by app: what was asked, with all defaults settled
  std::vector<uint32_t> node_ranks;       // by index into PlacementRequest::nodes
  std::vector<bool> node_oversubscribed;  // by the same: more ranks than slots
  bool oversubscribed = false;            // some node is
};

// Errors: kInvalid, a line for the user that names ranks, slots, nodes and the option that helps:
// no app, no node, an app without ranks, more ranks than `most_total`, too few nodes below
// `max_load` (their loads are named), more than slots where the
// slots were given by someone, more than `per_node`, `most_ranks` or ppr allow, PE beyond the
// objects that ranks are mapped by. An index in PlacementApp::nodes or fixed that is out of range
// is a bug (REX_CHECK).
Result<Placement> Place(const PlacementRequest& request, uint32_t most_total = UINT32_MAX);

}  // namespace rex
