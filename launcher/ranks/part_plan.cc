#include "launcher/ranks/part_plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>

#include "launcher/part/node_apps.h"
#include "launcher/ranks/env_list.h"
#include "launcher/ranks/gpu_plan.h"
#include "launcher/ranks/program_search.h"
#include "sched/placement/binding.h"
#include "sched/placement/lease_plan.h"
#include "sched/placement/node_places.h"

namespace rex {

namespace {

// Settings that the user may override: put before the user's own, which win.
std::vector<std::string> Defaults(const PartPlan& plan, bool virtual_nodes) {
  std::vector<std::string> env = {"OMPI_MCA_btl_vader_backing_directory=" + plan.shm_dir};
  // Nodes that are one machine reach each other by its loopback, which Open MPI leaves out.
  if (virtual_nodes) env.emplace_back("OMPI_MCA_btl_tcp_if_include=lo");
  if (plan.oversubscribed) {
    // More ranks than cores: waiting ranks must give the core away. Open MPI 4.1 reads both.
    env.push_back("OMPI_MCA_mpi_oversubscribe=1");
    env.push_back("OMPI_MCA_mpi_yield_when_idle=1");
  }
  return env;
}

// Adds the exclusions that this node's fabrics and this app's own settings allow.
void AddFabricSettings(const NodeFacts& node, AppPlan& app, std::vector<Notice>& notices) {
  const McaFiles files = ReadMcaFiles(std::string(ValueOf(app.env, "HOME").value_or("")));
  const FabricSettings settings =
      ChooseComponents(node.fabrics, files, app.env, HasForeignLibmpi(app.env));
  app.env = MergeEnvironments({&app.env, &settings.env});
  for (const std::string& line : settings.explanations) {
    const bool said = std::any_of(notices.begin(), notices.end(),
                                  [&](const Notice& n) { return n.text == line; });
    if (!said) notices.push_back({Notice::Level::kDetail, line});
  }
}

Failure ProgramFailure(const AppSpec& app, Rank rank, const Error& error, std::string remedy) {
  Failure failure;
  failure.kind = error.code == Errc::kNotFound ? FailureKind::kProgramNotFound
                                               : FailureKind::kProgramNotRunnable;
  failure.rank = rank;
  failure.program = app.argv[0];
  failure.detail = error.text;
  failure.remedy = std::move(remedy);
  return failure;
}

// Where a relative name of a program counts from: the directory the user thinks of.
const std::string& SearchDir(const JobSpec& spec, const AppSpec& app) {
  return app.wdir.empty() ? spec.cwd : app.wdir;
}

// `env` with --path's directories before PATH's; for the search only.
std::vector<std::string> SearchEnv(const AppSpec& app, const std::vector<std::string>& env) {
  if (app.search_path.empty()) return env;
  const std::vector<std::string> path = {"PATH=" + app.search_path + ":" +
                                         std::string(ValueOf(env, "PATH").value_or(""))};
  return MergeEnvironments({&env, &path});
}

// The directory an app starts in. A user's current directory that this node does not have is
// replaced by the home directory, as mpirun does; a named one must be there.
std::variant<std::string, Failure> WdirOf(const LaunchPart& launch, const AppSpec& app, Rank rank,
                                          const NodeFacts& node, std::vector<Notice>& notices) {
  const std::string wdir = app.wdir.empty() ? launch.spec->cwd : app.wdir;
  const WdirCheck check = CheckWdir(wdir);
  if (check.status) return wdir;
  const char* home = std::getenv("HOME");
  if (app.wdir.empty() && node.id != kHeadNode && home != nullptr && CheckWdir(home).status) {
    notices.push_back({Notice::Level::kInfo, "node " + node.name + " has no directory '" + wdir +
                                                 "': ranks start in '" + home + "' there"});
    return std::string(home);
  }
  Failure failure = ProgramFailure(app, rank, check.status.error(), check.remedy);
  failure.kind = FailureKind::kWdirMissing;
  return failure;
}

// What this node's login gave the agent, for --export=mpirun and none.
std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("REX_")) env.emplace_back(text);
  }
  return env;
}

// What Slurm says to the processes of a node, and differs from node to node: devices above all.
std::vector<std::string> SlurmEnvironment() {
  std::vector<std::string> env;
  if (std::getenv("SLURMD_NODENAME") == nullptr) return env;
  for (const char* name :
       {"SLURMD_NODENAME", "SLURM_NODEID", "SLURM_CPUS_ON_NODE", "SLURM_GPUS_ON_NODE",
        "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
        "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"}) {
    if (const char* value = std::getenv(name)) env.push_back(std::string(name) + "=" + value);
  }
  return env;
}

