// rex_stager_message as a value, and its bytes. Pure.
//
// Bytes, all numbers u32 little-endian: protocol version, kind, job, node, count of words; then for
// each word its size and its bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/openmpi/stager_words.h"

namespace rex::openmpi {

inline constexpr uint32_t kStagerProtocol = 2;
inline constexpr size_t kMostStagerBytes = 256 << 20;  // an image of a terabyte fits
inline constexpr size_t kMostStagerWords = 1 << 20;

struct StagerMessage {
  rex_stager_kind kind = REX_STAGER_END;
  uint32_t job = 0;
  uint32_t node = 0;
  std::vector<std::string> words;
};

std::string EncodeStagerMessage(const StagerMessage& message);
// Errors: kProtocol. A message has as many words as its kind needs, at least.
Result<StagerMessage> DecodeStagerMessage(std::string_view bytes);

// Parts that are ended by a zero byte each, and back.
std::string JoinParts(const std::vector<std::string>& parts);
std::vector<std::string> SplitParts(std::string_view text);

}  // namespace rex::openmpi
