// What the user reads when a job did not end well. Pure.
#pragma once

#include <string>
#include <vector>

#include "launcher/wire/messages.h"

namespace rex {

// Lines for stderr, without the "rexlaunch: " that each gets in front: what happened, where, then
// details and what to do, indented. Empty for FailureKind::kNone with exit code 0.
std::vector<std::string> FailureLines(const JobEnded& ended);

}  // namespace rex
