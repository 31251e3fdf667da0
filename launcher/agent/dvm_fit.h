// Whether a job that names its nodes by a DVM's names can run there, and on which of its nodes.
// Pure. docs/design/dvm.md has the rules; what rexlaunch decides itself is in cli/coverage.h.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "launcher/job/job_placement.h"

namespace rex {

struct DvmFit {
  JobSpec spec;                // reached as the DVM's nodes are
  std::vector<JobNode> nodes;  // apps' `nodes` are indices into these
};

struct DvmMisfit {
  std::string text;   // one line: why
  bool busy = false;  // it would run but for other jobs
};

// `nodes`: all of the DVM, with what other jobs use; those in `lost` are gone. `dvm`: as the DVM
// was started. `dvm_nodes`: how many ids there are.
std::variant<DvmFit, DvmMisfit> FitToDvm(const JobSpec& asked, const DvmSpec& dvm,
                                         const std::vector<JobNode>& nodes,
                                         const std::vector<NodeId>& lost, uint32_t dvm_nodes);

}  // namespace rex
