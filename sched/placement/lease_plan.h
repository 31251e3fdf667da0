// Which cores of a node a job holds, so that no other is bound to them: the plan of node_places.h,
// moved to cores that nobody holds where nobody asked for particular ones. Pure but for the calls
// that it is lent. docs/design/sched.md, "Leases", has the rules.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "launcher/base/result.h"
#include "sched/placement/hardware.h"
#include "sched/placement/node_places.h"
#include "sched/topology/topology.h"

namespace rex {

// A core's number for all users, jobs and cpusets of a machine: the lowest OS number of its
// hardware threads, usable or not.
using CoreNumber = uint32_t;

// What holds cores; each call is about one core.
struct LeaseCalls {
  std::function<bool(CoreNumber)> held;  // by somebody else; takes nothing
  std::function<bool(CoreNumber)> take;  // false: somebody else was faster
  std::function<void(CoreNumber)> give_back;
};

// The numbers of MapObjects(hardware, HwObject::kCore), in their order.
std::vector<CoreNumber> CoreNumbersOf(const Topology& topology, const Hardware& hardware);
// The same where only the processors are known.
std::vector<CoreNumber> CoreNumbersOf(const Hardware& hardware);

// Whether the ranks' processors are ours to choose: some rank is to be bound, and nobody said
// where.
bool ChoosesCores(const std::vector<NodeApp>& apps);

struct LeasedPlan {
  NodePlan plan;
  uint64_t digest = 0;          // of the plan without leases: the head knows of none
  bool left_out = false;        // not bound: others hold too many cores
  uint32_t held_by_others = 0;  // cores; with left_out
};

// Plans as PlanNode does and takes what the ranks are bound to: a core for each rank, or as many as
// it asked for; of a list or a rank file all. Where ChoosesCores: only cores that nobody holds, in
// the order in which mpirun would use them, or, when they are too few, none at all, and the ranks
// are not bound. Else what can be had of the plan's own. `numbers` are CoreNumbersOf. What was
// taken is the caller's to give back. Errors: PlanNode's, nothing taken.
Result<LeasedPlan> PlanOnFreeCores(const Hardware& hardware, const std::vector<NodeApp>& apps,
                                   const std::vector<CoreNumber>& numbers, const LeaseCalls& calls);

}  // namespace rex
