// One look through /proc: how many threads that are not rex's own can run on this node's cores.
// In steps, so that a loop is not held up where there are thousands of processes. Loop thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/base/result.h"
#include "sched/load/proc_text.h"

namespace rex {

struct LookPlace {
  std::string proc = "/proc";
  CpuMask cpus;                // this node's usable processing units
  bool all_of_machine = true;  // and the machine has no others
  pid_t keeper = 0;            // all above and below it is rex's own
};

class ProcLook {
 public:
  // `place` is borrowed. Lists the processes. Errors: whatever kept /proc from being read.
  static Result<ProcLook> Begin(const LookPlace& place);
  ProcLook(ProcLook&&) noexcept = default;

  // Reads some more; false: that was all.
  bool Step();
  // Once all was read.
  uint32_t foreign() const;

  static constexpr size_t kReadsPerStep = 256;

 private:
  explicit ProcLook(const LookPlace& place) : place_(&place) {}
  void ReadProcess(pid_t pid);
  void PickForeign();
  void CountProcess(const ProcStat& process);
  void CountThread(const std::string& directory);

  const LookPlace* place_;
  UniqueFd proc_;
  std::vector<pid_t> pids_;
  std::vector<ProcStat> processes_;
  std::vector<ProcStat> suspects_;  // foreign, and runnable or with several threads
  size_t next_pid_ = 0;
  size_t next_suspect_ = 0;
  size_t reads_ = 0;  // in this step
  bool picked_ = false;
  bool hidden_ = false;  // other users' processes are not shown
  uint32_t seen_ = 0;
  uint32_t own_runnable_ = 0;
};

}  // namespace rex
