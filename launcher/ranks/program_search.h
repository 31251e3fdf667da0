// Finds the program that an app names, and says before any rank is born why it can't be run:
// looks at files only, changes nothing. Any thread.
//
// Found as mpirun 4.1 finds it [tried]: a name with '/' is taken from the working directory; any
// other is looked for in the PATH of the rank's environment, then in the working directory.
// Relative PATH entries count from the working directory, because the rank starts there.
#pragma once

#include <string>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct ProgramQuery {
  std::string name;              // argv[0]
  std::string wdir;              // absolute
  std::vector<std::string> env;  // the rank's, NAME=VALUE
};

struct ProgramSearch {
  // Absolute path. Errors: kNotFound; kNotRunnable (a directory, no permission, another machine's,
  // not a program, its interpreter or loader missing). A file that may be run but not read is
  // taken to be fine: the kernel will tell.
  Result<std::string> path;
  std::string remedy;  // what the user can do; empty without error or advice
};
ProgramSearch FindProgram(const ProgramQuery& query);

struct WdirCheck {
  // Errors: kNotFound, kNotRunnable (not a directory), kPermission (may not be entered).
  Status status;
  std::string remedy;
};
WdirCheck CheckWdir(const std::string& wdir);

}  // namespace rex
