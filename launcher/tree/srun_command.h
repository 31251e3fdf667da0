// The srun that starts rexd on all nodes of an allocation, and what it says. Pure.
//
// docs/design/clusters.md, "Slurm", says why each option is there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/tree/tree_options.h"

namespace rex {

// argv for posix_spawnp(3). Task i is on nodes[i].
// Errors: kInvalid: a name that srun would read as something else, or a path that is not absolute.
Result<std::vector<std::string>> SrunCommand(const std::vector<NodeSpec>& nodes,
                                             const TreeOptions& options);

// `environment` without what would give our step another size, fewer cores or less memory: of
// Slurm's variables only those stay that say which job it is and how to reach slurmctld.
std::vector<std::string> SrunEnvironment(const char* const* environment);

// A line of srun's output with --label: "12: text" is task 12's own, anything else srun's.
struct SrunLine {
  std::optional<size_t> task;
  std::string_view text;
};
SrunLine ParseSrunLine(std::string_view line);

// The nodes (indices) that a line of srun itself blames:
// "srun: error: n[2-3]: tasks 1-2: Exited with …",
// "srun: error: Task launch for StepId=9.0 failed on node n2: …".
std::vector<size_t> BlamedNodes(std::string_view line, const std::vector<NodeSpec>& nodes);

// "srun: error: " and the like in front of what matters.
std::string_view WithoutSrunPrefix(std::string_view line);

// A line that says that the step ends, and why: cancelled, out of time, a node failed.
bool IsStepEnd(std::string_view line);

}  // namespace rex
