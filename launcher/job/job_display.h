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
// --display map. `ranks`: each node's lines about its ranks.
std::string MapText(const std::string& name_space, const PlacedJob& job,
                    const std::vector<JobNode>& nodes, const std::map<NodeId, std::string>& ranks);

}  // namespace rex
