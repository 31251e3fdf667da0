#include "sched/load/proc_text.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace rex {

namespace {

constexpr uint32_t kPfKthread = 0x00200000;  // include/linux/sched.h
constexpr size_t kFlagsField = 9;            // as proc(5) counts
constexpr size_t kThreadsField = 20;
constexpr size_t kStateField = 3;
constexpr size_t kMostWords = 4096;  // 2^18 cpus

std::string_view TakeWord(std::string_view* text) {
  const size_t begin = std::min(text->find_first_not_of(" \t\n"), text->size());
  const size_t end = std::min(text->find_first_of(" \t\n", begin), text->size());
  const std::string_view word = text->substr(begin, end - begin);
  text->remove_prefix(end);
  return word;
}

template <typename Number>
std::optional<Number> NumberOf(std::string_view word, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number, base);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

}  // namespace

bool Meets(const CpuMask& a, const CpuMask& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if ((a[i] & b[i]) != 0) return true;
  }
  return false;
}

std::optional<ProcStat> ParseProcStat(std::string_view text) {
  ProcStat stat;
  const auto pid = NumberOf<pid_t>(text.substr(0, text.find(' ')));
  const size_t close = text.rfind(')');  // the name before it may hold anything
  if (!pid || close == std::string_view::npos) return std::nullopt;
  stat.pid = *pid;
  text.remove_prefix(close + 1);
  const std::string_view state = TakeWord(&text);
  const auto ppid = NumberOf<pid_t>(TakeWord(&text));
  if (state.size() != 1 || !ppid) return std::nullopt;
  stat.state = state[0];
  stat.ppid = *ppid;
  for (size_t field = kStateField + 2; field <= kThreadsField; ++field) {
    const std::string_view word = TakeWord(&text);
    if (field == kFlagsField) {
      const auto flags = NumberOf<uint32_t>(word);
      if (!flags) return std::nullopt;
      stat.kernel = (*flags & kPfKthread) != 0;
    }
    if (field == kThreadsField) {
      const auto threads = NumberOf<uint32_t>(word);
      if (!threads) return std::nullopt;
      stat.threads = *threads;
    }
  }
  return stat;
}

std::optional<CpuMask> ParseCpusAllowed(std::string_view status) {
  constexpr std::string_view kName = "\nCpus_allowed:";
  const size_t at = status.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  status.remove_prefix(at + kName.size());
  std::string_view groups = TakeWord(&status);  // "ff,ffffffff": 32 bits each, the highest first
  CpuMask mask;
  for (size_t i = 0; !groups.empty(); ++i) {
    const size_t comma = groups.rfind(',');
    const auto bits =
        NumberOf<uint32_t>(groups.substr(comma == std::string_view::npos ? 0 : comma + 1), 16);
    if (!bits || i / 2 >= kMostWords) return std::nullopt;
    if (i % 2 == 0) mask.push_back(0);
    mask.back() |= uint64_t{*bits} << (32 * (i % 2));
    groups = groups.substr(0, comma == std::string_view::npos ? 0 : comma);
  }
  return mask.empty() ? std::nullopt : std::optional<CpuMask>(std::move(mask));
}

std::optional<uint32_t> ParseRunnable(std::string_view loadavg) {
  for (int i = 0; i < 3; ++i) TakeWord(&loadavg);
  const std::string_view word = TakeWord(&loadavg);
  return NumberOf<uint32_t>(word.substr(0, word.find('/')));
}

std::vector<bool> OwnProcesses(const std::vector<ProcStat>& processes, pid_t keeper) {
  std::unordered_map<pid_t, size_t> index;
  std::unordered_multimap<pid_t, size_t> children;
  for (size_t i = 0; i < processes.size(); ++i) {
    index.emplace(processes[i].pid, i);
    children.emplace(processes[i].ppid, i);
  }
  std::vector<bool> own(processes.size(), false);
  // Above. What was read at different times may go round in a circle.
  for (auto at = index.find(keeper); at != index.end() && !own[at->second];) {
    own[at->second] = true;
    at = index.find(processes[at->second].ppid);
  }
  std::vector<pid_t> below = {keeper};
  while (!below.empty()) {
    const auto [begin, end] = children.equal_range(below.back());
    below.pop_back();
    for (auto it = begin; it != end; ++it) {
      if (own[it->second]) continue;
      own[it->second] = true;
      below.push_back(processes[it->second].pid);
    }
  }
  return own;
}

}  // namespace rex
