// The cache file of this node's topology: $XDG_CACHE_HOME/rex/topology-<digest> or
// ~/.cache/rex/topology-<digest>, mode 0600 in a directory 0700, written beside and renamed.
//
// The file begins with the facts it holds for (the key), the length of the XML and its checksum, so
// a file of another boot, node or cpuset, a cut or damaged one and a digest's collision are all
// told from a good one. hwloc 2.9 crashes on some damaged XML (tried). Anything wrong with file or
// directory (absent, not ours, writable by others): not cached. Schedulers that make a cpuset per
// job make a key per job: the oldest files above kMaxCacheFiles are removed at each write.
#pragma once

#include <optional>
#include <string>

namespace rex {

inline constexpr size_t kMaxCacheFiles = 16;

// What this process's topology depends on: boot id, node name, hwloc's version, affinity and
// memory nodes, online processors, cpuset cgroup. Lines of text.
std::string TopologyCacheKey();

class TopologyCache {
 public:
  // `dir` is rex's own cache directory, e.g. from DefaultDir(); empty: nothing is ever cached.
  TopologyCache(std::string dir, std::string key);

  // From XDG_CACHE_HOME or HOME; empty when neither is an absolute path.
  static std::string DefaultDir();

  std::optional<std::string> Load() const;
  // Makes the directory if need be. False: not stored; never an error worth a message.
  bool Store(const std::string& xml) const;

  const std::string& path() const { return path_; }

 private:
  bool DirIsOurs() const;
  void RemoveOldest() const;

  std::string dir_;
  std::string key_;
  std::string path_;
};

}  // namespace rex
