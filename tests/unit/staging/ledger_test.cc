#include <gtest/gtest.h>

#include "launcher/staging/fault.h"
#include "launcher/staging/fetch_state.h"
#include "launcher/staging/piece_ledger.h"

namespace rex {
namespace {

BlockSet Set(const Geometry& g, std::initializer_list<uint64_t> blocks) {
  BlockSet set(g.blocks());
  for (const uint64_t block : blocks) set.Add(block);
  return set;
}

TEST(PieceLedger, IsCompleteWithTheLastPiece) {
  const Geometry g({kBlockBytes + 1, kPieceBytes + 1});
  PieceLedger ledger(g, Set(g, {1, 2}));
  EXPECT_EQ(ledger.left(), 3u);
  EXPECT_FALSE(ledger.Take(0));  // of a block that is not coming
  EXPECT_FALSE(ledger.Take(5));  // there is no such piece
  EXPECT_FALSE(ledger.Take(100000));
  EXPECT_TRUE(ledger.Take(4));
  EXPECT_FALSE(ledger.Take(4));
  EXPECT_TRUE(ledger.HasBlock(1));
  EXPECT_TRUE(ledger.Take(9));
  EXPECT_FALSE(ledger.HasBlock(2));
  EXPECT_EQ(ledger.Missing(), Set(g, {2}));
  EXPECT_TRUE(ledger.Take(8));
  EXPECT_TRUE(ledger.complete());
  ledger.Add(0);
  EXPECT_FALSE(ledger.complete());
  ledger.Add(0);
  EXPECT_EQ(ledger.left(), 4u);
}

TEST(FetchState, WholeGrid) {
  using enum FetchState;
  using enum FetchStep;
  int edges = 0;
  for (int from = 0; from < kFetchStates; ++from) {
    for (int on = 0; on < kFetchSteps; ++on) {
      edges += Next(static_cast<FetchState>(from), static_cast<FetchStep>(on)).has_value();
    }
  }
  EXPECT_EQ(edges, static_cast<int>(std::size(kFetchEdges)));
  EXPECT_EQ(Next(kChecking, kAllThere), kPlaced);
  EXPECT_EQ(Next(kChecking, kSomeMissing), kAwaiting);
  EXPECT_EQ(Next(kAwaiting, kWhole), kPlaced);
  EXPECT_EQ(Next(kAwaiting, kFail), kFailed);
  EXPECT_FALSE(Next(kPlaced, kFail));
  EXPECT_FALSE(Next(kFailed, kWhole));
}

TEST(Fault, Words) {
  EXPECT_EQ(FaultOf("n1:damage=3 *:lose=10", "n1", "damage"), 3u);
  EXPECT_EQ(FaultOf("n1:damage=3 *:lose=10", "n2", "damage"), 0u);
  EXPECT_EQ(FaultOf("n1:damage=3 *:lose=10", "n2", "lose"), 10u);
  EXPECT_EQ(FaultOf("", "n2", "lose"), 0u);
  EXPECT_EQ(FaultOf("nonsense =: n:=1", "n", "lose"), 0u);
}

}  // namespace
}  // namespace rex
