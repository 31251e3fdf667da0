#include "launcher/job/job_plan.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "launcher/base/private_dir.h"
#include "launcher/job/program_search.h"
#include "pmix-server/proto/openmpi_jobid.h"
#include "sched/placement/binding.h"
#include "sched/placement/placement.h"

namespace rex {

namespace {

constexpr size_t kNameSpaceDigits = 16;
constexpr size_t kMostNameTries = 16;

std::string_view NameOf(std::string_view assignment) {
  return assignment.substr(0, assignment.find('='));
}

// Unguessable, and usable as Open MPI's job id, which is a hash of the name.
std::string NewNameSpace() {
  for (size_t i = 0; i < kMostNameTries; ++i) {
    std::string name = "rex-" + RandomHex(kNameSpaceDigits);
    if (pmix::IsUsableOpenMpiJobid(pmix::OpenMpiJobid(name))) return name;
  }
  REX_CHECK(!"sixteen random names with an unusable hash");
  return {};
}

// Settings that the user may override: put before the user's own, which win.
std::vector<std::string> Defaults(const JobPlan& plan) {
  std::vector<std::string> env = {"OMPI_MCA_btl_vader_backing_directory=" + plan.shm_dir};
  if (plan.oversubscribed) {
    // More ranks than cores: waiting ranks must give the core away. Open MPI 4.1 reads both.
    env.push_back("OMPI_MCA_mpi_oversubscribe=1");
    env.push_back("OMPI_MCA_mpi_yield_when_idle=1");
  }
  return env;
}

std::string ValueOf(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string& e : env) {
    if (NameOf(e) == name && e.size() > name.size()) return e.substr(name.size() + 1);
  }
  return {};
}

// Adds the exclusions that this node's fabrics and this app's own settings allow.
void AddFabricSettings(const NodeFacts& node, AppPlan& app, std::vector<Notice>& notices) {
  const McaFiles files = ReadMcaFiles(ValueOf(app.env, "HOME"));
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
  const std::vector<std::string> path = {"PATH=" + app.search_path + ":" + ValueOf(env, "PATH")};
  return MergeEnvironments({&env, &path});
}

std::variant<AppPlan, Failure> PlanApp(const JobSpec& spec, const AppSpec& app, Rank first_rank,
                                       const JobPlan& job) {
  AppPlan plan;
  plan.argv = app.argv;
  plan.first_rank = first_rank;
  plan.ranks = app.ranks;
  plan.wdir = spec.cwd_in_session ? job.job_dir : app.wdir.empty() ? spec.cwd : app.wdir;
  const std::vector<std::string> defaults = Defaults(job);
  const std::vector<std::string> pwd = {"PWD=" + plan.wdir};
  plan.env = MergeEnvironments({&defaults, &spec.env, &app.env, &pwd});
  // The job's own directory is made after planning.
  if (WdirCheck wdir = CheckWdir(plan.wdir); !spec.cwd_in_session && !wdir.status) {
    Failure failure = ProgramFailure(app, first_rank, wdir.status.error(), wdir.remedy);
    failure.kind = FailureKind::kWdirMissing;
    return failure;
  }
  ProgramSearch found = FindProgram({app.argv[0], SearchDir(spec, app), SearchEnv(app, plan.env)});
  if (!found.path) return ProgramFailure(app, first_rank, found.path.error(), found.remedy);
  plan.path = *std::move(found.path);
  return plan;
}

// Each rank costs the agent one descriptor per stream: better said before any of them is born.
std::optional<Failure> LackOfDescriptors(const JobSpec& spec, const NodeFacts& node) {
  constexpr uint64_t kOfTheAgent = 300;  // its own, and those of one batch under way
  const uint64_t ranks = spec.TotalRanks();
  const uint64_t need = ranks * (spec.stdin_rank == kStdinAll ? 3 : 2) + kOfTheAgent;
  if (need <= node.open_files) return std::nullopt;
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = std::to_string(ranks) + " ranks take about " + std::to_string(need) +
                   " open files for their output, and the hard limit is " +
                   std::to_string(node.open_files);
  failure.remedy = "raise the hard limit (`ulimit -Hn`, limits.conf(5)) or start fewer ranks";
  return failure;
}

// Refuses more ranks than slots where somebody has named the slots, or asked for it.
std::optional<Failure> PlaceRanks(const JobSpec& spec, const JobPlan& plan) {
  PlacementRequest request;
  for (const AppSpec& app : spec.apps) request.app_ranks.push_back(app.ranks);
  request.nodes.push_back({plan.slots, spec.slots == 0 && !spec.refuse_oversubscribe});
  request.oversubscribe = spec.oversubscribe;
  const auto placement = Place(request);
  if (placement) return std::nullopt;
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = placement.error().text;
  return failure;
}

std::optional<Failure> BindPlan(const JobSpec& spec, const NodeFacts& node, JobPlan& plan) {
  if (spec.bind == BindPolicy::kNone) return std::nullopt;
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = "cannot bind ranks: the topology of this node is unknown";
  if (!node.topology) return failure;
  const BindObject object =
      spec.bind == BindPolicy::kCore ? BindObject::kCore : BindObject::kHwthread;
  auto bindings = BindRanks(*node.topology, plan.total, object, spec.bind_overload);
  if (bindings) {
    plan.bindings = *std::move(bindings);
    return std::nullopt;
  }
  failure.detail = bindings.error().text;
  return failure;
}

Notice SharedCores(uint32_t ranks, uint32_t cores) {
  return {Notice::Level::kInfo,
          std::to_string(ranks) + " ranks share " + std::to_string(cores) +
              (cores == 1 ? " core" : " cores") +
              " of this machine; they yield while they wait (--oversubscribe hides this line)"};
}

}  // namespace

