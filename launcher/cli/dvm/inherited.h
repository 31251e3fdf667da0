// What ranks inherit from the process that starts them beside what a job says itself: a DVM that
// stays gives its own, whoever asks. Main thread.
#pragma once

#include <vector>

#include "launcher/wire/dvm_messages.h"

namespace rex {

// Of this process: every resource limit but that of open files, cores, niceness, group.
std::vector<Inherited> OwnInherited();

}  // namespace rex
