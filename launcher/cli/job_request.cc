#include "launcher/cli/job_request.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "launcher/cli/node_list.h"
#include "launcher/cli/option_values.h"
#include "launcher/cli/parameter.h"
#include "sched/policy/policy_words.h"

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

// Its number follows from the nodes' hardware, which the head will know.
bool HeadCounts(const AppLine& app, const AppNodes& own) {
  if (app.ranks || app.per_node) return false;
  return app.place.map == MapBy::kPpr || (app.place.hwthread_cpus && own.slots == 0);
}

// The part of an app that says where it runs.
Status PlaceAppSpec(const AppLine& app, const NodeList& list, size_t index,
                    const Surroundings& here, bool may_be_fewer, AppSpec* out) {
  const AppNodes& own = list.apps[index];
  const size_t all = std::max<size_t>(list.nodes.size(), 1);
  const size_t count = !list.elsewhere ? 1 : own.nodes.empty() ? all : own.nodes.size();
  // Of nodes that may turn out to be missing, or too busy, nobody can count the slots now.
  const bool unknown = list.elsewhere && (own.slots == 0 || may_be_fewer) && !app.ranks &&
                       (!app.per_node || may_be_fewer);
  const auto ranks = unknown || HeadCounts(app, own) ? Result<uint64_t>(uint64_t{0})
                                                     : RanksOf(app, own, count, here);
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
  out.place = app.place;
  out.gpus_per_rank = app.gpus_per_rank;
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
  for (AppSpec& app : job.apps) {
    const bool dealt_out = is_virtual && line.virtual_nodes.slots == 0;
    if (dealt_out && app.place.map == MapBy::kUnset) app.place.map = MapBy::kNode;
  }
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
  job.show_map = line.display.map;
  job.show_allocation = line.display.allocation;
  job.show_bindings = line.display.bindings;
  job.show_topology = line.display.topology;
  job.do_not_launch = line.do_not_launch;
  job.check = line.check;
  job.cwd_in_session = line.session_dir;
  job.stage = line.stage;
  for (std::string& file : job.stage.preload_files) {
    if (!file.starts_with('/')) file = here.cwd + "/" + file;
  }
  job.described = line.cluster.nodes;
  job.topologies = line.cluster.topologies;
}

Status TakeLeaseChoice(const CommandLine& line, const Environment& env, JobSpec& job) {
  job.leases = line.leases.value_or("");
  const auto variable = FindVariable(env, "REX_LEASES");
  if (line.leases || !variable || variable->empty()) return Ok{};
  const Status taken = TakeLeasePlace(*variable, &job.leases);
  if (taken) return taken;
  return Error{Errc::kInvalid, "environment variable REX_LEASES: " + taken.error().text};
}

// ---- loads

// Some program names a node; leaving nodes out is not naming.
bool NamesNodes(const CommandLine& line) {
  const auto names = [](const HostEntry& host) { return host.kind != HostKind::kExcluded; };
  return std::any_of(line.apps.begin(), line.apps.end(), [&](const AppLine& app) {
    return std::any_of(app.hosts.begin(), app.hosts.end(), names) ||
           std::any_of(app.hostfile.begin(), app.hostfile.end(), names);
  });
}

// The nodes are rex's to choose.
bool UsesPool(const CommandLine& line, const NodePool& pool) {
  return pool.configured && !NamesNodes(line);
}

bool NamesMapping(const AppSpec& app) {
  return app.place.map != MapBy::kUnset && !app.place.map_is_default;
}

// docs/design/sched.md, "Which nodes: lightest first", has the reasons.
void TakeLoads(const CommandLine& line, const NodePool& pool, JobSpec& job) {
  job.load.max_load = line.max_load;
  job.load.wait = line.wait;
  job.show_json = line.json && line.display.allocation;
  job.dvm.pool = UsesPool(line, pool) && !job.dvm.nodes.empty();
  const bool mapped = std::any_of(job.apps.begin(), job.apps.end(), NamesMapping);
  job.load.lightest_first = !mapped && (job.dvm.pool || line.cluster.has_loads);
}

// ---- places that are named rank by rank

// Numbers the nodes of a job as rank files name them.
class NodeFinder {
 public:
  NodeFinder(const std::vector<NodeRequest>& nodes, bool elsewhere, const Surroundings& here)
      : nodes_(nodes), elsewhere_(elsewhere), here_(here) {}

