#include "launcher/cli/job_request.h"

#include <algorithm>

#include "launcher/cli/node_list.h"

namespace rex {

namespace {

std::string AbsoluteDir(const std::string& dir, const std::string& cwd) {
  if (dir.empty() || dir[0] == '/') return dir;
  return cwd + (cwd.ends_with('/') ? "" : "/") + dir;
}

std::string Text(uint64_t number) { return std::to_string(number); }

// How many ranks an app has: -n, else -N on each node, else its slots, else the cores. 0: as many
// as slots, which the head will know.
Result<uint64_t> RanksOf(const AppLine& app, const AppNodes& nodes, size_t node_count,
                         const Surroundings& here) {
  const uint64_t each = app.per_node.value_or(0);
  if (app.ranks && app.per_node && *app.ranks > each * node_count) {
    const bool one = node_count == 1;
    return Error{Errc::kInvalid,
                 "-n " + Text(*app.ranks) + " and -N " + Text(each) + " do not go together on " +
                     (one ? "one node; raise -N or lower -n"
                          : Text(node_count) + " nodes; raise -N, lower -n or name more nodes")};
  }
  if (app.ranks) return uint64_t{*app.ranks};
  if (app.per_node) return each * node_count;
  if (node_count > 1 || nodes.slots > 0) return std::min<uint64_t>(nodes.slots, kMaxRanks + 1);
  return uint64_t{std::clamp<uint32_t>(here.cores, 1, kMaxRanks)};
}

// The part of an app that says where it runs.
Status PlaceAppSpec(const AppLine& app, const NodeList& list, size_t index,
                    const Surroundings& here, bool allow_missing, AppSpec* out) {
  const AppNodes& own = list.apps[index];
  const size_t all = std::max<size_t>(list.nodes.size(), 1);
  const size_t count = !list.elsewhere ? 1 : own.nodes.empty() ? all : own.nodes.size();
  // Of nodes that may turn out to be missing nobody can count the slots now.
  const bool unknown = list.elsewhere && (own.slots == 0 || allow_missing);
  const bool counted_there = unknown && !app.ranks && (!app.per_node || allow_missing);
  const auto ranks = counted_there ? Result<uint64_t>(uint64_t{0}) : RanksOf(app, own, count, here);
  if (!ranks) return ranks.error();
  out->ranks = static_cast<uint32_t>(std::min<uint64_t>(*ranks, kMaxRanks + 1));
  if (!list.elsewhere) return Ok{};
  out->per_node = app.per_node.value_or(0);
  if (own.nodes.size() < all) out->nodes = own.nodes;
  return Ok{};
}

AppSpec MakeAppSpec(const AppLine& app, const CommandLine& line, const Surroundings& here) {
  AppSpec out;
  out.argv = app.argv;
  out.wdir = AbsoluteDir(app.wdir, here.cwd);
  out.search_path = app.search_path;
  std::vector<EnvSetting> settings = line.settings;  // an app's own come after: the last wins
  settings.insert(settings.end(), app.settings.begin(), app.settings.end());
  out.env = AppEnvironment(settings, out.wdir);
  return out;
}

// A suspended job is silent for as long as that lasts, and Slurm tells of dead nodes itself.
constexpr std::chrono::hours kSuspendedBound{24};

// How agents are started on other nodes, an allocation's too. The one place that decides it: in one
// of Slurm's by srun, unless somebody said by what else.
Bootstrap BootstrapOf(const CommandLine& line, const NodePool& pool,
                      const std::vector<std::string>& ssh) {
  if (line.virtual_nodes.nodes > 0) return Bootstrap::kVirtual;
  const bool by_srun =
      pool.manager == Manager::kSlurm && ssh.empty() && line.ship != ShipRequest::kAlways;
  return by_srun ? Bootstrap::kSlurm : Bootstrap::kSsh;
}

// How other nodes are reached. Nothing to say when there are none.
Status TakeNodes(const CommandLine& line, const Environment& env, const NodePool& pool,
                 NodeList list, JobSpec& job) {
  if (!list.elsewhere) {
    for (const AppNodes& app : list.apps) {
      job.slots =
          std::max(job.slots, static_cast<uint32_t>(std::min<uint64_t>(app.slots, kMaxRanks)));
    }
    if (!list.nodes.empty()) job.dvm.max_slots = list.nodes[0].max_slots;
    return Ok{};
  }
  auto ssh = SshWords(line, env);
  if (!ssh) return ssh.error();
  job.dvm.nodes = std::move(list.nodes);
  job.dvm.bootstrap = BootstrapOf(line, pool, *ssh);
  job.dvm.tree = line.tree;
  job.dvm.ship = line.ship;
  job.dvm.ssh = *std::move(ssh);
  if (!line.prefix.empty()) job.dvm.rexd = line.prefix + "/libexec/rex/rexd";
  job.dvm.start_timeout = line.start_timeout;
  job.dvm.node_timeout = line.node_timeout;
  const bool default_timeout = line.node_timeout == DvmSpec().node_timeout;
  if (job.dvm.bootstrap == Bootstrap::kSlurm && default_timeout) {
    job.dvm.node_timeout = kSuspendedBound;
  }
  job.dvm.max_modex_bytes = line.max_modex_bytes;
  job.dvm.allow_missing = line.allow_missing_nodes;
  const bool is_virtual = job.dvm.bootstrap == Bootstrap::kVirtual;
  const bool dealt_out = is_virtual && line.virtual_nodes.slots == 0;
  job.map = line.map.value_or(dealt_out ? MapPolicy::kNode : MapPolicy::kSlot);
  return Ok{};
}

void TakeEnvironment(const CommandLine& line, const Surroundings& here, const Environment& env,
                     JobSpec& job) {
  if (job.dvm.nodes.empty()) {
    job.env = RankEnvironment(env, here.cwd);
    return;
  }
  job.env = RankEnvironmentElsewhere(env, here.cwd, line.export_mode);
  job.node_env = line.export_mode != ExportMode::kAll;
}

// The displays, bindings and limits of the whole job.
void TakeJobOptions(const CommandLine& line, const Surroundings& here, JobSpec& job) {
  job.stdin_rank = line.stdin_rank;
  job.stdout_pipe = line.stdout_pipe;
  job.grace = line.grace;
  job.timeout = line.timeout;
  job.report_after = line.report_after.value_or(std::chrono::seconds(here.terminal ? 30 : 0));
  job.progress = here.terminal && here.rewrites_lines && !line.quiet;
  job.report_state = line.report_state || line.stack_traces;
  job.stack_traces = line.stack_traces;
  job.oversubscribe = line.oversubscribe;
  job.refuse_oversubscribe = line.nooversubscribe;
  job.verbose = line.verbose;
  job.timer_slack = line.timer_slack;
  job.no_template = line.no_template;
  job.bind = line.bind.policy;
  job.bind_overload = line.bind.overload;
  job.show_map = line.display.map;
  job.show_allocation = line.display.allocation;
  job.show_bindings = line.display.bindings;
  job.show_topology = line.display.topology;
  job.do_not_launch = line.do_not_launch;
  job.check = line.check;
  job.cwd_in_session = line.session_dir;
}

size_t Bytes(const std::vector<std::string>& strings) {
  size_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + 8;  // with its tag and length
  return bytes;
}

size_t MessageBytes(const JobSpec& job) {
  size_t bytes = 1024 + job.cwd.size() + Bytes(job.env) + Bytes(job.dvm.ssh);
  for (const AppSpec& app : job.apps) {
    bytes += 64 + app.wdir.size() + app.search_path.size() + Bytes(app.argv) + Bytes(app.env);
    bytes += 4 * app.nodes.size();
  }
  for (const NodeRequest& node : job.dvm.nodes) bytes += 32 + node.name.size() + node.user.size();
  return bytes;
}

Status CheckRanks(const JobSpec& job) {
  uint64_t total = 0;
  bool known = true;
  for (const AppSpec& app : job.apps) {
    total += app.ranks;
    known = known && app.ranks > 0;
  }
  if (total > kMaxRanks) {
    return Error{Errc::kInvalid, "the programs have " + Text(total) +
                                     " ranks together; a job has at most " + Text(kMaxRanks)};
  }
  if (known && job.stdin_rank >= static_cast<int64_t>(total)) {
    return Error{Errc::kInvalid, "option '--stdin': there is no rank " +
                                     std::to_string(job.stdin_rank) + "; the job has ranks 0 to " +
                                     Text(total - 1)};
  }
  return Ok{};
}

}  // namespace

Result<JobSpec> MakeJobSpec(const CommandLine& line, const Surroundings& here,
                            const Environment& env, const NodePool& pool,
                            std::vector<std::string>* warnings) {
  JobSpec job;
  auto list = ListNodes(line, {here.is_this_machine, here.cores}, pool);
  if (!list) return list.error();
  if (warnings != nullptr) {
    warnings->insert(warnings->end(), list->warnings.begin(), list->warnings.end());
  }
  for (size_t i = 0; i < line.apps.size(); ++i) {
    job.apps.push_back(MakeAppSpec(line.apps[i], line, here));
    const Status placed =
        PlaceAppSpec(line.apps[i], *list, i, here, line.allow_missing_nodes, &job.apps.back());
    if (!placed) return placed.error();
  }
  if (auto taken = TakeNodes(line, env, pool, *std::move(list), job); !taken) return taken.error();
  TakeJobOptions(line, here, job);
  if (FindVariable(env, "REX_OVERSUBSCRIBE") == "1" && !line.nooversubscribe) {
    job.oversubscribe = true;
  }
  TakeEnvironment(line, here, env, job);
  job.cwd = here.cwd;
  job.umask = here.umask;
  job.open_files = std::max<uint64_t>(here.open_files, 1);
  job.open_files_hard = std::max(here.open_files_hard, job.open_files);
  if (auto checked = CheckRanks(job); !checked) return checked.error();
  if (MessageBytes(job) > kMaxLaunchMessageBytes) {
    return Error{Errc::kInvalid, "the environment and the command line are larger than " +
                                     std::to_string(kMaxLaunchMessageBytes >> 20) +
                                     " MiB together; unset large variables or use fewer arguments"};
  }
  return job;
}

}  // namespace rex
