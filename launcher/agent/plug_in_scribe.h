// The head's memory of what programs open by themselves: what nodes saw, less what ld.so loads
// anyway, is kept by the program's digest (image/seen_plug_ins.h) for the next launch that sends
// it. Files are read in a thread. Loop thread only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launcher/part/part_messages.h"
#include "launcher/wire/messages.h"

namespace rex {

class PlugInScribe {
 public:
  PlugInScribe() = default;
  PlugInScribe(const PlugInScribe&) = delete;
  PlugInScribe& operator=(const PlugInScribe&) = delete;

  void OnLaunch(JobNumber job, std::shared_ptr<const JobSpec> spec) {
    jobs_[job] = Known{std::move(spec), {}};
  }
  // Errors: kProtocol: the job has no such app.
  Status OnSeen(JobNumber job, PartPlugIns seen);
  void OnEnd(JobNumber job) { jobs_.erase(job); }
  // Waits for what is being written, at most for `bound`.
  void Finish(std::chrono::milliseconds bound) const;

 private:
  struct Pending {
    std::mutex mutex;
    std::condition_variable none_left;
    size_t count = 0;  // guarded by mutex
  };
  struct Known {
    std::shared_ptr<const JobSpec> spec;
    std::set<std::pair<uint32_t, std::string>> seen;  // app, path: nodes see the same
  };
  std::map<JobNumber, Known> jobs_;
  std::shared_ptr<Pending> pending_ = std::make_shared<Pending>();
};

}  // namespace rex
