#include "launcher/image/geometry.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(Geometry, FilesLieOneBehindTheOther) {
  const Geometry g({kBlockBytes + 5, 0, 1});
  EXPECT_EQ(g.blocks(), 3u);
  EXPECT_EQ(g.FirstBlock(1), 2u);
  EXPECT_EQ(g.FirstBlock(2), 2u);
  EXPECT_EQ(g.BlockPlace(1).file, 0u);
  EXPECT_EQ(g.BlockPlace(1).bytes, 5u);
  EXPECT_EQ(g.BlockPlace(2).file, 2u);
}

TEST(Geometry, PiecesCoverEveryByteOnce) {
  const std::vector<uint64_t> sizes = {
      0, 1, kPieceBytes, kPieceBytes + 1, kBlockBytes, 3 * kBlockBytes - 1};
  const Geometry g(sizes);
  std::vector<uint64_t> seen(sizes.size());
  for (uint64_t piece = 0; piece < g.pieces() + 8; ++piece) {
    const auto place = g.PiecePlace(piece);
    if (!place) continue;
    EXPECT_EQ(place->offset, seen[place->file]);
    EXPECT_GT(place->bytes, 0u);
    EXPECT_LE(place->bytes, kPieceBytes);
    seen[place->file] += place->bytes;
  }
  EXPECT_EQ(seen, sizes);
}

TEST(Geometry, FilesBeyondFourGigabytes) {
  const uint64_t bytes = (uint64_t{5} << 30) + 3;
  const Geometry g({1, bytes});
  const auto last = g.PiecePlace(g.pieces() - kPiecesPerBlock);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->file, 1u);
  EXPECT_EQ(last->offset, uint64_t{5} << 30);
  EXPECT_EQ(last->bytes, 3u);
  EXPECT_LT(g.pieces(), uint64_t{1} << 32);
}

TEST(Geometry, WithoutFiles) {
  const Geometry g(std::vector<uint64_t>{});
  EXPECT_EQ(g.blocks(), 0u);
  EXPECT_FALSE(g.PiecePlace(0));
}

TEST(BlockSet, KnowsItsOwn) {
  BlockSet set(10);
  EXPECT_TRUE(set.empty());
  set.Add(0);
  set.Add(9);
  EXPECT_TRUE(set.Has(9));
  EXPECT_FALSE(set.Has(8));
  EXPECT_FALSE(set.Has(1'000'000));
  EXPECT_EQ(set.count(), 2u);
  set.Remove(9);
  EXPECT_EQ(set.count(), 1u);
  BlockSet other(100);
  other.Add(99);
  set.AddAll(other);
  EXPECT_TRUE(set.Has(99) && set.Has(0));
  EXPECT_EQ(BlockSet::FromBytes(set.bytes()), set);
}

TEST(Geometry, BytesOfASet) {
  const Geometry g({kBlockBytes + 5, 7});
  BlockSet set(g.blocks());
  set.Add(1);
  set.Add(2);
  EXPECT_EQ(g.BytesOf(set), 12u);
}

}  // namespace
}  // namespace rex
