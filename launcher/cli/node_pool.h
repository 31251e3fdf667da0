// Where the nodes of a job come from when the command line does not name them, and what --host and
// --hostfile choose from: the resource manager's allocation, else a default hostfile, else the
// configured nodes. docs/design/clusters.md has the order. Pure: what is outside comes as
// functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/allocation/allocation.h"
#include "launcher/cli/parse.h"
#include "launcher/values/host_list.h"

namespace rex {

struct NodePool {
  enum class Kind : uint8_t {
    kNone,
    kAllocation,  // nobody can name a node outside
    kFile,        // a default hostfile or the configured nodes
  };
  Kind kind = Kind::kNone;
  // The nodes that rex's own configuration has for those who name none; no other launcher reads it.
  bool configured = false;
  std::optional<Manager> manager;  // whose allocation
  std::vector<HostEntry> hosts;    // in order
  std::string origin;              // "Slurm job 7 (SLURM_JOB_NODELIST)", "/etc/rex/nodes"
  std::string own_name;            // this machine's, by the resource manager; empty: not said
  std::string more;                // a detail for --verbose, or empty
};

// Errors: kInvalid, kNotFound and such, a line for the user.
Result<NodePool> FindNodePool(const CommandLine& line, const Outside& outside);

// "the nodes come from Slurm job 7 (SLURM_JOB_NODELIST): 2 nodes, 4 slots", of a job's `nodes` that
// the command line or the pool gave. A slot count that only the nodes know is "their cores".
std::string OriginText(const CommandLine& line, const NodePool& pool,
                       const std::vector<NodeRequest>& nodes, uint32_t local_slots);

}  // namespace rex
