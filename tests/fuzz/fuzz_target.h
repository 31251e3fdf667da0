// What the fuzz targets share. A target is one file with a LLVMFuzzerTestOneInput: it gives the
// input to one decoder and REX_CHECKs what must hold of every answer. The same file is run by
// libFuzzer (REX_FUZZ=ON) and, over its committed corpus, by replay_main.cc in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "launcher/base/check.h"

// Returns 0. Never keeps `data`, never leaves anything behind, same input same path.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace rex::fuzz {

// Takes an input apart from its front; zeroes when it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  template <typename T>
  T Take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const size_t n = rest_.size() < sizeof value ? rest_.size() : sizeof value;
    if (n > 0) std::memcpy(&value, rest_.data(), n);
    rest_.remove_prefix(n);
    return value;
  }
  uint8_t Byte() { return Take<uint8_t>(); }
  // What is left. Borrowed from the input.
  std::string_view Rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// The pieces between NUL bytes, as argv and environ have them; a NUL at the end ends the last one.
inline std::vector<std::string> SplitAtNul(std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const size_t end = text.find('\0');
    pieces.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return pieces;
}

inline bool HasNul(std::string_view text) { return text.find('\0') != text.npos; }

}  // namespace rex::fuzz
