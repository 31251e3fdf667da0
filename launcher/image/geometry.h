// How an image's files lie one behind the other in blocks, and each block in pieces: what numbers
// mean in a transfer. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/image/digest.h"

namespace rex {

inline constexpr uint64_t kPieceBytes = 64 << 10;
inline constexpr uint32_t kPiecesPerBlock = kBlockBytes / kPieceBytes;

// A set of blocks of one image, as messages have it.
class BlockSet {
 public:
  BlockSet() = default;
  explicit BlockSet(uint64_t blocks) : bits_((blocks + 7) / 8, '\0') {}
  static BlockSet FromBytes(std::string bytes);  // any bytes

  void Add(uint64_t block) { bits_[block / 8] |= static_cast<char>(1 << block % 8); }
  void Remove(uint64_t block) { bits_[block / 8] &= static_cast<char>(~(1 << block % 8)); }
  bool Has(uint64_t block) const {
    return block / 8 < bits_.size() && (bits_[block / 8] >> block % 8 & 1) != 0;
  }
  void AddAll(const BlockSet& other);
  bool empty() const { return bits_.find_first_not_of('\0') == bits_.npos; }
  uint64_t count() const;
  uint64_t room() const { return bits_.size() * 8; }  // blocks beyond are never in it
  const std::string& bytes() const { return bits_; }
  bool operator==(const BlockSet&) const = default;

 private:
  std::string bits_;
};

class Geometry {
 public:
  Geometry() = default;
  explicit Geometry(const std::vector<uint64_t>& file_bytes);

  struct Place {
    uint32_t file = 0;
    uint64_t offset = 0;  // in the file
    uint64_t bytes = 0;
  };
  uint64_t blocks() const { return first_block_.empty() ? 0 : first_block_.back(); }
  // Pieces have numbers with gaps where a file's last block is short.
  uint64_t pieces() const { return blocks() * kPiecesPerBlock; }
  uint64_t FirstBlock(uint32_t file) const { return first_block_[file]; }
  Place BlockPlace(uint64_t block) const;                 // block < blocks()
  std::optional<Place> PiecePlace(uint64_t piece) const;  // nullopt: there is no such piece
  uint64_t BytesOf(const BlockSet& blocks) const;

 private:
  std::vector<uint64_t> bytes_;
  std::vector<uint64_t> first_block_;  // of each file, and the end
};

}  // namespace rex
