#include "launcher/tree/route_table.h"

#include <algorithm>

#include "launcher/base/check.h"

namespace rex {

void RouteTable::AddChild(NodeId child, std::vector<NodeId> below) {
  REX_CHECK(via_.emplace(child, child).second);
  for (const NodeId node : below) REX_CHECK(via_.emplace(node, child).second);
  below_.emplace(child, std::move(below));
}

void RouteTable::RemoveBelow(NodeId child, NodeId node) {
  const auto found = below_.find(child);
  if (found == below_.end() || node == child || ChildFor(node) != child) return;
  std::erase(found->second, node);
  via_.erase(node);
}

std::vector<NodeId> RouteTable::RemoveChild(NodeId child) {
  const auto found = below_.find(child);
  if (found == below_.end()) return {};
  std::vector<NodeId> lost = {child};
  lost.insert(lost.end(), found->second.begin(), found->second.end());
  below_.erase(found);
  for (const NodeId node : lost) via_.erase(node);
  return lost;
}

std::optional<NodeId> RouteTable::ChildFor(NodeId node) const {
  const auto found = via_.find(node);
  if (found == via_.end()) return std::nullopt;
  return found->second;
}

std::vector<NodeId> RouteTable::children() const {
  std::vector<NodeId> all;
  for (const auto& [child, below] : below_) all.push_back(child);
  return all;
}

const std::vector<NodeId>& RouteTable::below(NodeId child) const {
  static const std::vector<NodeId> kNone;
  const auto found = below_.find(child);
  return found == below_.end() ? kNone : found->second;
}

}  // namespace rex
