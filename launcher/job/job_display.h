// What --display and --report-bindings show of a job, in mpirun 4.1's layouts, so that scripts that
// read those go on working. Pure.
#pragma once

#include <string>
#include <vector>

#include "launcher/job/job_plan.h"

namespace rex {

// --display allocation.
std::string AllocationText(const NodeFacts& node, uint32_t slots);
// --display map: each rank with its app and what it is bound to.
std::string MapText(const JobPlan& plan, const NodeFacts& node);
// --display topo: hwloc's objects as an indented tree.
std::string TopologyText(const NodeFacts& node);
// --report-bindings: one line for one rank.
std::string BindingLine(const JobPlan& plan, const NodeFacts& node, Rank rank, int64_t pid);

}  // namespace rex
