#include "sched/topology/topology_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <hwloc.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/base/fnv.h"

namespace rex {

namespace {
constexpr std::string_view kPrefix = "topology-";
constexpr std::string_view kFormat = "rex topology 2\n";
constexpr size_t kMaxCacheBytes = 64 << 20;

struct DirClose {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Names files; equality is decided by the key inside the file.
std::string DigestHex(std::string_view bytes) { return Hex(Fnv(bytes)); }

// Tells damage, not malice, at 8 bytes a step: every step is reversible, so whatever differs in one
// word gives another sum.
uint64_t Checksum(std::string_view bytes) {
  uint64_t sum = bytes.size();
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t n = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), n);
    sum = std::rotl((sum ^ word) * 0x9e3779b97f4a7c15, 29);
    bytes.remove_prefix(n);
  }
  return sum;
}

std::string ReadOrEmpty(const std::string& path) {
  Result<std::string> text = ReadFile(path, 1 << 20);
  return text ? *std::move(text) : std::string();
}

// The lines of `text` that begin with one of `names`, in order.
std::string PickLines(const std::string& text, std::initializer_list<std::string_view> names) {
  std::string picked;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1);
    const std::string_view line = std::string_view(text).substr(begin, end - begin + 1);
    for (const std::string_view name : names) {
      if (line.starts_with(name)) picked += line;
    }
    begin = end + 1;
  }
  return picked;
}

// cgroup version 1 has a line `N:cpuset:PATH`, version 2 `0::PATH`, see cgroups(7).
std::string CpusetCgroup(const std::string& text) {
  std::string lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1);
    const std::string line = text.substr(begin, end - begin + 1);
    if (line.find("cpuset") != std::string::npos || line.starts_with("0::")) lines += line;
    begin = end + 1;
  }
  return lines;
}

std::string Header(const std::string& key, std::string_view xml) {
  return std::string(kFormat) + key + "bytes " + std::to_string(xml.size()) + " sum " +
         Hex(Checksum(xml)) + "\n\n";
}

void MakeDirs(const std::string& dir) {
  for (size_t slash = dir.find('/', 1); slash != std::string::npos;
       slash = dir.find('/', slash + 1)) {
    ::mkdir(dir.substr(0, slash).c_str(), 0700);
  }
  ::mkdir(dir.c_str(), 0700);
}
}  // namespace

std::string TopologyCacheKey() {
  utsname names{};
  ::uname(&names);
  std::string key;
  key.append("boot ").append(ReadOrEmpty("/proc/sys/kernel/random/boot_id"));
  key.append("node ").append(names.nodename).append("\nkernel ").append(names.release);
  key.append("\nhwloc ").append(std::to_string(hwloc_get_api_version())).append("\n");
  // Affinity is read as the kernel shows it: no limit on the number of processors to guess.
  key.append(PickLines(ReadOrEmpty("/proc/self/status"), {"Cpus_allowed:", "Mems_allowed:"}));
  key.append("online ").append(ReadOrEmpty("/sys/devices/system/cpu/online"));
  key.append(CpusetCgroup(ReadOrEmpty("/proc/self/cgroup")));
  return key;
}

TopologyCache::TopologyCache(std::string dir, std::string key)
    : dir_(std::move(dir)), key_(std::move(key)) {
  if (!dir_.empty()) path_ = dir_ + "/" + std::string(kPrefix) + DigestHex(key_);
}

std::string TopologyCache::DefaultDir() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return std::string(xdg) + "/rex";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/rex";
  return "";
}

bool TopologyCache::DirIsOurs() const {
  struct stat st {};
  return ::lstat(dir_.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == ::geteuid() &&
         (st.st_mode & 022) == 0;
}

std::optional<std::string> TopologyCache::Load() const {
  if (path_.empty() || !DirIsOurs()) return std::nullopt;
  struct stat st {};
  if (::lstat(path_.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid()) {
    return std::nullopt;
  }
  Result<std::string> text = ReadFile(path_, kMaxCacheBytes);
  if (!text) return std::nullopt;
  const size_t blank = text->find("\n\n");
  if (blank == std::string::npos) return std::nullopt;
  const size_t begin = blank + 2;
  const std::string expected = Header(key_, std::string_view(*text).substr(begin));
  if (text->compare(0, begin, expected) != 0) return std::nullopt;
  return text->substr(begin);
}

bool TopologyCache::Store(const std::string& xml) const {
  if (path_.empty()) return false;
  if (!DirIsOurs()) {
    MakeDirs(dir_);
    if (!DirIsOurs()) return false;
  }
  if (!WriteFileAtomically(path_, Header(key_, xml) + xml)) return false;
  RemoveOldest();
  return true;
}

void TopologyCache::RemoveOldest() const {
  const std::unique_ptr<DIR, DirClose> dir(::opendir(dir_.c_str()));
  if (!dir) return;
  std::vector<std::pair<int64_t, std::string>> files;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string path = dir_ + "/" + entry->d_name;
    struct stat st {};
    if (!std::string_view(entry->d_name).starts_with(kPrefix) || ::lstat(path.c_str(), &st) != 0) {
      continue;
    }
    const bool just_written = path == path_;
    files.emplace_back(just_written ? INT64_MAX : static_cast<int64_t>(st.st_mtime), path);
  }
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i + kMaxCacheFiles < files.size(); ++i) ::unlink(files[i].second.c_str());
}

}  // namespace rex