  // nullopt: it is none of them.
  std::optional<uint32_t> Find(const HostEntry& host) {
    if (!elsewhere_) {
      const bool ours = host.kind == HostKind::kNth ? host.number == 0 : IsHere(host);
      return ours ? std::optional<uint32_t>(0) : std::nullopt;
    }
    if (host.kind == HostKind::kNth) {
      return host.number < nodes_.size() ? std::optional<uint32_t>(host.number) : std::nullopt;
    }
    const auto [at, is_new] = known_.try_emplace(host.user + "\n" + host.name);
    if (is_new) at->second = Look(host);
    return at->second;
  }

 private:
  bool IsHere(const HostEntry& host) const { return here_.is_this_machine(host.name); }

  std::optional<uint32_t> Look(const HostEntry& host) const {
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      const bool same_user = host.user.empty() || nodes_[i].user == host.user;
      if (nodes_[i].name == host.name && same_user) return i;
    }
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].here && IsHere(host)) return i;
    }
    return std::nullopt;
  }

  const std::vector<NodeRequest>& nodes_;
  const bool elsewhere_;
  const Surroundings& here_;
  std::map<std::string, std::optional<uint32_t>> known_;
};

Error Named(const RankPlace& place, const std::string& what) {
  const std::string line = place.line > 0 ? "line " + Text(place.line) + ": " : "";
  return Error{Errc::kInvalid, what + line + "'" + place.host.name +
                                   "' is none of the job's nodes; name it by --host or --hostfile, "
                                   "or correct it"};
}

// `count` places from `first` on.
Status FixPlaces(const std::vector<RankPlace>& places, size_t first, size_t count,
                 const std::string& what, NodeFinder& finder, AppSpec* app) {
  for (size_t i = first; i < first + count; ++i) {
    const auto node = finder.Find(places[i].host);
    if (!node) return Named(places[i], what);
    app->fixed.push_back(*node);
    app->slot_lists.push_back(places[i].cpus);
  }
  const bool any = std::any_of(app->slot_lists.begin(), app->slot_lists.end(),
                               [](const std::string& list) { return !list.empty(); });
  if (!any) app->slot_lists.clear();
  app->ranks = static_cast<uint32_t>(count);
  return Ok{};
}

Status FixByRankfile(const CommandLine& line, NodeFinder& finder, JobSpec& job) {
  size_t first = 0;
  for (size_t i = 0; i < job.apps.size(); ++i) {
    const size_t left = line.rankfile.size() - first;
    const size_t wanted = line.apps[i].ranks.value_or(static_cast<uint32_t>(left));
    if (wanted > left || wanted == 0) {
      return Error{Errc::kInvalid, "--rankfile has places for " + Text(line.rankfile.size()) +
                                       " ranks only; add lines, or lower -n"};
    }
    const Status fixed =
        FixPlaces(line.rankfile, first, wanted, "--rankfile, ", finder, &job.apps[i]);
    if (!fixed) return fixed;
    first += wanted;
  }
  return Ok{};
}

// The hosts of an app in order: --host, else its hostfile, else the nodes that the job has anyway.
std::vector<RankPlace> SequenceOf(const AppLine& app, const std::vector<NodeRequest>& nodes) {
  if (!app.host_sequence.empty()) return app.host_sequence;
  if (!app.file_sequence.empty()) return app.file_sequence;
  std::vector<RankPlace> sequence;
  for (uint32_t i = 0; i < std::max<size_t>(nodes.size(), 1); ++i) {
    sequence.push_back({.host = {.kind = HostKind::kNth, .number = i}});
  }
  return sequence;
}

Status FixBySequence(const AppLine& line, const std::vector<NodeRequest>& nodes, NodeFinder& finder,
                     AppSpec* app) {
  const std::vector<RankPlace> sequence = SequenceOf(line, nodes);
  const size_t wanted = line.ranks.value_or(static_cast<uint32_t>(sequence.size()));
  if (wanted > sequence.size()) {
    return Error{Errc::kInvalid, "--map-by seq: " + Text(wanted) + " ranks, but " +
                                     Text(sequence.size()) +
                                     " hosts in a row; name more, or lower -n"};
  }
  return FixPlaces(sequence, 0, wanted, "--map-by seq: ", finder, app);
}

Status TakeFixedPlaces(const CommandLine& line, const Surroundings& here, JobSpec& job) {
  std::vector<NodeRequest> described;
  for (const DescribedNode& node : job.described) described.push_back({.name = node.name});
  const auto& nodes = described.empty() ? job.dvm.nodes : described;
  NodeFinder finder(nodes, !nodes.empty(), here);
  if (!line.rankfile.empty()) return FixByRankfile(line, finder, job);
  for (size_t i = 0; i < job.apps.size(); ++i) {
    if (job.apps[i].place.map != MapBy::kSeq) continue;
    const Status fixed = FixBySequence(line.apps[i], nodes, finder, &job.apps[i]);
    if (!fixed) return fixed;
  }
  return Ok{};
}

