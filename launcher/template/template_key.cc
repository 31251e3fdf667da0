#include "launcher/template/template_key.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

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
