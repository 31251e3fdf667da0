// The srun that starts rexd on all nodes of an allocation, and what it says. Pure.
//
// docs/design/clusters.md, "Slurm", says why each option is there.
#pragma once

#include <cstdint>
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

// How strongly a node is blamed when a step comes to nothing, weakest first. One failed node ends
// the step on all, so what ended the others' tasks is less than what kept one from starting.
enum class Blame : uint8_t {
  kNone,
  kSpoke,   // its daemons wrote something
  kTask,    // srun tells how its task ended
  kLaunch,  // srun could not launch there
};

// The nodes (indices) that a line of srun itself blames, kNone and none:
// "srun: error: n[2-3]: tasks 1-2: Exited with …",
// "srun: error: Task launch for StepId=9.0 failed on node n2: …".
struct BlamedNodes {
  Blame how = Blame::kNone;
  std::vector<size_t> nodes;
};
BlamedNodes FindBlamed(std::string_view line, const std::vector<NodeSpec>& nodes);

// Who is to be named for what became of `of`, in what order ever the lines came: the node with most
// blame (the first of several), if that is `least` or more, and more than `of` has.
std::optional<size_t> Culprit(const std::vector<Blame>& blames, size_t of, Blame least);

// "srun: error: " and the like in front of what matters.
std::string_view WithoutSrunPrefix(std::string_view line);

// A line that says that the step ends, and why: cancelled, out of time, a node failed.
bool IsStepEnd(std::string_view line);

}  // namespace rex
