// From what a rank asked of PMIx_Spawn to a job that can be placed: the table of its directives and
// what each does. Pure but for reading hostfiles, which the caller does. docs/design/dynamic.md has
// the table for people.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "launcher/job/job_placement.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

struct SpawnRefusal {
  int32_t status = 0;  // pmix_status_t
  std::string text;    // one line for the user: what, where, remedy
};

struct SpawnPlan {
  JobSpec spec;                // apps' `nodes` are indices into `nodes`
  std::vector<JobNode> nodes;  // of the DVM
  bool tells_ends = false;     // the parent hears of each rank's end
  bool independent = false;    // how a rank ends is nobody's failure
  bool attached = false;       // the job ends with the rank that asked for it
};

struct SpawnContext {
  const JobSpec& parent;              // the asking job's, as it was asked for
  const AppSpec& app;                 // the asking rank's, in it
  const std::vector<JobNode>& nodes;  // of the DVM
  // The text of a file on the head's node. Errors: a line for the user.
  std::function<Result<std::string>(const std::string& path)> read_file;
};

std::variant<SpawnPlan, SpawnRefusal> PlanSpawn(const pmix::Spawn& spawn,
                                                const SpawnContext& context);

// The status for the parent when its spawn has failed so.
int32_t StatusOfSpawnFailure(const Failure& failure);
// Whether a failure of a job that does not run yet is its spawn's alone: no rank of it failed, and
// nothing of rex was lost.
bool IsSpawnFailure(const Failure& failure);

}  // namespace rex
