// Which rank of a job is on which node: the decision of the head, as it goes over the network and
// as every node looks it up. Linear in nodes, not in ranks: a run is an arithmetic sequence of
// ranks, so that both filling nodes one by one (stride 1) and dealing ranks out (stride: how many
// nodes) take one run a node. Immutable; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

// Ranks first, first + stride, … (`count` of them) are on `node`.
struct MapRun {
  NodeId node{0};
  uint32_t first = 0;
  uint32_t count = 0;   // at least 1
  uint32_t stride = 1;  // at least 1
  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  auto operator<=>(const MapRun&) const = default;
};

class JobMap {
 public:
  JobMap() = default;  // no ranks
  // Errors: kInvalid: the runs do not hold each of the ranks 0 .. total-1 exactly once, or name a
  // node that is not below `nodes`.
  static Result<JobMap> Make(std::vector<MapRun> runs, uint32_t total, uint32_t nodes);

  uint32_t total() const { return static_cast<uint32_t>(node_of_.size()); }
  // `rank` is below total() (REX_CHECK).
  NodeId NodeOf(uint32_t rank) const;
  // Ascending; empty for a node without ranks.
  std::vector<uint32_t> RanksOf(NodeId node) const;
  uint32_t CountOn(NodeId node) const;
  // The nodes that have ranks, ascending.
  const std::vector<NodeId>& nodes() const { return nodes_; }
  const std::vector<MapRun>& runs() const { return runs_; }
  // Equal maps have equal digests, unequal ones almost surely not (64-bit FNV-1a over every rank's
  // node). For comparing what two nodes made of one message, not against malice.
  uint64_t Digest() const;

 private:
  std::vector<MapRun> runs_;
  std::vector<NodeId> node_of_;  // by rank
  std::vector<NodeId> nodes_;
};

// Joins neighbours: makes the fewest runs out of ranks' nodes in order. What Make takes back.
std::vector<MapRun> RunsOf(const std::vector<NodeId>& node_of_rank);

}  // namespace rex
