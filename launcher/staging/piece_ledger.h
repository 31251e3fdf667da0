// Which pieces of a transfer have come. Pure.
#pragma once

#include <vector>

#include "launcher/image/geometry.h"

namespace rex {

class PieceLedger {
 public:
  PieceLedger() = default;
  PieceLedger(Geometry geometry, const BlockSet& coming);

  void Add(uint64_t block);  // is to come, too; no effect when it is already
  // True: it belongs to what is coming, and had not come.
  bool Take(uint32_t piece);
  // It would be taken.
  bool Lacks(uint32_t piece) const {
    return coming_.Has(piece / kPiecesPerBlock) && geometry_.PiecePlace(piece) && !had_[piece];
  }
  bool complete() const { return left_ == 0; }
  uint64_t left() const { return left_; }  // pieces
  // Every piece of the block has come, or it is not coming.
  bool HasBlock(uint64_t block) const;
  // Blocks of which a piece is still to come.
  BlockSet Missing() const;
  const BlockSet& coming() const { return coming_; }

 private:
  Geometry geometry_;
  BlockSet coming_;
  std::vector<bool> had_;  // by piece
  uint64_t left_ = 0;
};

}  // namespace rex
