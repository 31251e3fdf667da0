#include "launcher/staging/piece_puzzle.h"

#include <algorithm>

namespace rex {

PiecePuzzle::PiecePuzzle(std::vector<Expected> pieces) {
  for (const Expected& expected : pieces) {
    order_.push_back(expected.piece);
    sizes_[expected.piece] = expected.record_bytes;
    entries_[expected.piece] = {expected.record_bytes,
                                AllFragments(FragmentsOf(expected.record_bytes)), ""};
  }
}

std::optional<std::string> PiecePuzzle::Add(uint32_t piece, uint16_t number,
                                            std::string_view bytes) {
  const auto found = entries_.find(piece);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  const uint64_t bit = uint64_t{1} << number % 64;
  const size_t at = number * kFragmentBytes;
  if (number >= kMaxFragments || (entry.missing & bit) == 0 || at >= entry.record_bytes) {
    return std::nullopt;
  }
  const size_t part = std::min(kFragmentBytes, entry.record_bytes - at);
  if (bytes.size() < part) return std::nullopt;
  bytes = bytes.substr(0, part);
  if (entry.record.empty()) entry.record.resize(entry.record_bytes);
  entry.record.replace(at, bytes.size(), bytes);
  entry.missing &= ~bit;
  if (entry.missing != 0) return std::nullopt;
  std::string record = std::move(entry.record);
  entries_.erase(found);
  return record;
}

std::vector<std::pair<uint32_t, uint64_t>> PiecePuzzle::Gaps(uint32_t window) const {
  std::vector<std::pair<uint32_t, uint64_t>> gaps;
  const size_t begin = size_t{window} * kWindowPieces;
  const size_t end = std::min(begin + kWindowPieces, order_.size());
  for (size_t i = begin; i < end; ++i) {
    const auto entry = entries_.find(order_[i]);
    if (entry != entries_.end()) gaps.emplace_back(order_[i], entry->second.missing);
  }
  return gaps;
}

void PiecePuzzle::DropBefore(uint32_t window) {
  for (; dropped_ < window && size_t{dropped_} * kWindowPieces < order_.size(); ++dropped_) {
    const size_t begin = size_t{dropped_} * kWindowPieces;
    const size_t end = std::min(begin + kWindowPieces, order_.size());
    for (size_t i = begin; i < end; ++i) entries_.erase(order_[i]);
  }
}

void PiecePuzzle::Forget(uint32_t piece, bool wanted) {
  const auto size = sizes_.find(piece);
  if (size == sizes_.end()) return;
  if (wanted) {
    entries_[piece] = {size->second, AllFragments(FragmentsOf(size->second)), ""};
  } else {
    entries_.erase(piece);
  }
}

uint32_t PiecePuzzle::windows() const {
  return static_cast<uint32_t>((order_.size() + kWindowPieces - 1) / kWindowPieces);
}

std::vector<PiecePuzzle::Expected> PiecesOf(const Geometry& geometry, const BlockSet& blocks) {
  std::vector<PiecePuzzle::Expected> pieces;
  for (uint64_t block = 0; block < geometry.blocks(); ++block) {
    if (!blocks.Has(block)) continue;
    for (uint32_t i = 0; i < kPiecesPerBlock; ++i) {
      const auto piece = static_cast<uint32_t>(block * kPiecesPerBlock + i);
      const auto place = geometry.PiecePlace(piece);
      if (place) pieces.push_back({piece, kPieceHeaderBytes + place->bytes + kSealBytes});
    }
  }
  return pieces;
}

}  // namespace rex
