// PBS Professional, OpenPBS, Torque: qsub(1), PBS_NODEFILE has a line for each MPI process; Cobalt
// writes the same under its own names. PALS is HPE Cray's launcher above PBS: its mpiexec takes
// nodes from PALS_HOSTLIST, PALS_HOSTFILE and PBS_NODEFILE.
#include <algorithm>

#include "launcher/cli/allocation/managers.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

constexpr std::string_view kLines = "\r\n";

Error Unreadable(const std::string& name, const std::string& trouble) {
  return BadAllocation(name, trouble + " (the file is only on the job's first node)");
}

// nullopt: no such variables.
FoundAllocation FromNodeFile(const Outside& outside, const char* job_name, const char* file_name) {
  const auto job = Variable(outside.env, job_name);
  const auto file = Variable(outside.env, file_name);
  if (!job || !file) return std::optional<Allocation>();
  const auto text = outside.read_file(*file);
  if (!text) return Unreadable(file_name, text.error().text);
  auto nodes = NodesOfMentions(*text, std::string(file_name) + " " + *file, kLines);
  if (!nodes) return nodes.error();
  Allocation found{.manager = Manager::kPbs, .job = *job, .source = file_name};
  found.nodes = *std::move(nodes);
  return std::optional(std::move(found));
}

// PALS_PPN: so many on each node, however often it is named.
Status TakePerNode(const Environment& env, std::vector<AllocatedNode>& nodes) {
  const auto text = Variable(env, "PALS_PPN");
  if (!text) return Ok{};
  const auto number = ParseWhole(*text);
  if (!number || *number == 0 || *number > kMaxRanks) {
    return BadAllocation("PALS_PPN", "'" + *text + "' is not a number of ranks");
  }
  for (AllocatedNode& node : nodes) node.slots = static_cast<uint32_t>(*number);
  return Ok{};
}

}  // namespace

FoundAllocation FindPbs(const Outside& outside) {
  auto found = FromNodeFile(outside, "PBS_JOBID", "PBS_NODEFILE");
  if (!found || *found) return found;
  return FromNodeFile(outside, "COBALT_JOBID", "COBALT_NODEFILE");
}

FoundAllocation FindPals(const Outside& outside) {
  const auto list = Variable(outside.env, "PALS_HOSTLIST");
  const auto file = Variable(outside.env, "PALS_HOSTFILE");
  if (!list && !file) return std::optional<Allocation>();
  if (ParseWhole(Variable(outside.env, "PALS_RANKID").value_or("0")).value_or(0) > 0) {
    return StartedSeveralTimes(Manager::kPals, "by PALS' mpiexec", "without mpiexec");
  }
  std::string text = list.value_or("");
  if (!list) {
    const auto read = outside.read_file(*file);
    if (!read) return Unreadable("PALS_HOSTFILE", read.error().text);
    text = *read;
  }
  const char* source = list ? "PALS_HOSTLIST" : "PALS_HOSTFILE";
  auto nodes = NodesOfMentions(text, source, list ? "," : kLines);
  if (!nodes) return nodes.error();
  if (Status taken = TakePerNode(outside.env, *nodes); !taken) return taken.error();
  Allocation found{.manager = Manager::kPals, .source = source};
  found.job = Variable(outside.env, "PBS_JOBID").value_or("");
  found.nodes = *std::move(nodes);
  return std::optional(std::move(found));
}

}  // namespace rex
