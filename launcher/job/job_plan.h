// From what the user asked for to what this node will do: programs found, ranks numbered,
// environments composed. Pure but for looking at files named by the job (programs, directories).
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "launcher/job/fabric_probe.h"
#include "launcher/wire/messages.h"
#include "pmix-server/proto/host_types.h"
#include "sched/topology/topology.h"

namespace rex {

// What the agent knows of its node before any job.
struct NodeFacts {
  std::string name;                          // as gethostname(2) says it
  uint32_t slots = 1;                        // usable cores
  std::shared_ptr<const Topology> topology;  // none: it could not be read
  uint64_t open_files = 1024;                // how many descriptors the agent may have
  std::string session_dir;                   // private, on disk or tmpfs
  std::string shm_dir;                       // private, memory-backed
  FabricFacts fabrics;                       // which network devices are there
};

struct AppPlan {
  std::string path;  // absolute
  std::vector<std::string> argv;
  std::string wdir;
  std::vector<std::string> env;  // the app's common environment, without the host's part
  Rank first_rank = 0;
  uint32_t ranks = 0;
};

struct JobPlan {
  std::string name_space;
  std::string job_dir;  // below the session directory; made by the job; ranks may start in it
  std::string shm_dir;  // below the memory-backed one, likewise: libpmix's and Open MPI's files
  std::vector<AppPlan> apps;
  uint32_t total = 0;
  uint32_t slots = 0;
  bool oversubscribed = false;
  std::vector<std::vector<uint64_t>> bindings;  // by rank, as BirthBatch::Rank::cpuset; or empty
  std::vector<Notice> notices;

  const AppPlan& AppOf(Rank rank) const;
};

// A plan, or why the job can't start (exit code and text follow from the failure).
std::variant<JobPlan, Failure> PlanJob(const JobSpec& spec, const NodeFacts& node);

// What the host has to know of the job.
pmix::RegisterJob RegistrationOf(const JobPlan& plan, const NodeFacts& node);

// Merges NAME=VALUE lists; later ones win, order of first appearance is kept.
std::vector<std::string> MergeEnvironments(
    const std::vector<const std::vector<std::string>*>& lists);

}  // namespace rex
