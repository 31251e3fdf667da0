// Records that come in fragments, in any order, with gaps. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/staging/datagram.h"

namespace rex {

class PiecePuzzle {
 public:
  // Which pieces there are, in the order of sending, and their records' sizes.
  struct Expected {
    uint32_t piece = 0;
    size_t record_bytes = 0;
  };
  PiecePuzzle() = default;
  explicit PiecePuzzle(std::vector<Expected> pieces);

  // A whole record when this was its last fragment. Fragments that don't fit are passed over.
  std::optional<std::string> Add(uint32_t piece, uint16_t number, std::string_view bytes);
  // What is missing of a window of kWindowPieces; of earlier ones nothing is kept any more.
  std::vector<std::pair<uint32_t, uint64_t>> Gaps(uint32_t window) const;
  // What the windows before this one lack will not come this way.
  void DropBefore(uint32_t window);
  // The piece is damaged, or came another way: it starts anew, or is not wanted.
  void Forget(uint32_t piece, bool wanted);

  uint32_t windows() const;

 private:
  struct Entry {
    size_t record_bytes = 0;
    uint64_t missing = 0;  // fragments
    std::string record;    // once the first has come
  };
  std::vector<uint32_t> order_;
  std::map<uint32_t, Entry> entries_;  // of what is not complete
  std::map<uint32_t, size_t> sizes_;
  uint32_t dropped_ = 0;  // windows
};

// The pieces of a set of blocks, in the order of sending.
std::vector<PiecePuzzle::Expected> PiecesOf(const Geometry& geometry, const BlockSet& blocks);

}  // namespace rex
