// What must be equal for two apps to share a template, and the templates that are at hand. Pure.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rex {

// The entries of `env` that exec, ld.so or libc's parts that run before constructors read: LD_*,
// GLIBC_TUNABLES, MALLOC_*. Sorted.
std::vector<std::string> LoaderEnvironment(const std::vector<std::string>& env);

// All that exec and ld.so read and that stays in the template. The files are not in it: they are
// looked at again before each batch (template_files.h).
struct TemplateKey {
  std::string path;
  std::vector<std::string> argv;
  std::string wdir;
  std::vector<std::string> loader_env;
  std::vector<uint64_t> limits;    // soft and hard of each kind but open files
  std::vector<uint64_t> affinity;  // the agent's; bit i of word j is cpu 64*j+i

  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  auto operator<=>(const TemplateKey&) const = default;
};

// Whether what stands in the key means other files in another `wdir`. What the mapped files say of
// that themselves is not in it.
bool LooksInDirectory(const TemplateKey& key);

// The limits and the affinity of this process, as a key has them.
std::vector<uint64_t> OwnLimits();
std::vector<uint64_t> OwnAffinity();

// Templates by key; T is a pointer that owns one. `now` is any clock that does not go back.
template <typename T>
class TemplateCache {
 public:
  using Time = std::chrono::microseconds;
  static constexpr std::chrono::minutes kIdle{10};

  // Null T when there is none; else it counts as used.
  T Find(const TemplateKey& key, Time now) {
    const auto at = entries_.find(key);
    if (at == entries_.end()) return T{};
    at->second.used = now;
    return at->second.value;
  }
  // Replaces one with the same key.
  void Put(const TemplateKey& key, T value, Time now) {
    entries_.insert_or_assign(key, Entry{std::move(value), now});
  }
  void Remove(const TemplateKey& key) { entries_.erase(key); }
  // Drops what nobody used for kIdle; returns how many.
  size_t DropIdle(Time now) {
    return std::erase_if(entries_, [&](const auto& e) { return now - e.second.used >= kIdle; });
  }
  template <typename F>
  void RemoveIf(F which) {
    std::erase_if(entries_, [&](const auto& e) { return which(e.second.value); });
  }
  void Clear() { entries_.clear(); }
  size_t size() const { return entries_.size(); }
  template <typename F>
  void ForEach(F visit) const {
    for (const auto& [key, entry] : entries_) visit(entry.value);
  }

 private:
  struct Entry {
    T value;
    Time used;
  };
  std::map<TemplateKey, Entry> entries_;
};

}  // namespace rex
