#include "launcher/staging/datagram.h"

#include <cstring>

namespace rex {

namespace {
constexpr uint32_t kMagic = 0x43584552;  // "REXC"
constexpr size_t kIdBytes = 8;

char* Put(char* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) *to++ = static_cast<char>(value >> 8 * i);
  return to;
}

uint64_t Get(std::string_view from, size_t at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(from[at + i])} << 8 * i;
  return value;
}
}  // namespace

void EncodeDatagramHeader(const TransferId& id, const Datagram& datagram, char* to) {
  to = Put(to, kMagic, 4);
  to = Put(to, static_cast<uint8_t>(datagram.kind), 2);
  to = Put(to, datagram.number, 2);
  std::memcpy(to, id.data(), kIdBytes);
  to = Put(to + kIdBytes, datagram.index, 4);
  Put(to, datagram.round, 4);
}

std::string EncodeDatagram(const TransferId& id, const Datagram& datagram) {
  std::string out(kDatagramHeaderBytes, '\0');
  EncodeDatagramHeader(id, datagram, out.data());
  return out.append(datagram.bytes);
}

std::optional<Datagram> DecodeDatagram(const TransferId& id, std::string_view text) {
  if (text.size() < kDatagramHeaderBytes || Get(text, 0, 4) != kMagic) return std::nullopt;
  if (std::memcmp(text.data() + 8, id.data(), kIdBytes) != 0) return std::nullopt;
  Datagram datagram;
  const uint64_t kind = Get(text, 4, 2);
  if (kind < 1 || kind > 3) return std::nullopt;
  datagram.kind = static_cast<DatagramKind>(kind);
  datagram.number = static_cast<uint16_t>(Get(text, 6, 2));
  datagram.index = static_cast<uint32_t>(Get(text, 16, 4));
  datagram.round = static_cast<uint32_t>(Get(text, 20, 4));
  datagram.bytes = text.substr(kDatagramHeaderBytes);
  const bool fragment = datagram.kind == DatagramKind::kFragment;
  if (fragment ? datagram.number >= kMaxFragments || datagram.bytes.empty() ||
                     datagram.bytes.size() > kFragmentBytes
               : !datagram.bytes.empty()) {
    return std::nullopt;
  }
  return datagram;
}

}  // namespace rex
