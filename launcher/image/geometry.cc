#include "launcher/image/geometry.h"

#include <algorithm>
#include <bit>

namespace rex {

BlockSet BlockSet::FromBytes(std::string bytes) {
  BlockSet set;
  set.bits_ = std::move(bytes);
  return set;
}

void BlockSet::AddAll(const BlockSet& other) {
  if (bits_.size() < other.bits_.size()) bits_.resize(other.bits_.size(), '\0');
  for (size_t i = 0; i < other.bits_.size(); ++i) bits_[i] |= other.bits_[i];
}

uint64_t BlockSet::count() const {
  uint64_t count = 0;
  for (const char byte : bits_) count += std::popcount(static_cast<uint8_t>(byte));
  return count;
}

Geometry::Geometry(const std::vector<uint64_t>& file_bytes) : bytes_(file_bytes) {
  first_block_.push_back(0);
  for (const uint64_t bytes : bytes_) first_block_.push_back(first_block_.back() + BlocksOf(bytes));
}

Geometry::Place Geometry::BlockPlace(uint64_t block) const {
  const auto after = std::upper_bound(first_block_.begin(), first_block_.end(), block);
  const auto file = static_cast<size_t>(after - first_block_.begin()) - 1;
  const uint64_t offset = (block - first_block_[file]) * kBlockBytes;
  return {static_cast<uint32_t>(file), offset, std::min(kBlockBytes, bytes_[file] - offset)};
}

std::optional<Geometry::Place> Geometry::PiecePlace(uint64_t piece) const {
  if (piece >= pieces()) return std::nullopt;
  const Place block = BlockPlace(piece / kPiecesPerBlock);
  const uint64_t skip = piece % kPiecesPerBlock * kPieceBytes;
  if (skip >= block.bytes) return std::nullopt;
  return Place{block.file, block.offset + skip, std::min(kPieceBytes, block.bytes - skip)};
}

uint64_t Geometry::BytesOf(const BlockSet& set) const {
  uint64_t bytes = 0;
  for (uint64_t block = 0; block < blocks(); ++block) {
    if (set.Has(block)) bytes += BlockPlace(block).bytes;
  }
  return bytes;
}

}  // namespace rex
