// Which DVM, if any, rexlaunch runs a job in: found, asked whether it covers the job, connected.
// Main thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/cli/job_request.h"

namespace rex {

struct DvmChoice {
  UniqueFd socket;  // none: the job gets a DVM of its own
  std::string name;
  std::optional<JobSpec> job;         // for the DVM
  std::vector<std::string> warnings;  // of making it
  std::string detail;                 // why none is used, or which; may be empty
  std::string note;                   // the same, when everybody should hear it; may be empty
};

// --dvm, REX_DVM, or the DVM of the default name if one runs. Errors: kInvalid: the one that is
// asked for by name can't be used; a line for the user.
Result<DvmChoice> ChooseDvm(const CommandLine& line, const Environment& env, const NodePool& pool,
                            const Surroundings& here);

}  // namespace rex
