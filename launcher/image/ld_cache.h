// /etc/ld.so.cache, the new format of glibc (dl-cache.h) with its extension for glibc-hwcaps. Pure.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rex {

// Names of subdirectories below glibc-hwcaps/ that this processor can use, best first.
std::vector<std::string> UsableHwcaps();

class LdCache {
 public:
  // Damaged entries are left out; something else than a cache has none.
  static LdCache Parse(std::string_view file);

  // Where ld.so would look for `name` on a machine with `hwcaps` (best first); empty: nowhere.
  std::string Find(const std::string& name, const std::vector<std::string>& hwcaps) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string path;
    std::string hwcap;  // empty: for every processor
  };
  std::unordered_multimap<std::string, Entry> entries_;
};

}  // namespace rex
