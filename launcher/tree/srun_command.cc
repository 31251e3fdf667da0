#include "launcher/tree/srun_command.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace rex {

namespace {

constexpr auto kKept = std::to_array<std::string_view>(
    {"SLURM_CLUSTER_NAME", "SLURM_CLUSTERS", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JOBID",
     "SLURM_JOB_ID", "SLURM_JWT", "SLURM_WORKING_CLUSTER"});

// What slurm.conf(5) allows in NodeName, as far as srun takes it for one name.
bool IsNodeName(const std::string& name) {
  return !name.empty() && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

std::string JoinNames(const std::vector<NodeSpec>& nodes) {
  std::string list;
  for (const NodeSpec& node : nodes) list += (list.empty() ? "" : ",") + node.name;
  return list;
}

// Digits at the front of `text`, taken off.
std::optional<size_t> TakeNumber(std::string_view* text) {
  size_t digits = 0;
  size_t value = 0;
  while (digits < text->size() && digits < 9 && std::isdigit((*text)[digits]) != 0) {
    value = 10 * value + static_cast<size_t>((*text)[digits++] - '0');
  }
  if (digits == 0) return std::nullopt;
  text->remove_prefix(digits);
  return value;
}

// "1-2,5: …", as far as there are so many.
std::vector<size_t> TakeTasks(std::string_view list, size_t count) {
  std::vector<size_t> tasks;
  while (const auto first = TakeNumber(&list)) {
    auto last = first;
    if (list.starts_with('-')) {
      list.remove_prefix(1);
      last = TakeNumber(&list);
    }
    for (size_t task = *first; last && task <= *last && task < count; ++task) {
      tasks.push_back(task);
    }
    if (!list.starts_with(',')) break;
    list.remove_prefix(1);
  }
  return tasks;
}

std::optional<size_t> NodeNamed(std::string_view name, const std::vector<NodeSpec>& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<std::string>> SrunCommand(const std::vector<NodeSpec>& nodes,
                                             const TreeOptions& options) {
  if (!options.rexd.starts_with('/')) {
    return Error{Errc::kInvalid, "the path of rexd, '" + options.rexd + "', is not absolute"};
  }
  for (const NodeSpec& node : nodes) {
    if (!IsNodeName(node.name)) {
      return Error{Errc::kInvalid, "'" + node.name + "' is no name of a node of Slurm's"};
    }
  }
  const std::string count = std::to_string(nodes.size());
  std::vector<std::string> argv = {"srun",
                                   "--overlap",
                                   "--mpi=none",
                                   "--ntasks=" + count,
                                   "--nodes=" + count,
                                   "--ntasks-per-node=1",
                                   "--nodelist=" + JoinNames(nodes),
                                   "--distribution=arbitrary",
                                   "--mem=0",
                                   "--cpu-bind=none",
                                   "--kill-on-bad-exit=0",
                                   "--no-kill",
                                   "--wait=0",
                                   "--input=all",
                                   "--label",
                                   "--export=ALL",
                                   "--chdir=/",
                                   "--job-name=rexd",
                                   options.rexd,
                                   "--join",
                                   "--slurm"};
  if (options.verbose) argv.emplace_back("--verbose");
  if (!options.log_level.empty()) argv.push_back("--log-level=" + options.log_level);
  return argv;
}

std::vector<std::string> SrunEnvironment(const char* const* environment) {
  std::vector<std::string> kept;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const std::string_view name = entry.substr(0, entry.find('='));
    const bool of_slurm = name.starts_with("SLURM_") || name.starts_with("SRUN_");
    if (of_slurm && std::find(kKept.begin(), kKept.end(), name) == kKept.end()) continue;
    kept.emplace_back(entry);
  }
  return kept;
}

SrunLine ParseSrunLine(std::string_view line) {
  std::string_view rest = line;
  while (rest.starts_with(' ')) rest.remove_prefix(1);  // numbers are of one width
  const auto task = TakeNumber(&rest);
  if (!task || !rest.starts_with(": ")) return {std::nullopt, line};
  return {task, rest.substr(2)};
}

BlamedNodes FindBlamed(std::string_view line, const std::vector<NodeSpec>& nodes) {
  constexpr std::string_view kOnNode = "failed on node ";
  const size_t at = line.find(kOnNode);
  if (at != line.npos) {
    const std::string_view name = line.substr(at + kOnNode.size());
    const auto node = NodeNamed(name.substr(0, name.find(':')), nodes);
    return node ? BlamedNodes{Blame::kLaunch, {*node}} : BlamedNodes{};
  }
  if (!line.starts_with("srun: error: ")) return {};
  for (const std::string_view word : {": task ", ": tasks "}) {
    const size_t found = line.find(word);
    if (found == line.npos) continue;
    std::vector<size_t> tasks = TakeTasks(line.substr(found + word.size()), nodes.size());
    return tasks.empty() ? BlamedNodes{} : BlamedNodes{Blame::kTask, std::move(tasks)};
  }
  return {};
}

std::optional<size_t> Culprit(const std::vector<Blame>& blames, size_t of, Blame least) {
  const auto most = std::max_element(blames.begin(), blames.end());
  if (most == blames.end() || *most == blames[of] || *most < least) return std::nullopt;
  return static_cast<size_t>(most - blames.begin());
}

std::string_view WithoutSrunPrefix(std::string_view line) {
  if (line.starts_with("slurmstepd"))
    line.remove_prefix(std::min(line.find(": ") + 2, line.size()));
  for (const std::string_view prefix : {"srun: ", "error: ", "fatal: "}) {
    if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
  }
  return line;
}

bool IsStepEnd(std::string_view line) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {" CANCELLED AT ", "DUE TO TIME LIMIT", "DUE TO NODE FAILURE", "Node failure on ",
       "Force Terminated", "has been revoked", "oom-kill", "DUE TO PREEMPTION"});
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view words) { return line.find(words) != line.npos; });
}

}  // namespace rex
