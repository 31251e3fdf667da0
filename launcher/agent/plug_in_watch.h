// What ranks of this node have opened by themselves: looked for in their maps (proc(5)) some time
// after they began, so that nothing of it is in the way of a launch. The head's affair is which of
// it counts. Loop thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/part/part_messages.h"
#include "launcher/ranks/part.h"

namespace rex {

// The libraries among a process's mapped files that do not come with the distribution, as they are
// called on the head: `own_dir` (empty: none), where rex has put its files, is left out. Not rex's
// own. Pure.
std::vector<std::string> OwnLibraries(const std::vector<std::string>& mapped,
                                      const std::string& own_dir);

class PlugInWatch {
 public:
  // From a job's last rank in its program to each look: what programs open first, and later.
  static constexpr std::chrono::milliseconds kLooks[] = {
      std::chrono::milliseconds(100), std::chrono::seconds(1), std::chrono::seconds(10),
      std::chrono::seconds(100)};

  struct Handlers {
    std::function<std::vector<Part::Sample>(JobNumber)> samples;  // a living rank of each app
    std::function<void(JobNumber, PartPlugIns)> tell;             // from the loop
  };
  PlugInWatch(EventLoop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}
  PlugInWatch(const PlugInWatch&) = delete;
  PlugInWatch& operator=(const PlugInWatch&) = delete;

  void Begin(JobNumber job);
  void End(JobNumber job) { watched_.erase(job); }

 private:
  struct Watched {
    size_t looks = 0;
    std::map<uint32_t, size_t> told;  // how many of each app
    std::unique_ptr<Timer> timer;
  };
  void Look(JobNumber job);
  void SetTimer(Watched* watched) const;

  EventLoop& loop_;
  Handlers handlers_;
  std::map<JobNumber, Watched> watched_;
};

}  // namespace rex
