// Which GPUs each of a node's ranks sees (--gpus-per-rank). Pure.
#pragma once

#include <string>
#include <vector>

#include "launcher/ranks/part_plan.h"

namespace rex {

// Fills the plan's `gpus` and `gpu_env`, and takes from its apps' environments the variables that
// are each rank's own now. The plan has its apps, ranks and bindings. Nothing happens when no app
// asks for GPUs. Errors: kResource, a line for the user: too few GPUs; nothing is changed then.
Status PlanGpus(const JobSpec& spec, const Topology* topology, PartPlan* plan);

}  // namespace rex
