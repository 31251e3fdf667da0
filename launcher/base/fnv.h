// FNV-1a, 64 bits: names and compares what nobody has an interest in forging.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rex {

inline constexpr uint64_t kFnvStart = 0xcbf29ce484222325;

constexpr uint64_t Fnv(std::string_view bytes, uint64_t hash = kFnvStart) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}
static_assert(Fnv("foobar") == 0x85944171f73967e8);  // the authors' test vector

// 16 digits.
inline std::string Hex(uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(16, '0');
  for (size_t i = 0; i < hex.size(); ++i) hex[i] = kDigits[value >> (60 - 4 * i) & 15];
  return hex;
}

}  // namespace rex
