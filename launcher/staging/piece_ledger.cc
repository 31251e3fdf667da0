#include "launcher/staging/piece_ledger.h"

namespace rex {

PieceLedger::PieceLedger(Geometry geometry, const BlockSet& coming)
    : geometry_(std::move(geometry)), coming_(geometry_.blocks()), had_(geometry_.pieces()) {
  for (uint64_t block = 0; block < geometry_.blocks(); ++block) {
    if (coming.Has(block)) Add(block);
  }
}

void PieceLedger::Add(uint64_t block) {
  if (coming_.Has(block)) return;
  coming_.Add(block);
  for (uint32_t i = 0; i < kPiecesPerBlock; ++i) {
    if (geometry_.PiecePlace(block * kPiecesPerBlock + i)) ++left_;
  }
}

bool PieceLedger::Take(uint32_t piece) {
  if (!Lacks(piece)) return false;
  had_[piece] = true;
  --left_;
  return true;
}

bool PieceLedger::HasBlock(uint64_t block) const {
  if (!coming_.Has(block)) return true;
  for (uint32_t i = 0; i < kPiecesPerBlock; ++i) {
    const uint64_t piece = block * kPiecesPerBlock + i;
    if (geometry_.PiecePlace(piece) && !had_[piece]) return false;
  }
  return true;
}

BlockSet PieceLedger::Missing() const {
  BlockSet missing(geometry_.blocks());
  for (uint64_t block = 0; block < geometry_.blocks(); ++block) {
    if (!HasBlock(block)) missing.Add(block);
  }
  return missing;
}

}  // namespace rex
