// Watches this node's foreign load: looks when the kernel tells of pressure, and from time to time.
// docs/design/sched.md, "Load", has the rules. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "sched/load/cpu_quota.h"
#include "sched/load/look_series.h"
#include "sched/load/pressure_trigger.h"
#include "sched/load/proc_look.h"

namespace rex {

struct LoadWatchOptions {
  LookPlace place;
  uint32_t cores = 1;
  std::vector<QuotaGroup> quotas;
  std::string pressure_file = PressureTrigger::kFile;  // empty: no triggers
  LookPauses pauses;
};

// What a node finds: NodeLoad's foreign and capacity.
struct FoundLoad {
  uint32_t foreign = 0;   // hundredths of a thread
  uint32_t capacity = 0;  // hundredths of a core
  bool operator==(const FoundLoad&) const = default;
};

class LoadWatch {
 public:
  // `on_found` is called, from the loop, after the second look, or the third if these found
  // something (or when /proc can't be read), and with every change then.
  LoadWatch(EventLoop& loop, LoadWatchOptions options,
            std::function<void(const FoundLoad&)> on_found);
  LoadWatch(const LoadWatch&) = delete;
  LoadWatch& operator=(const LoadWatch&) = delete;

  bool has_trigger() const { return trigger_ != nullptr; }
  uint64_t looks() const { return looks_; }

 private:
  void SetTrigger();
  void OnPressure();
  void BeginLook();
  void Step();
  void EndLook();
  void Tell();
  uint32_t Capacity() const;

  EventLoop& loop_;
  const LoadWatchOptions options_;
  std::function<void(const FoundLoad&)> on_found_;
  LookSeries series_;
  std::optional<ProcLook> look_;  // under way
  std::chrono::microseconds cpu_time_{0};
  Clock::Time look_again_{0};  // not before: looks are paid for by pauses
  std::optional<FoundLoad> told_;
  std::unique_ptr<PressureTrigger> trigger_;
  uint64_t looks_ = 0;
  Timer timer_;
};

// Of this process's node. `cpus`: its usable processing units; `keeper`: see LookPlace.
LoadWatchOptions WatchThisNode(CpuMask cpus, uint32_t cores, pid_t keeper);

}  // namespace rex
