// What can only be judged when all words of a program, or of the line, have been read: which
// options exclude or need each other, and what the environment adds. Pure.
#pragma once

#include "launcher/base/result.h"
#include "launcher/cli/environment.h"
#include "launcher/cli/parse.h"

namespace rex {

// The options for places of one program. `per_socket`: its mapping is --npersocket's.
// Errors: kInvalid, one line for the user.
Status CheckPlaces(const AppLine& app, bool per_socket);

// The whole line; fills in what a rank file or the environment says (MPIEXEC_TIMEOUT unless
// `timeout_given`). Errors: kInvalid, one line for the user.
Status CheckWholeLine(const Environment& env, bool timeout_given, CommandLine* line);

}  // namespace rex
