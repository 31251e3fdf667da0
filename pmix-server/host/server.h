// libpmix as this process runs it: settings, start, and what ranks are told about the node.
//
// There is one libpmix per process (it keeps its state in globals), started once and never
// finalized: this process ends with _exit, and the keeper removes the directories.
#pragma once

#include <pmix_common.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "launcher/base/event_loop.h"
#include "pmix-server/host/topology_share.h"
#include "pmix-server/host/upcalls/support.h"

namespace rex::pmix {

class PmixServer {
 public:
  // Starts libpmix; its progress thread calls `sink` from now on, for the rest of the process.
  // `session_dir`: private, ours; everything libpmix writes goes below it. `node_name`: what jobs
  // call this node. `one_job_ranks`: ranks of the only job to come, 0 when several may.
  // `takes_tools`: who is no rank may connect and ask for jobs.
  // Errors: kInternal, kResource.
  static Result<PmixServer> Start(const std::string& session_dir, const std::string& node_name,
                                  uint32_t one_job_ranks, bool takes_tools, UpcallSink& sink,
                                  const Clock& clock);

  const Topology& topology() const { return *topology_; }
  const std::string& node_name() const { return node_name_; }  // as libpmix knows this node
  const std::optional<TopologyImage>& topology_image() const { return image_; }
  const std::string& rendezvous() const { return rendezvous_; }  // what tools are told
  Clock::Time init_begin() const { return init_begin_; }
  Clock::Time init_end() const { return init_end_; }
  static std::string Version();

 private:
  PmixServer() = default;
  std::string node_name_;
  std::string rendezvous_;
  std::unique_ptr<Topology> topology_;                // libpmix holds its hwloc_topology_t
  std::unique_ptr<pmix_topology_t> topology_handle_;  // borrowed by libpmix
  std::optional<TopologyImage> image_;
  Clock::Time init_begin_{0};
  Clock::Time init_end_{0};
};

}  // namespace rex::pmix