// The lowest rank of the app here: the one that a failure names.
Rank LowestHere(const PartPlan& plan, Rank first_rank) {
  return *std::lower_bound(plan.ranks.begin(), plan.ranks.end(), first_rank);
}

AppPlan NamesOf(const JobSpec& spec, const AppSpec& app, Rank first_rank) {
  AppPlan plan;
  plan.argv = app.argv;
  plan.wdir = SearchDir(spec, app);
  plan.first_rank = first_rank;
  plan.ranks = app.ranks;
  return plan;
}

// The argv that the kernel would make of a script's, and where a program's own Open MPI lies.
void TakeStagedWords(const StagedProgram& staged, AppPlan* plan) {
  const auto& words = staged.interpreter_words;
  if (!words.empty()) {
    plan->argv.erase(plan->argv.begin());
    plan->argv.insert(plan->argv.begin(), words.begin(), words.end());
  }
  if (staged.openmpi_prefix.empty()) return;
  const std::vector<std::string> prefix = {"OPAL_PREFIX=" + staged.openmpi_prefix};
  plan->env = MergeEnvironments({&plan->env, &prefix});
}

std::variant<AppPlan, Failure> PlanApp(const LaunchPart& launch, const AppSpec& app,
                                       Rank first_rank, const NodeFacts& node,
                                       const StagedProgram& staged, PartPlan& part) {
  const JobSpec& spec = *launch.spec;
  AppPlan plan = NamesOf(spec, app, first_rank);
  const Rank lowest = LowestHere(part, first_rank);
  plan.wdir = part.job_dir;  // is made after planning
  if (!spec.cwd_in_session) {
    auto wdir = WdirOf(launch, app, lowest, node, part.notices);
    if (Failure* failure = std::get_if<Failure>(&wdir)) return std::move(*failure);
    plan.wdir = std::get<std::string>(std::move(wdir));
  }
  const std::vector<std::string> defaults = Defaults(part, launch.virtual_nodes);
  const std::vector<std::string> pwd = {"PWD=" + plan.wdir};
  const std::vector<std::string> own =
      spec.node_env ? OwnEnvironment() : std::vector<std::string>{};
  const std::vector<std::string> slurm = SlurmEnvironment();
  plan.env = MergeEnvironments({&own, &defaults, &spec.env, &slurm, &app.env, &pwd});
  plan.library_path = staged.library_path;
  plan.own_dir = staged.own_dir;
  plan.copies = staged.copies;
  TakeStagedWords(staged, &plan);
  if (!staged.path.empty() && !staged.in_place) {  // it may not have come yet
    plan.path = staged.path;
    return plan;
  }
  const std::string& name = staged.path.empty() ? app.argv[0] : staged.path;
  ProgramSearch found = FindProgram({name, SearchDir(spec, app), SearchEnv(app, plan.env)});
  if (!found.path) return ProgramFailure(app, lowest, found.path.error(), found.remedy);
  plan.path = *std::move(found.path);
  return plan;
}

// Too few descriptors are better told before any rank is born.
std::optional<Failure> LackOfDescriptors(const JobSpec& spec, uint64_t ranks,
                                         const NodeFacts& node) {
  const uint64_t need = DescriptorsFor(spec, ranks + node.busy_ranks);
  if (need <= node.open_files) return std::nullopt;
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = std::to_string(ranks) + " ranks take about " + std::to_string(need) +
                   " open files for their output, and the hard limit is " +
                   std::to_string(node.open_files);
  failure.remedy = "raise the hard limit (`ulimit -Hn`, limits.conf(5)) or start fewer ranks";
  return failure;
}

// Some processors have more ranks that may run nowhere else.
bool SharesProcessors(const Hardware& hardware, const NodePlan& node_plan, bool threads) {
  std::map<CpuWords, uint32_t> ranks_on;
  for (const NodeRank& rank : node_plan.ranks) {
    if (!rank.cpus.empty()) ++ranks_on[rank.cpus];
  }
  return std::any_of(ranks_on.begin(), ranks_on.end(), [&](const auto& on) {
    return on.second > CpusIn(hardware, on.first, threads);
  });
}

// A node that is alone on its machine judges by its own ranks; virtual ones by all of the job's.
// The ranks of other jobs are there, too.
bool IsOversubscribed(const LaunchPart& launch, const NodeFacts& node, const Hardware& hardware,
                      const NodePlan& node_plan) {
  const auto& apps = launch.spec->apps;
  const bool threads = std::any_of(apps.begin(), apps.end(),
                                   [](const AppSpec& app) { return app.place.hwthread_cpus; });
  const size_t cpus = threads ? hardware.cpus.size() : node.slots;
  if (SharesProcessors(hardware, node_plan, threads)) return true;
  if (!launch.virtual_nodes) return node_plan.ranks.size() + node.busy_ranks > cpus;
  // Each of them binds its ranks to the same first processors.
  const bool bound = !node_plan.ranks.empty() && !node_plan.ranks.front().cpus.empty();
  return launch.map->total() + node.busy_ranks > cpus || (bound && launch.map->nodes().size() > 1);
}

