#include "launcher/image/shape.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rex {
namespace {

TEST(Shape, BulkGoesByAChain) {
  for (const uint64_t nodes : {1, 2, 8, 12, 64}) EXPECT_EQ(BestFanOut(nodes, 1600), 1u) << nodes;
}

TEST(Shape, SmallImagesOnManyNodesGoByATree) {
  EXPECT_GT(BestFanOut(64, 4), 1u);
  EXPECT_GT(BestFanOut(1000, 16), 1u);
  EXPECT_EQ(BestFanOut(2, 1), 1u);
}

TEST(Shape, ItIsTheCheapest) {
  for (uint64_t nodes = 1; nodes < 300; nodes += 7) {
    for (const uint64_t pieces : {1, 5, 30, 200, 2000}) {
      const double best = TransferCost(nodes, pieces, BestFanOut(nodes, pieces));
      for (unsigned k = 1; k <= 4; ++k) EXPECT_LE(best, TransferCost(nodes, pieces, k));
    }
  }
}

// The model's promise: 8 nodes cost hardly more than one.
TEST(Shape, AChainCostsOneHopANode) {
  EXPECT_EQ(TransferCost(8, 1526, 1), 1526 + 7);
  EXPECT_LT(TransferCost(12, 1526, 1) / TransferCost(2, 1526, 1), 1.01);
}

TEST(Shape, EveryNodeHasAParentBeforeIt) {
  for (unsigned k = 1; k <= 4; ++k) {
    const std::vector<int> parents = ImageParents(50, k);
    for (int i = 0; i < 50; ++i) {
      EXPECT_LT(parents[i], i);
      EXPECT_EQ(parents[i] < 0, i == 0);  // the head sends once
      EXPECT_LE(std::count(parents.begin(), parents.end(), i), static_cast<long>(k));
    }
  }
}

}  // namespace
}  // namespace rex
