#include "launcher/template/template_key.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace rex {

std::vector<std::string> LoaderEnvironment(const std::vector<std::string>& env) {
  std::vector<std::string> found;
  for (const std::string& entry : env) {
    if (entry.starts_with("LD_") || entry.starts_with("GLIBC_TUNABLES=") ||
        entry.starts_with("MALLOC_")) {
      found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

namespace {
// ld.so(8): an empty part of LD_LIBRARY_PATH is the working directory; a name without a slash in
// LD_PRELOAD is looked for as any library is.
bool IsRelative(std::string_view part, bool is_path) {
  if (is_path) return !part.starts_with('/');
  return !part.starts_with('/') && part.find('/') != std::string_view::npos;
}

bool HasRelativePart(const std::string& entry, std::string_view name, std::string_view separators,
                     bool is_path) {
  if (!entry.starts_with(name) || entry.size() == name.size()) return false;
  std::string_view rest = std::string_view(entry).substr(name.size());
  for (;;) {
    const size_t end = rest.find_first_of(separators);
    if (IsRelative(rest.substr(0, end), is_path)) return true;
    if (end == std::string_view::npos) return false;
    rest.remove_prefix(end + 1);
  }
}
}  // namespace

bool LooksInDirectory(const TemplateKey& key) {
  if (!key.path.starts_with('/')) return true;
  return std::any_of(key.loader_env.begin(), key.loader_env.end(), [](const std::string& entry) {
    return HasRelativePart(entry, "LD_LIBRARY_PATH=", ":;", true) ||
           HasRelativePart(entry, "LD_PRELOAD=", ": ", false);
  });
}

std::vector<uint64_t> OwnLimits() {
  std::vector<uint64_t> limits;
  for (int kind = 0; kind < static_cast<int>(RLIM_NLIMITS); ++kind) {
    rlimit limit{};
    // Set in each rank, and raised in the agent.
    if (kind == RLIMIT_NOFILE) continue;
    if (::getrlimit(static_cast<__rlimit_resource>(kind), &limit) != 0) continue;
    limits.push_back(limit.rlim_cur);
    limits.push_back(limit.rlim_max);
  }
  return limits;
}

std::vector<uint64_t> OwnAffinity() {
  constexpr size_t kWords = 1024;  // 65536 cpus
  std::vector<uint64_t> words(kWords, 0);
  auto* set = reinterpret_cast<cpu_set_t*>(words.data());
  if (::sched_getaffinity(0, words.size() * sizeof words[0], set) != 0) return {};
  while (!words.empty() && words.back() == 0) words.pop_back();
  return words;
}

}  // namespace rex
