// What --display shows of a job over its nodes, in mpirun 4.1's layouts, so that scripts that read
// those go on working. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/job/job_placement.h"

namespace rex {

// --display allocation.
std::string AllocationText(const std::vector<JobNode>& nodes);
// The same as JSON: {"nodes": [{"name", "state", "slots", "max_slots", "cores", "load":
// {"per_core", "ranks", "foreign", "cores", "age_ms"} or null}]}.
std::string AllocationJson(const std::vector<JobNode>& nodes);
// --display map. `ranks`: each node's lines about its ranks.
std::string MapText(const std::string& name_space, const PlacedJob& job,
                    const std::vector<JobNode>& nodes, const std::map<NodeId, std::string>& ranks);

}  // namespace rex
