// Who is whose child in the tree of agents. Pure: the same nodes and shape give the same tree.
#pragma once

#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/tree/tree_options.h"

namespace rex {

inline constexpr size_t kMaxFlatNodes = 64;  // besides the head; beyond, kAuto has two levels

// A child of the head and the nodes below it, which are that child's own children.
struct Subtree {
  NodeId child{};
  std::vector<NodeId> below;
  bool operator==(const Subtree&) const = default;
};

// `nodes`: all besides the head. kTwoLevel: ceil(sqrt(n)) children; the rest is dealt out in order,
// evenly, so that sizes differ by at most one.
std::vector<Subtree> ShapeTree(const std::vector<NodeId>& nodes, TreeShape shape);

}  // namespace rex
