// A sealed record in datagrams. Pure.
//
//   u32 magic, u8 kind, u8 0, u16 number, 8 bytes of the transfer's id, u32 piece or window, u32
//   round, then, of a fragment, at most kFragmentBytes of the record, from number * kFragmentBytes
//   on, and, of the last, anything
//
// All little-endian. Nothing here is believed: a record is when it opens.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "launcher/image/seal.h"

namespace rex {

inline constexpr size_t kFragmentBytes = 1395;  // 47 are a whole piece's record and 5 bytes
inline constexpr size_t kDatagramHeaderBytes = 24;
inline constexpr size_t kMaxFragments = (kMaxSealedBytes + kFragmentBytes - 1) / kFragmentBytes;
static_assert(kMaxFragments <= 64);  // a word has a bit for each
inline constexpr uint32_t kWindowPieces = 256;

enum class DatagramKind : uint8_t {
  kProbe = 1,     // number: which probe
  kFragment = 2,  // index: the piece
  kMark = 3,      // index: the window that is over
};
struct Datagram {
  DatagramKind kind = DatagramKind::kProbe;
  uint16_t number = 0;
  uint32_t index = 0;
  uint32_t round = 0;
  std::string_view bytes;  // of a fragment
};
std::string EncodeDatagram(const TransferId& id, const Datagram& datagram);
// kDatagramHeaderBytes of it, to `to`.
void EncodeDatagramHeader(const TransferId& id, const Datagram& datagram, char* to);
// nullopt: not of this transfer, or nonsense. Its bytes are those of `text`.
std::optional<Datagram> DecodeDatagram(const TransferId& id, std::string_view text);

constexpr size_t FragmentsOf(size_t record_bytes) {
  return (record_bytes + kFragmentBytes - 1) / kFragmentBytes;
}
constexpr uint64_t AllFragments(size_t count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

}  // namespace rex
