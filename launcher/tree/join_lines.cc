#include "launcher/tree/join_lines.h"

#include <algorithm>

#include "launcher/tree/start_text.h"

namespace rex {

namespace {

constexpr uint64_t kKib = 1024;
constexpr uint32_t kMaxTimeout = 1 << 30;
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

void AppendNumber(std::string* out, uint32_t v) {
  const std::array<unsigned char, 4> bytes = {
      static_cast<unsigned char>(v >> 24), static_cast<unsigned char>(v >> 16),
      static_cast<unsigned char>(v >> 8), static_cast<unsigned char>(v)};
  AppendHex(out, bytes.data(), bytes.size());
}

bool TakeNumber(std::string_view* line, uint32_t* value, char behind) {
  std::array<unsigned char, 4> b{};
  if (!TakeHex(line, b.data(), b.size(), behind)) return false;
  *value = static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 |
           static_cast<uint32_t>(b[2]) << 8 | b[3];
  return true;
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

std::string MarkerReader::noise() const {
  std::string all = noise_;
  if (!found_) KeepEnd(&all, pending_);
  return all;
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

std::string KeyLine(const LinkKey& key, const LinkTerms& terms) {
  std::string line;
  line.reserve(kKeyLineBytes);  // never moved, so no copy of the key stays behind
  line += "KEY ";
  AppendHex(&line, key.bytes.data(), key.bytes.size());
  line += ' ';
  AppendHex(&line, terms.dvm.bytes.data(), terms.dvm.bytes.size());
  const auto kib = (terms.max_message_bytes + kKib - 1) / kKib;
  for (const uint64_t number : {uint64_t{Index(terms.parent)}, uint64_t{Index(terms.child)},
                                static_cast<uint64_t>(terms.node_timeout.count()), kib}) {
    line += ' ';
    AppendNumber(&line, static_cast<uint32_t>(number));
  }
  line += '\n';
  return line;
}

Result<JoinTicket> ParseKeyLine(std::string_view line) {
  const Error bad{Errc::kProtocol, "the key line is malformed"};
  if (line.size() != kKeyLineBytes || !line.starts_with("KEY ")) return bad;
  line.remove_prefix(4);
  JoinTicket ticket;
  LinkTerms& terms = ticket.terms;
  uint32_t parent = 0;
  uint32_t child = 0;
  uint32_t timeout = 0;
  uint32_t kib = 0;
  if (!TakeHex(&line, ticket.key.bytes.data(), ticket.key.bytes.size(), ' ') ||
      !TakeHex(&line, terms.dvm.bytes.data(), terms.dvm.bytes.size(), ' ') ||
      !TakeNumber(&line, &parent, ' ') || !TakeNumber(&line, &child, ' ') ||
      !TakeNumber(&line, &timeout, ' ') || !TakeNumber(&line, &kib, '\n')) {
    return bad;
  }
  if (parent >= kMaxNodes || child >= kMaxNodes || parent == child) return bad;
  if (timeout < 1 || timeout > kMaxTimeout || kib < 1) return bad;
  terms.parent = NodeId{parent};
  terms.child = NodeId{child};
  terms.node_timeout = std::chrono::seconds(timeout);
  terms.max_message_bytes = uint64_t{kib} * kKib;
  return ticket;
}

}  // namespace rex
