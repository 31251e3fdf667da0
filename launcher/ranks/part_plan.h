// From what the head decided to what this node will do: programs found, environments composed,
// ranks bound. Pure but for looking at files named by the job (programs, directories).
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "launcher/lease/core_leases.h"
#include "launcher/part/part_messages.h"
#include "launcher/ranks/fabric_probe.h"
#include "launcher/wire/messages.h"
#include "pmix-server/proto/host_types.h"
#include "sched/placement/hardware.h"
#include "sched/topology/topology.h"

namespace rex {

// What the agent knows of its node before any job.
struct NodeFacts {
  NodeId id{0};
  std::string name;                          // as the job calls it
  uint32_t slots = 1;                        // usable cores
  std::shared_ptr<const Topology> topology;  // none: it could not be read
  std::shared_ptr<const Hardware> hardware;  // none: as if it had `slots` plain cores
  std::vector<uint32_t> core_numbers;        // CoreNumbersOf(hardware); as it is, when empty
  uint64_t open_files = 1024;                // how many descriptors the agent may have
  std::string session_dir;                   // private, on disk or tmpfs
  std::string shm_dir;                       // private, memory-backed
  FabricFacts fabrics;                       // which network devices are there
  uint32_t busy_ranks = 0;                   // of other jobs
};

// A program that was brought here, or found to be here already (docs/design/image.md).
struct StagedProgram {
  std::string path;          // absolute; empty: it is looked for as ever
  bool in_place = false;     // the node's own file
  std::string library_path;  // before LD_LIBRARY_PATH, for ld.so alone; empty: nothing
  std::string own_dir;       // below it are links of rex's own making; empty: nothing was staged
  std::vector<std::string> copies;  // own_dir of each rank here; empty: one for all
  // `path` interprets a script: what takes the place of argv[0]. Empty: it does not.
  std::vector<std::string> interpreter_words;
  std::string openmpi_prefix;  // for OPAL_PREFIX; empty: as it is
};

struct AppPlan {
  std::string path;                 // absolute
  std::string library_path;         // as StagedProgram's
  std::string own_dir;              // likewise
  std::vector<std::string> copies;  // likewise
  std::vector<std::string> argv;
  std::string wdir;
  std::vector<std::string> env;  // the app's common environment, without the host's part
  Rank first_rank = 0;
  uint32_t ranks = 0;
};

struct PartPlan {
  std::string name_space;
  std::string job_dir;  // below the session directory; made by the part; ranks may start in it
  std::string shm_dir;  // below the memory-backed one, likewise: libpmix's and Open MPI's files
  std::vector<AppPlan> apps;    // all of the job's; those without ranks here have no path
  std::vector<Rank> ranks;      // this node's, ascending
  bool oversubscribed = false;  // ranks share processors
  // By ranks' places, as BirthBatch::Rank::cpuset; empty, or each may be: not bound.
  std::vector<std::vector<uint64_t>> bindings;
  std::vector<std::vector<uint64_t>> memory;  // the same: NUMA nodes, as ::mem_nodes; or empty
  // By ranks' places, with --gpus-per-rank: "0 (0000:3b:00.0)" to show, and variables to set. Or
  // empty.
  std::vector<std::string> gpus;
  std::vector<std::vector<std::string>> gpu_env;
  uint64_t digest = 0;      // Digest(NodePlan), without leases
  uint32_t cores_held = 0;  // by other jobs: too many for the ranks to be bound; 0: not so
  std::vector<Notice> notices;

  const AppPlan& AppOf(Rank rank) const;
};

// A plan, or why this node can't do its part (exit code and text follow from the failure). What the
// ranks are bound to is held by `leases` then. `staged`: by app; empty: nothing was staged.
std::variant<PartPlan, Failure> PlanPart(const LaunchPart& launch, const NodeFacts& node,
                                         CoreLeases* leases,
                                         const std::vector<StagedProgram>& staged = {});

// Where the head finds an app's program, by the rules of a node, and the environment that ld.so
// sees; an empty path: nowhere, or it can't be run.
struct FoundProgram {
  std::string path;
  std::vector<std::string> env;
};
FoundProgram FindAppProgram(const JobSpec& spec, const AppSpec& app);

// How many the agent needs for so many ranks of its node: one for each stream of each rank.
uint64_t DescriptorsFor(const JobSpec& spec, uint64_t ranks);

// What the host has to know of the job.
pmix::RegisterJob RegistrationOf(const LaunchPart& launch, const PartPlan& plan,
                                 const NodeFacts& node);

// The same of a job without ranks on this node, whose ranks may meet this node's.
pmix::RegisterJob ForeignRegistrationOf(const LaunchPart& launch, const NodeFacts& node);

// Whether `participants` are all ranks of the job.
bool IsWholeJob(const LaunchPart& launch, const std::vector<pmix::ProcId>& participants);

}  // namespace rex
