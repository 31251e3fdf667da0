#include "launcher/tree/tree_shape.h"

#include <gtest/gtest.h>

#include <set>

namespace rex {
namespace {

std::vector<NodeId> Nodes(uint32_t n) {
  std::vector<NodeId> nodes;
  for (uint32_t i = 1; i <= n; ++i) nodes.push_back(NodeId{i});
  return nodes;
}

std::vector<NodeId> Ids(std::initializer_list<uint32_t> ids) {
  std::vector<NodeId> nodes;
  for (const uint32_t id : ids) nodes.push_back(NodeId{id});
  return nodes;
}

TEST(TreeShape, NoNodesNoTree) {
  for (const TreeShape shape : {TreeShape::kAuto, TreeShape::kFlat, TreeShape::kTwoLevel}) {
    EXPECT_TRUE(ShapeTree({}, shape).empty());
  }
}

TEST(TreeShape, UpToSixtyFourNodesAreTheHeadsOwnChildren) {
  EXPECT_EQ(ShapeTree(Nodes(64), TreeShape::kAuto), ShapeTree(Nodes(64), TreeShape::kFlat));
  EXPECT_EQ(ShapeTree(Nodes(64), TreeShape::kAuto).size(), 64u);
  EXPECT_EQ(ShapeTree(Nodes(65), TreeShape::kAuto), ShapeTree(Nodes(65), TreeShape::kTwoLevel));
  EXPECT_EQ(ShapeTree(Nodes(65), TreeShape::kAuto).size(), 9u);
}

TEST(TreeShape, SevenNodesInTwoLevels) {
  const std::vector<Subtree> expected = {
      {NodeId{1}, Ids({4, 5})}, {NodeId{2}, Ids({6})}, {NodeId{3}, Ids({7})}};
  EXPECT_EQ(ShapeTree(Nodes(7), TreeShape::kTwoLevel), expected);
}

TEST(TreeShape, OneOrTwoNodesHaveNothingBelow) {
  EXPECT_EQ(ShapeTree(Nodes(1), TreeShape::kTwoLevel), ShapeTree(Nodes(1), TreeShape::kFlat));
  EXPECT_EQ(ShapeTree(Nodes(2), TreeShape::kTwoLevel), ShapeTree(Nodes(2), TreeShape::kFlat));
}

TEST(TreeShape, KeepsTheIdsItIsGiven) {
  const std::vector<Subtree> expected = {{NodeId{9}, Ids({11})}, {NodeId{7}, {}}};
  EXPECT_EQ(ShapeTree(Ids({9, 7, 11}), TreeShape::kTwoLevel), expected);
}

// Each node once, children before what is below them, in order; sizes differ by at most one.
void CheckTree(const std::vector<NodeId>& nodes, const std::vector<Subtree>& tree) {
  std::vector<NodeId> children;
  std::vector<NodeId> below;
  size_t least = nodes.size();
  size_t most = 0;
  for (const Subtree& subtree : tree) {
    children.push_back(subtree.child);
    below.insert(below.end(), subtree.below.begin(), subtree.below.end());
    least = std::min(least, subtree.below.size());
    most = std::max(most, subtree.below.size());
  }
  children.insert(children.end(), below.begin(), below.end());
  ASSERT_EQ(children, nodes);
  ASSERT_LE(most - least, 1u);
}

TEST(TreeShape, EverySizeHasEachNodeOnceAndIsBalanced) {
  for (uint32_t n = 1; n <= 4096; ++n) {
    const std::vector<NodeId> nodes = Nodes(n);
    for (const TreeShape shape : {TreeShape::kAuto, TreeShape::kFlat, TreeShape::kTwoLevel}) {
      const std::vector<Subtree> tree = ShapeTree(nodes, shape);
      ASSERT_NO_FATAL_FAILURE(CheckTree(nodes, tree)) << n;
      const bool flat = shape == TreeShape::kFlat || (shape == TreeShape::kAuto && n <= 64);
      const size_t k = tree.size();
      ASSERT_TRUE(flat ? k == n : (k * k >= n && (k - 1) * (k - 1) < n)) << n;
    }
  }
}

}  // namespace
}  // namespace rex
