#include "launcher/image/ld_cache.h"

#include <cstdint>
#include <cstring>
#include <optional>

namespace rex {

namespace {
constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr size_t kHeaderBytes = 48;
constexpr size_t kEntryBytes = 24;
constexpr uint64_t kHwcapIsExtension = uint64_t{1} << 62;
constexpr uint32_t kExtensionMagic = 0xeaa42174;
constexpr uint32_t kHwcapsTag = 1;
constexpr uint32_t kMostHwcaps = 64;

#if defined(__x86_64__)
constexpr uint32_t kFlags = 0x0303;  // ELF libc6, x86-64
#elif defined(__aarch64__)
constexpr uint32_t kFlags = 0x0a03;
#else
constexpr uint32_t kFlags = 0x0003;
#endif

template <typename T>
std::optional<T> At(std::string_view file, uint64_t offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

std::optional<std::string> TextAt(std::string_view file, uint64_t offset) {
  if (offset >= file.size()) return std::nullopt;
  const size_t end = file.find('\0', offset);
  if (end == file.npos || end == offset) return std::nullopt;
  return std::string(file.substr(offset, end - offset));
}

std::vector<std::string> HwcapNames(std::string_view file) {
  std::vector<std::string> names;
  const auto extension = At<uint32_t>(file, 32);
  if (!extension || *extension == 0 || At<uint32_t>(file, *extension) != kExtensionMagic) return {};
  const uint32_t sections = At<uint32_t>(file, *extension + uint64_t{4}).value_or(0);
  for (uint32_t i = 0; i < std::min(sections, kMostHwcaps); ++i) {
    const uint64_t section = *extension + uint64_t{8} + uint64_t{16} * i;
    if (At<uint32_t>(file, section) != kHwcapsTag) continue;
    const auto offset = At<uint32_t>(file, section + 8);
    const uint32_t count = At<uint32_t>(file, section + 12).value_or(0) / 4;
    for (uint32_t name = 0; offset && name < std::min(count, kMostHwcaps); ++name) {
      const auto text = At<uint32_t>(file, *offset + uint64_t{4} * name);
      names.push_back(text ? TextAt(file, *text).value_or("") : "");
    }
  }
  return names;
}
}  // namespace

std::vector<std::string> UsableHwcaps() {
  std::vector<std::string> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v4) usable.emplace_back("x86-64-v4");
  if (v3) usable.emplace_back("x86-64-v3");
  if (v2) usable.emplace_back("x86-64-v2");
#endif
  return usable;
}

LdCache LdCache::Parse(std::string_view file) {
  LdCache cache;
  // Older ones have the old format first.
  const size_t begin = file.find(kMagic);
  if (begin == file.npos) return cache;
  file.remove_prefix(begin);
  const std::vector<std::string> hwcaps = HwcapNames(file);
  const uint32_t count = At<uint32_t>(file, kMagic.size()).value_or(0);
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t entry = kHeaderBytes + uint64_t{kEntryBytes} * i;
    const auto flags = At<uint32_t>(file, entry);
    const auto key = At<uint32_t>(file, entry + 4);
    const auto value = At<uint32_t>(file, entry + 8);
    const auto hwcap = At<uint64_t>(file, entry + 16);
    if (!hwcap) break;
    if (*flags != kFlags) continue;
    const bool extended = (*hwcap & kHwcapIsExtension) != 0;
    const auto index = static_cast<uint32_t>(*hwcap);
    if ((*hwcap != 0 && !extended) || (extended && index >= hwcaps.size())) continue;
    auto name = TextAt(file, *key);
    auto path = TextAt(file, *value);
    if (!name || !path) continue;
    cache.entries_.emplace(*std::move(name),
                           Entry{*std::move(path), extended ? hwcaps[index] : std::string()});
  }
  return cache;
}

std::string LdCache::Find(const std::string& name, const std::vector<std::string>& hwcaps) const {
  const auto [begin, end] = entries_.equal_range(name);
  size_t best = hwcaps.size() + 1;
  std::string path;
  for (auto it = begin; it != end; ++it) {
    size_t rank = 0;
    while (rank < hwcaps.size() && hwcaps[rank] != it->second.hwcap) ++rank;
    if (rank == hwcaps.size() && !it->second.hwcap.empty()) continue;
    if (rank < best) {
      best = rank;
      path = it->second.path;
    }
  }
  return path;
}

}  // namespace rex
