// Fixed-width numbers in a link's messages: little-endian, unsigned.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "launcher/base/check.h"

namespace rex {

template <typename T>
void AppendLe(std::string& out, T value) {
  static_assert(std::is_unsigned_v<T>);
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

// Reads from the front of `bytes`, which are enough.
template <typename T>
T ReadLe(std::string_view bytes) {
  static_assert(std::is_unsigned_v<T>);
  REX_CHECK(bytes.size() >= sizeof(T));
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i));
  }
  return value;
}

}  // namespace rex
