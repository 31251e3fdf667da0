#include "launcher/tree/join_lines.h"

#include <algorithm>

#include "launcher/tree/start_text.h"

namespace rex {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void AppendHex(std::string* out, const unsigned char* bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    out->push_back(kHexDigits[bytes[i] >> 4]);
    out->push_back(kHexDigits[bytes[i] & 15]);
  }
}

int HexValue(char c) {
  const size_t at = kHexDigits.find(c);
  return at == kHexDigits.npos ? -1 : static_cast<int>(at);
}

// Takes the field's hexadecimal digits and the character behind them off the front of `line`.
bool TakeHex(std::string_view* line, unsigned char* bytes, size_t count, char behind) {
  if (line->size() < 2 * count + 1 || (*line)[2 * count] != behind) return false;
  for (size_t i = 0; i < count; ++i) {
    const int high = HexValue((*line)[2 * i]);
    const int low = HexValue((*line)[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<unsigned char>(high << 4 | low);
  }
  line->remove_prefix(2 * count + 1);
  return true;
}

std::array<unsigned char, 4> BigEndian(NodeId node) {
  const uint32_t v = Index(node);
  return {static_cast<unsigned char>(v >> 24), static_cast<unsigned char>(v >> 16),
          static_cast<unsigned char>(v >> 8), static_cast<unsigned char>(v)};
}

bool TakeNode(std::string_view* line, NodeId* node, char behind) {
  std::array<unsigned char, 4> b{};
  if (!TakeHex(line, b.data(), b.size(), behind)) return false;
  const uint32_t id = static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 |
                      static_cast<uint32_t>(b[2]) << 8 | b[3];
  *node = NodeId{id};
  return id < kMaxNodes;
}

bool IsVersion(std::string_view text) {
  return !text.empty() && text.size() <= kMaxVersionBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::string MarkerLine(std::string_view version) {
  return std::string(kMarkerStart) + std::string(version) + "\n";
}

Result<bool> MarkerReader::Feed(std::string_view bytes) {
  pending_.append(bytes);
  if (!found_) {
    const size_t at = pending_.find(kMarkerStart);
    if (at == pending_.npos) {
      const size_t keep = std::min(pending_.size(), kMarkerStart.size() - 1);
      KeepEnd(&noise_, std::string_view(pending_).substr(0, pending_.size() - keep));
      pending_.erase(0, pending_.size() - keep);
      return false;
    }
    KeepEnd(&noise_, std::string_view(pending_).substr(0, at));
    pending_.erase(0, at + kMarkerStart.size());
    found_ = true;
  }
  return TakeMarker();
}

Result<bool> MarkerReader::TakeMarker() {
  const size_t end = pending_.find('\n');
  if (end == pending_.npos && pending_.size() <= kMaxVersionBytes) return false;
  const std::string version = pending_.substr(0, end);
  if (!IsVersion(version)) return Error{Errc::kProtocol, "the greeting is malformed"};
  if (end + 1 != pending_.size()) {
    return Error{Errc::kProtocol, "something follows the greeting: " +
                                      LastLine(std::string_view(pending_).substr(end + 1))};
  }
  version_ = version;
  return true;
}

std::string KeyLine(const LinkKey& key, const DvmId& dvm, NodeId parent, NodeId child) {
  std::string line;
  line.reserve(kKeyLineBytes);  // never moved, so no copy of the key stays behind
  line += "KEY ";
  AppendHex(&line, key.bytes.data(), key.bytes.size());
  line += ' ';
  AppendHex(&line, dvm.bytes.data(), dvm.bytes.size());
  for (const NodeId node : {parent, child}) {
    line += ' ';
    const auto bytes = BigEndian(node);
    AppendHex(&line, bytes.data(), bytes.size());
  }
  line += '\n';
  return line;
}

Result<JoinTicket> ParseKeyLine(std::string_view line) {
  const Error bad{Errc::kProtocol, "the key line is malformed"};
  if (line.size() != kKeyLineBytes || !line.starts_with("KEY ")) return bad;
  line.remove_prefix(4);
  JoinTicket ticket;
  if (!TakeHex(&line, ticket.key.bytes.data(), ticket.key.bytes.size(), ' ') ||
      !TakeHex(&line, ticket.dvm.bytes.data(), ticket.dvm.bytes.size(), ' ') ||
      !TakeNode(&line, &ticket.parent, ' ') || !TakeNode(&line, &ticket.self, '\n') ||
      ticket.parent == ticket.self) {
    return bad;
  }
  return ticket;
}

}  // namespace rex
