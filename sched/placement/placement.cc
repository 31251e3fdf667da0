#include "sched/placement/placement.h"

#include <algorithm>
#include <string>

namespace rex {

namespace {
// Ranks of one app on each node, given how many ranks each node has from earlier apps.
// Source: mpirun 4.1.4 --map-by slot --oversubscribe, its maps as --display-map shows them.
std::vector<uint32_t> CountsBySlot(uint32_t ranks, const std::vector<PlacementNode>& nodes,
                                   const std::vector<uint32_t>& used) {
  std::vector<uint32_t> counts(nodes.size(), 0);
  uint32_t left = ranks;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const uint32_t free = nodes[i].slots > used[i] ? nodes[i].slots - used[i] : 0;
    counts[i] = std::min(left, free);
    left -= counts[i];
  }
  const auto node_count = static_cast<uint32_t>(nodes.size());
  for (uint32_t i = 0; i < node_count; ++i) {
    counts[i] += left / node_count + (i < left % node_count ? 1 : 0);
  }
  return counts;
}

Status CheckRequest(const PlacementRequest& request, uint64_t ranks, uint64_t slots) {
  if (request.app_ranks.empty() || request.nodes.empty()) {
    return Error{Errc::kInvalid, "there is nothing to place: no program or no node"};
  }
  if (std::find(request.app_ranks.begin(), request.app_ranks.end(), 0U) !=
      request.app_ranks.end()) {
    return Error{Errc::kInvalid, "a program without ranks cannot be placed; give -n 1 or more"};
  }
  if (ranks > UINT32_MAX) return Error{Errc::kInvalid, "too many ranks: " + std::to_string(ranks)};
  const bool given = !std::all_of(request.nodes.begin(), request.nodes.end(),
                                  [](const PlacementNode& node) { return node.slots_from_cores; });
  if (ranks <= slots || request.oversubscribe || !given) return Ok{};
  return Error{Errc::kInvalid, "not enough slots: " + std::to_string(ranks) + " ranks, but " +
                                   std::to_string(slots) + " slots on " +
                                   std::to_string(request.nodes.size()) +
                                   (request.nodes.size() == 1 ? " node" : " nodes") +
                                   "; give --oversubscribe (or set REX_OVERSUBSCRIBE=1) to "
                                   "run more ranks than slots"};
}
}  // namespace

Result<Placement> Place(const PlacementRequest& request) {
  uint64_t ranks = 0;
  uint64_t slots = 0;
  for (const uint32_t count : request.app_ranks) ranks += count;
  for (const PlacementNode& node : request.nodes) slots += node.slots;
  if (Status status = CheckRequest(request, ranks, slots); !status) return status.error();

  Placement placement;
  placement.node_ranks.assign(request.nodes.size(), 0);
  uint32_t next_rank = 0;
  for (uint32_t app = 0; app < request.app_ranks.size(); ++app) {
    const std::vector<uint32_t> counts =
        CountsBySlot(request.app_ranks[app], request.nodes, placement.node_ranks);
    for (uint32_t node = 0; node < counts.size(); ++node) {
      if (counts[node] == 0) continue;
      placement.runs.push_back({node, app, next_rank, counts[node]});
      placement.node_ranks[node] += counts[node];
      next_rank += counts[node];
    }
  }
  for (size_t i = 0; i < request.nodes.size(); ++i) {
    placement.oversubscribed |= placement.node_ranks[i] > request.nodes[i].slots;
  }
  return placement;
}

}  // namespace rex
