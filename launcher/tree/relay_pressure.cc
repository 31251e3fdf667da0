#include "launcher/tree/relay_pressure.h"

namespace rex {

bool RelayPressure::OnForward(NodeId source, NodeId next, size_t queued) {
  if (queued <= kRelayHighBytes) return false;
  const bool before = Paused(source);
  waits_for_[source].insert(next);
  return !before;
}

std::vector<NodeId> RelayPressure::OnQueue(NodeId next, size_t queued) {
  std::vector<NodeId> go_on;
  if (queued > kRelayLowBytes) return go_on;
  for (auto it = waits_for_.begin(); it != waits_for_.end();) {
    it->second.erase(next);
    if (it->second.empty()) {
      go_on.push_back(it->first);
      it = waits_for_.erase(it);
    } else {
      ++it;
    }
  }
  return go_on;
}

std::vector<NodeId> RelayPressure::Remove(NodeId node) {
  waits_for_.erase(node);
  return OnQueue(node, 0);
}

std::vector<NodeId> RelayPressure::congested() const {
  std::set<NodeId> all;
  for (const auto& [source, links] : waits_for_) all.insert(links.begin(), links.end());
  return {all.begin(), all.end()};
}

}  // namespace rex
