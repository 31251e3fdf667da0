// Slurm: salloc(1), sbatch(1), srun(1), "OUTPUT ENVIRONMENT VARIABLES".
#include "launcher/cli/allocation/managers.h"
#include "launcher/cli/allocation/node_set.h"
#include "launcher/values/number.h"

namespace rex {

namespace {

constexpr const char* kNodeList = "SLURM_JOB_NODELIST";

// srun sets a number for its tasks; sbatch's script has SLURM_PROCID=0 and none.
bool OneOfSeveralTasks(const Environment& env) {
  const auto tasks = Variable(env, "SLURM_STEP_NUM_TASKS");
  const auto rank = Variable(env, "SLURM_PROCID");
  return ParseWhole(tasks.value_or("1")).value_or(1) > 1 ||
         ParseWhole(rank.value_or("0")).value_or(0) > 0;
}

std::optional<std::string> Components(const Environment& env) {
  for (const char* name : {"SLURM_HET_SIZE", "SLURM_PACK_SIZE"}) {
    const auto size = Variable(env, name);
    if (size && *size != "1") return std::string(name) + "=" + *size;
  }
  return std::nullopt;
}

// The counts of a variable, when there is one for each node. nullopt: it is not set, or belongs to
// a step on some of the nodes.
Result<std::optional<std::vector<uint32_t>>> CountsOf(const Environment& env, const char* name,
                                                      size_t nodes, bool may_differ) {
  using Counts = std::optional<std::vector<uint32_t>>;
  const auto text = Variable(env, name);
  if (!text) return Counts();
  auto counts = ExpandCounts(*text);
  if (!counts) return BadAllocation(name, counts.error().text);
  if (counts->size() == nodes) return Counts(*std::move(counts));
  if (may_differ) return Counts();
  return BadAllocation(name, "it has counts for " + std::to_string(counts->size()) +
                                 " nodes, but " + kNodeList + " has " + std::to_string(nodes));
}

// Tasks on each node, else CPUs by CPUs per task, else nothing.
Result<std::vector<uint32_t>> SlotsOf(const Environment& env, size_t nodes,
                                      uint32_t cpus_per_task) {
  const bool in_step = Variable(env, "SLURM_STEP_ID").has_value();
  auto tasks = CountsOf(env, "SLURM_TASKS_PER_NODE", nodes, in_step);
  if (!tasks) return tasks.error();
  if (*tasks) return **std::move(tasks);
  auto cpus = CountsOf(env, "SLURM_JOB_CPUS_PER_NODE", nodes, false);
  if (!cpus) return cpus.error();
  if (!*cpus) return std::vector<uint32_t>(nodes, 0);
  for (uint32_t& count : **cpus) count = std::max(count / std::max(cpus_per_task, 1U), 1U);
  return **std::move(cpus);
}

}  // namespace

FoundAllocation FindSlurm(const Outside& outside) {
  const Environment& env = outside.env;
  const auto list = Variable(env, kNodeList, "SLURM_NODELIST");
  const auto job = Variable(env, "SLURM_JOB_ID", "SLURM_JOBID");
  if (!list || !job) return std::optional<Allocation>();
  if (OneOfSeveralTasks(env)) {
    return StartedSeveralTimes(Manager::kSlurm, "by srun with several tasks",
                               "without srun inside salloc or sbatch, or with srun -n 1");
  }
  if (const auto components = Components(env)) {
    return Error{Errc::kInvalid,
                 *components +
                     ": heterogeneous Slurm jobs are not supported; ask for one kind of "
                     "node, or name the nodes by --host or --hostfile and say "
                     "--allocation none"};
  }
  const auto names = ExpandNodeSet(*list, ZeroFill::kEachRange);
  if (!names) return BadAllocation(kNodeList, names.error().text);
  Allocation found{.manager = Manager::kSlurm, .job = *job, .source = kNodeList};
  const auto cpus = ParseWhole(Variable(env, "SLURM_CPUS_PER_TASK").value_or("0"));
  found.cpus_per_slot = static_cast<uint32_t>(std::min<uint64_t>(cpus.value_or(0), UINT32_MAX));
  const auto slots = SlotsOf(env, names->size(), found.cpus_per_slot);
  if (!slots) return slots.error();
  NodeTally nodes;
  for (size_t i = 0; i < names->size(); ++i) {
    const Status added = nodes.Add((*names)[i], (*slots)[i]);
    if (!added) return BadAllocation(kNodeList, added.error().text);
  }
  found.nodes = nodes.Take();
  found.own_name = Variable(env, "SLURMD_NODENAME").value_or("");
  return std::optional(std::move(found));
}

}  // namespace rex
