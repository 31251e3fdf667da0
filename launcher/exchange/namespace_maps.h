// Which namespaces this agent was told of, and on which nodes their ranks are. Pure state.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/exchange/exchange_messages.h"
#include "sched/placement/job_map.h"

namespace rex {

class NamespaceMaps {
 public:
  void Add(const std::string& name, std::shared_ptr<const JobMap> map);
  void Remove(const std::string& name) { maps_.erase(name); }

  // Null: not known.
  const JobMap* Find(const std::string& name) const;
  bool KnowsAll(const std::vector<ProcRun>& procs) const;
  // The nodes of these processes, ascending. nullopt: a namespace is not known, or has fewer ranks.
  std::optional<std::vector<NodeId>> NodesOf(const std::vector<ProcRun>& procs) const;
  // Every node with ranks of a known namespace, ascending.
  std::vector<NodeId> AllNodes() const;

 private:
  std::map<std::string, std::shared_ptr<const JobMap>> maps_;
};

// Sorts, and leaves each node once.
void MakeDistinct(std::vector<NodeId>& nodes);

}  // namespace rex