void TakeBindings(const NodeFacts& node, const JobSpec& spec, NodePlan node_plan, PartPlan& plan) {
  const bool any = std::any_of(node_plan.ranks.begin(), node_plan.ranks.end(),
                               [](const NodeRank& rank) { return !rank.cpus.empty(); });
  if (!any) return;
  for (NodeRank& rank : node_plan.ranks) {
    const bool local = spec.local_memory && node.topology && !rank.cpus.empty();
    plan.memory.push_back(local ? MemoryOf(*node.topology, rank.cpus) : CpuWords{});
    plan.bindings.push_back(std::move(rank.cpus));
  }
}

// Jobs that know nothing of each other's cores would all be bound to the first ones, with free ones
// beside them.
Result<LeasedPlan> PlanWithoutLeases(const Hardware& hardware, const std::vector<NodeApp>& apps,
                                     bool others_matter) {
  auto plain = PlanNode(hardware, apps);
  if (!plain) return plain.error();
  LeasedPlan leased{.plan = *std::move(plain)};
  leased.digest = Digest(leased.plan);
  if (!others_matter || !ChoosesCores(apps)) return leased;
  if (leased.plan.ranks.size() < hardware.Cores()) {
    for (NodeRank& rank : leased.plan.ranks) rank.cpus.clear();
  }
  return leased;
}

Result<LeasedPlan> PlanRanks(const Hardware& hardware, const std::vector<NodeApp>& apps,
                             const NodeFacts& node, CoreLeases* leases) {
  if (!leases->usable()) return PlanWithoutLeases(hardware, apps, !leases->off());
  const LeaseCalls calls = {[leases](uint32_t core) { return leases->HeldByOthers(core); },
                            [leases](uint32_t core) { return leases->Take(core); },
                            [leases](uint32_t core) { leases->GiveBack(core); }};
  return PlanOnFreeCores(hardware, apps,
                         node.core_numbers.empty() ? CoreNumbersOf(hardware) : node.core_numbers,
                         calls);
}

void NoteLeases(const NodeFacts& node, const CoreLeases& leases, PartPlan& plan) {
  const std::vector<uint32_t> cores = leases.cores();
  if (cores.empty()) return;
  CpuWords words;
  for (const uint32_t core : cores) {
    if (core / 64 >= words.size()) words.resize(core / 64 + 1);
    words[core / 64] |= uint64_t{1} << (core % 64);
  }
  plan.notices.push_back({Notice::Level::kDetail, "on node " + node.name + " the job holds core" +
                                                      (cores.size() == 1 ? " " : "s ") +
                                                      CpuList(words)});
}

std::optional<Failure> BindPlan(const LaunchPart& launch, const NodeFacts& node, CoreLeases* leases,
                                PartPlan& plan) {
  const Hardware plain = PlainHardware(node.slots);
  const Hardware& hardware = node.hardware ? *node.hardware : plain;
  auto leased = PlanRanks(hardware, NodeAppsOf(*launch.spec, *launch.map, node.id), node, leases);
  if (!leased) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.detail = leased.error().text;
    return failure;
  }
  NodePlan* node_plan = &leased->plan;
  plan.digest = leased->digest;
  plan.cores_held = leased->left_out ? leased->held_by_others : 0;
  // Not bound for want of free cores, ranks share them with those of other jobs.
  plan.oversubscribed = leased->left_out || IsOversubscribed(launch, node, hardware, *node_plan);
  NoteLeases(node, *leases, plan);
  if (node_plan->default_left_out) {
    plan.notices.push_back(
        {Notice::Level::kDetail, "ranks on node " + node.name +
                                     " are not bound: it has too few processors for the default"});
  }
  TakeBindings(node, *launch.spec, std::move(*node_plan), plan);
  return std::nullopt;
}

bool HasRanks(const PartPlan& plan, const AppPlan& app) {
  const auto first = std::lower_bound(plan.ranks.begin(), plan.ranks.end(), app.first_rank);
  return first != plan.ranks.end() && *first - app.first_rank < app.ranks;
}

}  // namespace

const AppPlan& PartPlan::AppOf(Rank rank) const {
  for (const AppPlan& app : apps) {
    if (rank - app.first_rank < app.ranks) return app;
  }
  REX_CHECK(!"a rank belongs to an app");
  return apps.front();
}

uint64_t DescriptorsFor(const JobSpec& spec, uint64_t ranks) {
  constexpr uint64_t kOfTheAgent = 300;  // its own, and those of one batch under way
  return ranks * (spec.stdin_rank == kStdinAll ? 3 : 2) + kOfTheAgent;
}

