#include "launcher/tree/tree_shape.h"

namespace rex {

namespace {

size_t CeilSqrt(size_t n) {
  size_t root = 0;
  while (root * root < n) ++root;
  return root;
}

std::vector<Subtree> Flat(const std::vector<NodeId>& nodes) {
  std::vector<Subtree> tree;
  for (const NodeId node : nodes) tree.push_back({node, {}});
  return tree;
}

std::vector<Subtree> TwoLevel(const std::vector<NodeId>& nodes) {
  const size_t children = CeilSqrt(nodes.size());
  std::vector<Subtree> tree;
  size_t next = children;  // the children come first, in order
  for (size_t i = 0; i < children; ++i) {
    const size_t rest = nodes.size() - children;
    const size_t share = rest / children + (i < rest % children ? 1 : 0);
    const auto begin = nodes.begin() + static_cast<ptrdiff_t>(next);
    tree.push_back({nodes[i], {begin, begin + static_cast<ptrdiff_t>(share)}});
    next += share;
  }
  return tree;
}

}  // namespace

std::vector<Subtree> ShapeTree(const std::vector<NodeId>& nodes, TreeShape shape) {
  const bool two_level =
      shape == TreeShape::kTwoLevel || (shape == TreeShape::kAuto && nodes.size() > kMaxFlatNodes);
  return two_level ? TwoLevel(nodes) : Flat(nodes);
}

}  // namespace rex
