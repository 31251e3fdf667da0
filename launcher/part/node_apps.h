// A node's share of a job, as placement wants it. Pure; the same for head and part.
#pragma once

#include <vector>

#include "launcher/wire/messages.h"
#include "sched/placement/job_map.h"
#include "sched/placement/node_places.h"

namespace rex {

// Every app of `spec` (with its number of ranks) and its ranks on `node`; borrows the policies.
std::vector<NodeApp> NodeAppsOf(const JobSpec& spec, const JobMap& map, NodeId node);

}  // namespace rex