FoundProgram FindAppProgram(const JobSpec& spec, const AppSpec& app) {
  const std::vector<std::string> own =
      spec.node_env ? OwnEnvironment() : std::vector<std::string>{};
  FoundProgram found;
  found.env = MergeEnvironments({&own, &spec.env, &app.env});
  auto path = FindProgram({app.argv[0], SearchDir(spec, app), SearchEnv(app, found.env)}).path;
  if (path) found.path = *std::move(path);
  return found;
}

std::variant<PartPlan, Failure> PlanPart(const LaunchPart& launch, const NodeFacts& node,
                                         CoreLeases* leases,
                                         const std::vector<StagedProgram>& staged) {
  const JobSpec& spec = *launch.spec;
  PartPlan plan;
  plan.name_space = launch.name_space;
  plan.ranks = launch.map->RanksOf(node.id);
  if (auto failure = LackOfDescriptors(spec, plan.ranks.size(), node)) return *failure;
  // Whatever the slots say: ranks that share cores must yield while they wait.
  if (auto failure = BindPlan(launch, node, leases, plan)) return *failure;
  plan.job_dir = node.session_dir + "/" + plan.name_space;
  plan.shm_dir = node.shm_dir + "/" + plan.name_space;
  Rank first_rank = 0;
  for (const AppSpec& app : spec.apps) {
    AppPlan names = NamesOf(spec, app, first_rank);
    first_rank += app.ranks;
    if (!HasRanks(plan, names)) {
      plan.apps.push_back(std::move(names));
      continue;
    }
    const size_t index = plan.apps.size();
    auto planned = PlanApp(launch, app, names.first_rank, node,
                           index < staged.size() ? staged[index] : StagedProgram{}, plan);
    if (Failure* failure = std::get_if<Failure>(&planned)) return std::move(*failure);
    plan.apps.push_back(std::get<AppPlan>(std::move(planned)));
    AddFabricSettings(node, plan.apps.back(), plan.notices);
  }
  if (const Status gpus = PlanGpus(spec, node.topology.get(), &plan); !gpus) {
    Failure failure;
    failure.kind = FailureKind::kNoResources;
    failure.detail = gpus.error().text;
    return failure;
  }
  return plan;
}

namespace {
pmix::RegisterJob WhereItsRanksAre(const LaunchPart& launch, const NodeFacts& node) {
  pmix::RegisterJob job;
  job.name_space = launch.name_space;
  const auto& nodes = launch.map->nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == node.id) job.local_node = static_cast<uint32_t>(i);
    job.nodes.push_back({launch.node_names[i], {}});
  }
  for (const MapRun& run : launch.map->runs()) {
    const auto i = std::lower_bound(nodes.begin(), nodes.end(), run.node) - nodes.begin();
    job.nodes[static_cast<size_t>(i)].runs.push_back({run.first, run.count, run.stride});
  }
  job.slots = std::max(launch.slots, launch.map->total());
  if (launch.parent) job.parent = pmix::ProcId{launch.parent->name_space, launch.parent->rank};
  return job;
}
}  // namespace

pmix::RegisterJob RegistrationOf(const LaunchPart& launch, const PartPlan& plan,
                                 const NodeFacts& node) {
  pmix::RegisterJob job = WhereItsRanksAre(launch, node);
  for (const AppPlan& app : plan.apps) {
    job.apps.push_back({app.first_rank, app.ranks, app.argv, app.wdir});
  }
  job.job_dir = plan.shm_dir;  // libpmix makes a directory per rank: 10 times faster in memory
  for (const auto& cpus : plan.bindings) {
    const bool all = cpus.empty() && node.topology;
    job.cpusets.push_back(CpuList(all ? node.topology->usable_cpus() : cpus));
  }
  return job;
}

pmix::RegisterJob ForeignRegistrationOf(const LaunchPart& launch, const NodeFacts& node) {
  pmix::RegisterJob job = WhereItsRanksAre(launch, node);
  job.local_node = static_cast<uint32_t>(job.nodes.size());
  job.nodes.push_back({node.name, {}});
  Rank first = 0;
  for (const AppSpec& app : launch.spec->apps) {
    job.apps.push_back({first, app.ranks, app.argv, SearchDir(*launch.spec, app)});
    first += app.ranks;
  }
  job.job_dir = node.shm_dir + "/" + launch.name_space;  // named, never made
  return job;
}

bool IsWholeJob(const LaunchPart& launch, const std::vector<pmix::ProcId>& participants) {
  size_t named = 0;
  for (const pmix::ProcId& proc : participants) {
    if (proc.name_space != launch.name_space) continue;
    if (proc.rank == pmix::kRankWildcard) return true;
    ++named;
  }
  return named == launch.map->total();
}

}  // namespace rex
