// Placement on a cluster that is only described (--nodes-json): what a job would look like there.
// Nothing is started. Pure but for hwloc's own reading of the descriptions.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "launcher/wire/messages.h"

namespace rex {

// What to show, in order, or why the job can't be placed there. `spec` has described nodes.
std::variant<std::vector<Notice>, Failure> PlaceOnDescribed(const JobSpec& spec);

}  // namespace rex
