#include "launcher/openmpi/stager_message.h"

#include <algorithm>
#include <array>

namespace rex::openmpi {

namespace {
constexpr size_t kNumberBytes = 4;

void PutNumber(uint32_t value, std::string* out) {
  for (size_t i = 0; i < kNumberBytes; ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

// Takes from the front. False: there is not so much.
bool TakeNumber(std::string_view* from, uint32_t* value) {
  if (from->size() < kNumberBytes) return false;
  *value = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    *value |= uint32_t{static_cast<unsigned char>((*from)[i])} << 8 * i;
  }
  from->remove_prefix(kNumberBytes);
  return true;
}

bool TakeWord(std::string_view* from, std::string* word) {
  uint32_t size = 0;
  if (!TakeNumber(from, &size) || from->size() < size) return false;
  word->assign(from->substr(0, size));
  from->remove_prefix(size);
  return true;
}

// Of each kind, at least.
constexpr std::array<size_t, REX_STAGER_LAST_KIND + 1> kWords = {0, 3, 0, 0, 0, 4, 2, 1,
                                                                 4, 1, 2, 2, 4, 1, 0};

Error Bad(const std::string& what) {
  return {Errc::kProtocol, "a message about an image with " + what};
}
}  // namespace

std::string EncodeStagerMessage(const StagerMessage& message) {
  std::string out;
  for (const uint32_t number : {kStagerProtocol, static_cast<uint32_t>(message.kind), message.job,
                                message.node, static_cast<uint32_t>(message.words.size())}) {
    PutNumber(number, &out);
  }
  for (const std::string& word : message.words) {
    PutNumber(static_cast<uint32_t>(word.size()), &out);
    out += word;
  }
  return out;
}

Result<StagerMessage> DecodeStagerMessage(std::string_view bytes) {
  StagerMessage message;
  uint32_t protocol = 0;
  uint32_t kind = 0;
  uint32_t count = 0;
  if (!TakeNumber(&bytes, &protocol) || !TakeNumber(&bytes, &kind) ||
      !TakeNumber(&bytes, &message.job) || !TakeNumber(&bytes, &message.node) ||
      !TakeNumber(&bytes, &count)) {
    return Bad("its begin cut off");
  }
  if (protocol != kStagerProtocol) return Bad("protocol " + std::to_string(protocol));
  if (kind == 0 || kind > REX_STAGER_LAST_KIND) return Bad("kind " + std::to_string(kind));
  if (count > kMostStagerWords || count < kWords[kind]) {
    return Bad(std::to_string(count) + " words");
  }
  message.kind = static_cast<rex_stager_kind>(kind);
  for (uint32_t i = 0; i < count; ++i) {
    if (!TakeWord(&bytes, &message.words.emplace_back())) return Bad("a word cut off");
  }
  if (!bytes.empty()) return Bad("more than its words");
  return message;
}

std::string JoinParts(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out.append(part).push_back('\0');
  return out;
}

std::vector<std::string> SplitParts(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\0'), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace rex::openmpi