const AppPlan& JobPlan::AppOf(Rank rank) const {
  for (const AppPlan& app : apps) {
    if (rank - app.first_rank < app.ranks) return app;
  }
  REX_CHECK(!"a rank belongs to an app");
  return apps.front();
}

std::variant<JobPlan, Failure> PlanJob(const JobSpec& spec, const NodeFacts& node) {
  if (auto failure = LackOfDescriptors(spec, node)) return *failure;
  JobPlan plan;
  plan.total = spec.TotalRanks();
  plan.slots = spec.slots > 0 ? spec.slots : node.slots;
  if (auto failure = PlaceRanks(spec, plan)) return *failure;
  // Whatever the slots say: ranks that share cores must yield while they wait.
  plan.oversubscribed = plan.total > node.slots;
  if (auto failure = BindPlan(spec, node, plan)) return *failure;
  plan.name_space = NewNameSpace();
  plan.job_dir = node.session_dir + "/" + plan.name_space;
  plan.shm_dir = node.shm_dir + "/" + plan.name_space;
  Rank first_rank = 0;
  for (const AppSpec& app : spec.apps) {
    auto planned = PlanApp(spec, app, first_rank, plan);
    if (Failure* failure = std::get_if<Failure>(&planned)) return std::move(*failure);
    plan.apps.push_back(std::get<AppPlan>(std::move(planned)));
    AddFabricSettings(node, plan.apps.back(), plan.notices);
    first_rank += app.ranks;
  }
  if (plan.oversubscribed && !spec.oversubscribe) {
    plan.notices.push_back(SharedCores(plan.total, node.slots));
  }
  return plan;
}

pmix::RegisterJob RegistrationOf(const JobPlan& plan, const NodeFacts& node) {
  pmix::RegisterJob job;
  job.name_space = plan.name_space;
  job.nodes.push_back({node.name, {{0, plan.total}}});
  job.local_node = 0;
  for (const AppPlan& app : plan.apps) {
    job.apps.push_back({app.first_rank, app.ranks, app.argv, app.wdir});
  }
  job.job_dir = plan.shm_dir;  // libpmix makes a directory per rank: 10 times faster in memory
  job.slots = std::max(plan.slots, plan.total);
  for (const auto& cpus : plan.bindings) job.cpusets.push_back(CpuList(cpus));
  return job;
}

std::vector<std::string> MergeEnvironments(
    const std::vector<const std::vector<std::string>*>& lists) {
  std::vector<std::string> merged;
  std::unordered_map<std::string_view, size_t> index;  // views into `lists`, which outlive this
  for (const auto* list : lists) {
    for (const std::string& assignment : *list) {
      const auto [it, is_new] = index.emplace(NameOf(assignment), merged.size());
      if (is_new) {
        merged.push_back(assignment);
      } else {
        merged[it->second] = assignment;
      }
    }
  }
  return merged;
}

}  // namespace rex
