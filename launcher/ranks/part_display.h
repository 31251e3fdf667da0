// What --display and --report-bindings show of a node's ranks, in mpirun 4.1's layouts, so that
// scripts that read those go on working. Pure.
#pragma once

#include <string>

#include "launcher/ranks/part_plan.h"

namespace rex {

// --display map: one line for each rank of the node, with its app and what it is bound to.
std::string MapText(const PartPlan& plan, const NodeFacts& node);
// --display topo: hwloc's objects as an indented tree.
std::string TopologyText(const NodeFacts& node);
// --report-bindings: the line of the node's `local`th rank.
std::string BindingLine(const PartPlan& plan, const NodeFacts& node, size_t local, int64_t pid);

}  // namespace rex
