// Where a message goes next, and who is lost with whom. Pure.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "launcher/base/node_id.h"

namespace rex {

class RouteTable {
 public:
  // `child`, not known yet, and the nodes below it.
  void AddChild(NodeId child, std::vector<NodeId> below);
  // A node that was below `child` is not reached through it any more. No effect when it was not.
  void RemoveBelow(NodeId child, NodeId node);
  // Forgets a child. Returns it and all below it; empty: it is no child.
  std::vector<NodeId> RemoveChild(NodeId child);

  // The child whose subtree holds `node`.
  std::optional<NodeId> ChildFor(NodeId node) const;
  // Whether a message from `node` may come from `child`.
  bool InSubtree(NodeId child, NodeId node) const { return ChildFor(node) == child; }
  bool IsChild(NodeId node) const { return below_.contains(node); }
  std::vector<NodeId> children() const;
  // Empty for who is no child. Borrowed until the table changes.
  const std::vector<NodeId>& below(NodeId child) const;

 private:
  std::map<NodeId, std::vector<NodeId>> below_;  // by child
  std::map<NodeId, NodeId> via_;                 // node to child, children included
};

}  // namespace rex