// ---- Open MPI's parameters for places

Error OfParameter(std::string_view name, const Error& error) {
  return Error{Errc::kInvalid, "the Open MPI parameter " + std::string(name) + ": " + error.text};
}

// What an app leaves open, from Open MPI's parameters.
class PlaceParameters {
 public:
  PlaceParameters(const CommandLine& line, const Environment& env) : line_(line), env_(env) {}

  Status Apply(PlacePolicy* place, JobSpec& job) const {
    if (IsTrue(Find("hwloc_base_use_hwthreads_as_cpus"))) place->hwthread_cpus = true;
    if (place->map == MapBy::kUnset && place->cpus_per_rank == 0) {
      if (Status taken = TakeMapping(place, job); !taken) return taken;
    }
    if (place->rank == RankBy::kUnset) {
      const auto taken = Take("rmaps_base_ranking_policy", TakeRankBy, place);
      if (!taken) return taken;
    }
    if (place->bind == BindTo::kUnset) {
      const auto taken = Take("hwloc_base_binding_policy", TakeBindTo, place);
      if (!taken) return taken;
    }
    if (place->map != MapBy::kDist) return Ok{};
    place->device = Find("rmaps_dist_device").value_or("");
    place->device = place->device.substr(0, place->device.find(':'));
    if (!place->device.empty()) return Ok{};
    return Error{Errc::kInvalid,
                 "--map-by dist needs a device; add --mca rmaps_dist_device NAME, "
                 "such as mlx5_0, eth0 or auto"};
  }

  bool WantsLocalMemory() const { return Find("hwloc_base_mem_alloc_policy") == "local_only"; }

 private:
  std::optional<std::string> Find(std::string_view name) const {
    const std::array names = {name};
    return FindParameter(line_, env_, names);
  }

  static bool IsTrue(const std::optional<std::string>& value) {
    return value && (*value == "1" || *value == "true" || *value == "yes");
  }

  template <typename Taker>
  Status Take(std::string_view name, Taker taker, PlacePolicy* place) const {
    const auto text = Find(name);
    if (!text || text->empty()) return Ok{};
    const Status taken = taker(*text, place);
    return taken ? taken : OfParameter(name, taken.error());
  }

  Status TakeMapping(PlacePolicy* place, JobSpec& job) const {
    MapModifiers modifiers;
    const auto taken = Take(
        "rmaps_base_mapping_policy",
        [&modifiers](std::string_view text, PlacePolicy* out) {
          return TakeMapBy(text, out, &modifiers);
        },
        place);
    job.oversubscribe = job.oversubscribe || (modifiers.oversubscribe && !line_.nooversubscribe);
    return taken;
  }

  const CommandLine& line_;
  const Environment& env_;
};

size_t Bytes(const std::vector<std::string>& strings) {
  size_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + 8;  // with its tag and length
  return bytes;
}

size_t MessageBytes(const JobSpec& job) {
  size_t bytes = 1024 + job.cwd.size() + Bytes(job.env) + Bytes(job.dvm.ssh);
  bytes += Bytes(job.topologies);
  for (const DescribedNode& node : job.described) bytes += 16 + node.name.size();
  for (const AppSpec& app : job.apps) {
    bytes += 64 + app.wdir.size() + app.search_path.size() + Bytes(app.argv) + Bytes(app.env);
    bytes += 4 * app.nodes.size() + 4 * app.fixed.size() + Bytes(app.slot_lists);
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
    AppSpec& app = job.apps.back();
    if (!line.cluster.nodes.empty()) {
      app.ranks = line.apps[i].ranks.value_or(0);
      app.per_node = line.apps[i].per_node.value_or(0);
      continue;
    }
    const bool fewer =
        line.allow_missing_nodes || UsesPool(line, pool) || line.max_load != kNoMaxLoad;
    const Status placed = PlaceAppSpec(line.apps[i], *list, i, here, fewer, &app);
    if (!placed) return placed.error();
  }
  TakeJobOptions(line, here, job);
  const PlaceParameters parameters(line, env);
  for (AppSpec& app : job.apps) {
    if (auto taken = parameters.Apply(&app.place, job); !taken) return taken.error();
  }
  job.local_memory = parameters.WantsLocalMemory();
  if (auto taken = TakeNodes(line, env, pool, *std::move(list), job); !taken) return taken.error();
  TakeLoads(line, pool, job);
  if (auto fixed = TakeFixedPlaces(line, here, job); !fixed) return fixed.error();
  if (auto taken = TakeLeaseChoice(line, env, job); !taken) return taken.error();
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
