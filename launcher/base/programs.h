// Where rex's own programs are, relative to the running one, so that a build tree and an installed
// tree can be moved. bin/rexlaunch and libexec/rex/* share one prefix.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

// Full path of a program in libexec/rex (e.g. "rexd"). Errors: kNotFound, naming the path tried.
Result<std::string> FindLibexecProgram(const std::string& name);

// Starts a program of ours. `argv[0]` is the path. `keep_fds` (borrowed) stay open in it under
// their own numbers; all other descriptors above 2 are close-on-exec already. Signal mask and
// dispositions are reset. Runs on the caller's thread, which becomes the child's parent for
// PR_SET_PDEATHSIG. Errors: kResource, kNotFound, kPermission.
Result<pid_t> SpawnProgram(const std::vector<std::string>& argv, const std::vector<int>& keep_fds);

// VALUE of "--name=VALUE" among `argv`, or empty. For our own programs, never for users.
std::string InternalOption(int argc, char** argv, const std::string& name);
// The same as a number; -1 when absent or malformed.
int InternalFdOption(int argc, char** argv, const std::string& name);

}  // namespace rex
