// From what was asked to what is done: the defaults of mapping, ranking and binding, which depend
// on each other and on how many ranks there are. mpirun 4.1.4's, see docs/design/sched.md. Pure.
#pragma once

#include <cstdint>

#include "launcher/base/result.h"
#include "sched/policy/policy.h"

namespace rex {

// Before ranks are placed: afterwards `map` and `rank` are set. `ranks`: of the whole job.
// Errors: kInvalid, a line for the user: PE with a mapping or binding that can't have it.
Status ResolveMapping(PlacePolicy* policy, uint64_t ranks);

// Once they are placed: afterwards `bind` is set. `oversubscribed`: some node has more ranks than
// slots. `may_share`: the user said that ranks may share processors (--oversubscribe).
void ResolveBinding(PlacePolicy* policy, uint64_t ranks, bool oversubscribed, bool may_share);

}  // namespace rex
