// What a look reads of /proc, decoded. Pure. Source: proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rex {

// Bit i of word j is cpu 64*j+i.
using CpuMask = std::vector<uint64_t>;
bool Meets(const CpuMask& a, const CpuMask& b);

struct ProcStat {
  pid_t pid = 0;
  pid_t ppid = 0;
  char state = '?';
  uint32_t threads = 1;
  bool kernel = false;  // a kernel thread
};

// The text of /proc/PID/stat, or of /proc/PID/task/TID/stat. nullopt: it is none.
std::optional<ProcStat> ParseProcStat(std::string_view text);

// The line Cpus_allowed of /proc/PID/status. nullopt: there is none.
std::optional<CpuMask> ParseCpusAllowed(std::string_view status);

// The runnable threads of the whole machine: the fourth word of /proc/loadavg, "3/512".
std::optional<uint32_t> ParseRunnable(std::string_view loadavg);

// Which of `processes` are rex's own on this node: the keeper, all below it, and all above it.
std::vector<bool> OwnProcesses(const std::vector<ProcStat>& processes, pid_t keeper);

}  // namespace rex
