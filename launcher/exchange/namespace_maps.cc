#include "launcher/exchange/namespace_maps.h"

#include <algorithm>

namespace rex {

void MakeDistinct(std::vector<NodeId>& nodes) {
  if (!std::is_sorted(nodes.begin(), nodes.end())) std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
}

void NamespaceMaps::Add(const std::string& name, std::shared_ptr<const JobMap> map) {
  REX_CHECK(map != nullptr);
  maps_[name] = std::move(map);
}

const JobMap* NamespaceMaps::Find(const std::string& name) const {
  const auto it = maps_.find(name);
  return it == maps_.end() ? nullptr : it->second.get();
}

bool NamespaceMaps::KnowsAll(const std::vector<ProcRun>& procs) const {
  return std::all_of(procs.begin(), procs.end(),
                     [this](const ProcRun& run) { return maps_.contains(run.name_space); });
}

std::optional<std::vector<NodeId>> NamespaceMaps::NodesOf(const std::vector<ProcRun>& procs) const {
  std::vector<NodeId> nodes;
  for (const ProcRun& run : procs) {
    const JobMap* map = Find(run.name_space);
    if (map == nullptr) return std::nullopt;
    if (run.first == pmix::kRankWildcard) {
      nodes.insert(nodes.end(), map->nodes().begin(), map->nodes().end());
      continue;
    }
    if (uint64_t{run.first} + run.count > map->total()) return std::nullopt;
    for (uint32_t i = 0; i < run.count; ++i) {
      const NodeId node = map->NodeOf(run.first + i);
      if (nodes.empty() || nodes.back() != node) nodes.push_back(node);
    }
  }
  MakeDistinct(nodes);
  return nodes;
}

std::vector<NodeId> NamespaceMaps::AllNodes() const {
  std::vector<NodeId> nodes;
  for (const auto& [name, map] : maps_) {
    nodes.insert(nodes.end(), map->nodes().begin(), map->nodes().end());
  }
  MakeDistinct(nodes);
  return nodes;
}

}  // namespace rex
