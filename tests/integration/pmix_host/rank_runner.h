// Starts real processes as ranks, with the environments that a host made, and gathers what they
// print and how they end.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

struct RankResult {
  uint32_t rank = 0;
  int wait_status = 0;  // waitpid(2)
  std::string out;
  std::string err;
};

class RankRunner {
 public:
  explicit RankRunner(EventLoop& loop);
  ~RankRunner();  // kills what still runs

  // One process for each rank of `job`; `extra` goes over the host's environment. False: a process
  // could not be started.
  bool Start(const JobRegistered& job, const std::vector<std::string>& argv,
             const std::vector<std::string>& extra = {});
  // All have closed their output.
  bool quiet() const;
  // What a rank has printed so far.
  std::string OutOf(uint32_t rank) const;
  const std::map<uint32_t, pid_t>& pids() const { return pids_; }
  // Ends them, with SIGKILL those that are not quiet, and hands out what came of each.
  std::vector<RankResult> Collect();

 private:
  struct Running;
  bool StartOne(uint32_t rank, std::vector<std::string> argv, std::vector<std::string> env);
  void Watch(Running& running);

  EventLoop& loop_;
  std::map<uint32_t, pid_t> pids_;
  std::vector<std::unique_ptr<Running>> running_;
};

// Lines NAME=VALUE of a probe's output.
std::map<std::string, std::string> Lines(const std::string& out);

}  // namespace rex::pmix
