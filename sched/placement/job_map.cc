#include "sched/placement/job_map.h"

#include <algorithm>
#include <string>

namespace rex {

namespace {
constexpr NodeId kNobody{UINT32_MAX};

Error Bad(const MapRun& run, const std::string& what) {
  return Error{Errc::kInvalid, "run of " + std::to_string(run.count) + " ranks from " +
                                   std::to_string(run.first) + " on node " +
                                   std::to_string(Index(run.node)) + ": " + what};
}

Status PutRun(const MapRun& run, std::vector<NodeId>& node_of) {
  const uint64_t last = run.first + uint64_t{run.stride} * (uint64_t{run.count} - 1);
  if (run.count == 0 || run.stride == 0) return Bad(run, "empty");
  if (last >= node_of.size()) return Bad(run, "beyond the last rank");
  for (uint64_t rank = run.first; rank <= last; rank += run.stride) {
    if (node_of[rank] != kNobody) return Bad(run, "rank " + std::to_string(rank) + " twice");
    node_of[rank] = run.node;
  }
  return Ok{};
}
}  // namespace

Result<JobMap> JobMap::Make(std::vector<MapRun> runs, uint32_t total, uint32_t nodes) {
  JobMap map;
  map.node_of_.assign(total, kNobody);
  for (const MapRun& run : runs) {
    if (Index(run.node) >= nodes) return Bad(run, "there is no such node");
    if (Status put = PutRun(run, map.node_of_); !put) return put.error();
    map.nodes_.push_back(run.node);
  }
  const auto missing = std::find(map.node_of_.begin(), map.node_of_.end(), kNobody);
  if (missing != map.node_of_.end()) {
    return Error{Errc::kInvalid,
                 "rank " + std::to_string(missing - map.node_of_.begin()) + " is on no node"};
  }
  std::sort(map.nodes_.begin(), map.nodes_.end());
  map.nodes_.erase(std::unique(map.nodes_.begin(), map.nodes_.end()), map.nodes_.end());
  map.runs_ = std::move(runs);
  return map;
}

NodeId JobMap::NodeOf(uint32_t rank) const {
  REX_CHECK(rank < node_of_.size());
  return node_of_[rank];
}

std::vector<uint32_t> JobMap::RanksOf(NodeId node) const {
  std::vector<uint32_t> ranks;
  for (const MapRun& run : runs_) {
    if (run.node != node) continue;
    for (uint32_t i = 0; i < run.count; ++i) ranks.push_back(run.first + i * run.stride);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

uint32_t JobMap::CountOn(NodeId node) const {
  uint32_t count = 0;
  for (const MapRun& run : runs_) count += run.node == node ? run.count : 0;
  return count;
}

uint64_t JobMap::Digest() const {
  uint64_t hash = 0xcbf29ce484222325;
  for (const NodeId node : node_of_) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (Index(node) >> shift & 0xff)) * 0x100000001b3;
    }
  }
  return hash;
}

std::vector<MapRun> RunsOf(const std::vector<NodeId>& node_of_rank) {
  std::vector<MapRun> runs;
  constexpr size_t kNoRun = SIZE_MAX;
  std::vector<size_t> open;  // each node's last run
  for (uint32_t rank = 0; rank < node_of_rank.size(); ++rank) {
    const NodeId node = node_of_rank[rank];
    if (Index(node) >= open.size()) open.resize(size_t{Index(node)} + 1, kNoRun);
    if (const size_t last_run = open[Index(node)]; last_run != kNoRun) {
      MapRun& run = runs[last_run];
      const uint32_t last = run.first + (run.count - 1) * run.stride;
      if (run.count == 1) run.stride = rank - last;
      if (rank == last + run.stride) {
        ++run.count;
        continue;
      }
    }
    open[Index(node)] = runs.size();
    runs.push_back({node, rank, 1, 1});
  }
  for (MapRun& run : runs) {
    if (run.count == 1) run.stride = 1;
  }
  return runs;
}

}  // namespace rex
