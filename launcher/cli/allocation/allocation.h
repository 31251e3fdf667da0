// The nodes that a resource manager gave the job in which rexlaunch runs, found from the manager's
// documented environment variables, files and commands. Pure: what is outside comes as functions.
// docs/design/clusters.md says what is read for each, and where it is documented.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/environment.h"
#include "launcher/cli/file_reader.h"

namespace rex {

// In the order in which they are looked for: the innermost first where one runs inside another.
enum class Manager : uint8_t { kFlux, kSlurm, kPals, kPbs, kLsf, kGridEngine };
inline constexpr size_t kManagers = 6;

// As users write it for --allocation: "slurm"; for messages: "Slurm".
std::string_view ManagerWord(Manager manager);
std::string_view ManagerName(Manager manager);
std::optional<Manager> FindManager(std::string_view word);

// Whose allocations count.
struct ManagerChoice {
  std::bitset<kManagers> allowed = std::bitset<kManagers>().set();
  bool required = false;  // the user named the one that is allowed: not being in one is an error

  bool Allows(Manager manager) const { return allowed[static_cast<size_t>(manager)]; }
};

struct AllocatedNode {
  std::string name;
  uint32_t slots = 0;  // 0: its cores
};

struct Allocation {
  Manager manager = Manager::kSlurm;
  std::string job;                   // the manager's id of it; may be empty
  std::string source;                // the variable, file or command that named the nodes
  std::vector<AllocatedNode> nodes;  // at least one, each once, in the manager's order
  std::string own_name;              // rexlaunch's own node by the manager's name; empty: not said
  uint32_t cpus_per_slot = 0;        // 0: not said
};

// "Slurm job 7 (SLURM_JOB_NODELIST)".
std::string Describe(const Allocation& allocation);

struct Outside {
  const Environment& env;
  const FileReader& read_file;
  const CommandRunner& run;
};

// nullopt: rexlaunch runs in none. Errors, each a line for the user that says what to do: kInvalid,
// what the manager says makes no sense or is not supported, or rexlaunch is one of several tasks
// that were started at once; the reader's and the runner's errors.
Result<std::optional<Allocation>> FindAllocation(const ManagerChoice& choice,
                                                 const Outside& outside);

}  // namespace rex
