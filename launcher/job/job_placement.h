// From the nodes that are there to the map of a job: numbers of ranks settled, ranks placed,
// oversubscription judged. Pure.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "launcher/wire/messages.h"
#include "sched/placement/hardware.h"
#include "sched/placement/job_map.h"
#include "sched/placement/node_load.h"

namespace rex {

// A node that may get ranks, as the head knows it once its agent has answered.
struct JobNode {
  NodeId id{0};
  std::string name;
  uint32_t cores = 1;
  uint32_t slots = 1;
  bool slots_from_cores = true;  // nobody asked for that number of slots
  uint32_t max_slots = 0;        // never more ranks than these, even oversubscribed; 0: no limit
  bool missing = false;          // could not be started, and is left out
  bool counted = true;           // the slots are the node's cores, whoever wanted that
  std::shared_ptr<const Hardware> hardware;  // never null once the node is ready
  // None: not known, and counted as idle.
  std::optional<NodeLoad> load;
  std::chrono::milliseconds load_age{0};  // since the node said so
  uint32_t used = 0;                      // ranks of other jobs there
};

struct PlacedJob {
  std::shared_ptr<const JobSpec> spec;  // every app with its number of ranks, without nodes
  std::shared_ptr<const JobMap> map;
  uint32_t slots = 0;  // of all nodes
  std::vector<Notice> notices;
};

// Where a job counts hardware threads as processors, so do nodes whose slots are counted.
void CountThreads(const JobSpec& spec, std::vector<JobNode>* nodes);

// `nodes`: in the user's order; not empty. `dvm_nodes`: how many ids there are.
std::variant<PlacedJob, Failure> PlaceJob(const JobSpec& spec, const std::vector<JobNode>& nodes,
                                          uint32_t dvm_nodes);

// A job that was refused would be placed, but for --max-load: waiting may help.
bool OnlyTooBusy(const JobSpec& spec, const std::vector<JobNode>& nodes, uint32_t dvm_nodes);

// Unguessable, and usable as Open MPI's job id, which is a hash of the name.
std::string NewNameSpace();

}  // namespace rex
