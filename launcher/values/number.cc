#include "launcher/values/number.h"

#include <charconv>

namespace rex {

namespace {
constexpr std::chrono::microseconds kLongest = std::chrono::milliseconds(0x7fffffff);

bool AllDigits(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}
}  // namespace

std::optional<uint64_t> ParseWhole(std::string_view text) {
  if (text.empty() || !AllDigits(text)) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  constexpr std::string_view kUnits = "kKmMgG";
  const size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  if (unit == std::string_view::npos) return ParseWhole(text);
  const size_t bits = 10 * (unit / 2 + 1);
  const auto whole = ParseWhole(text.substr(0, text.size() - 1));
  if (!whole || *whole > UINT64_MAX >> bits) return std::nullopt;
  return *whole << bits;
}

std::optional<std::chrono::microseconds> ParseTime(std::string_view text,
                                                   std::chrono::microseconds unit) {
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if ((whole.empty() && fraction.empty()) || !AllDigits(whole) || !AllDigits(fraction)) {
    return std::nullopt;
  }
  const auto units = whole.empty() ? std::optional<uint64_t>(0) : ParseWhole(whole);
  if (!units || *units > static_cast<uint64_t>(kLongest / unit)) return std::nullopt;
  std::chrono::microseconds time = unit * static_cast<int64_t>(*units);
  std::chrono::microseconds digit = unit;
  for (const char c : fraction) {
    digit /= 10;
    time += digit * (c - '0');
  }
  if (time > kLongest) return std::nullopt;
  return time;
}

}  // namespace rex
