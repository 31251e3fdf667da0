#include "launcher/cli/node_pool.h"

#include <algorithm>
#include <array>
#include <span>

#include "launcher/cli/parameter.h"

namespace rex {

namespace {

// Open MPI's names of resource managers, where they differ from ours.
std::optional<Manager> ManagerOfRas(std::string_view word) {
  if (word == "tm") return Manager::kPbs;
  if (word == "alps") return Manager::kPals;
  return FindManager(word);
}

// Open MPI's parameter ras: "slurm,tm" are the only ones, "^slurm,tm" all but these.
std::bitset<kManagers> AllowedByRas(std::string_view text) {
  const bool excludes = text.starts_with('^');
  if (excludes) text.remove_prefix(1);
  std::bitset<kManagers> named;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const auto manager = ManagerOfRas(text.substr(0, comma));
    if (manager) named.set(static_cast<size_t>(*manager));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return excludes ? ~named : named;
}

// --allocation, else Open MPI's parameter.
ManagerChoice ChoiceOf(const CommandLine& line, const Environment& env) {
  if (line.managers) return *line.managers;
  constexpr std::array<std::string_view, 1> kRas = {"ras"};
  const auto ras = FindParameter(line, env, kRas);
  ManagerChoice choice;
  if (ras && !ras->empty()) choice.allowed = AllowedByRas(*ras);
  return choice;
}

NodePool PoolOf(Allocation allocation) {
  NodePool pool{.kind = NodePool::Kind::kAllocation,
                .manager = allocation.manager,
                .origin = Describe(allocation)};
  for (AllocatedNode& node : allocation.nodes) {
    HostEntry host;
    host.name = std::move(node.name);
    host.slots = std::max(node.slots, 1U);
    host.all_cores = node.slots == 0;
    pool.hosts.push_back(std::move(host));
  }
  pool.own_name = std::move(allocation.own_name);
  if (allocation.cpus_per_slot > 0) {
    pool.more = std::to_string(allocation.cpus_per_slot) + " CPUs for each slot";
  }
  return pool;
}

// A hostfile that may be used when nobody names nodes.
struct Candidate {
  std::string file;
  std::string named_by;     // for messages; empty: a fixed place, where a file may be missing
  bool of_home = false;     // below HOME, which may be somebody else's (su, setpriv)
  bool configured = false;  // rex's own
};

// What the user, or who runs the cluster, set for this purpose. kubeflow's mpi-operator sets one of
// the last four for Open MPI 4, Open MPI 5, MPICH and Intel MPI.
std::optional<Candidate> NamedCandidate(const CommandLine& line, const Environment& env) {
  if (!line.default_hostfile.empty()) {
    return Candidate{line.default_hostfile, "option '--default-hostfile'"};
  }
  constexpr std::array<std::string_view, 1> kParameter = {"orte_default_hostfile"};
  const auto parameter = FindParameter(line, env, kParameter);
  if (parameter && !parameter->empty()) {
    return Candidate{*parameter, "the Open MPI parameter orte_default_hostfile"};
  }
  for (const char* name :
       {"PRTE_MCA_prte_default_hostfile", "HYDRA_HOST_FILE", "I_MPI_HYDRA_HOST_FILE"}) {
    const auto file = FindVariable(env, name);
    if (file && !file->empty()) {
      return Candidate{std::string(*file), "the environment variable " + std::string(name)};
    }
  }
  return std::nullopt;
}

std::vector<Candidate> FixedCandidates(const Environment& env) {
  std::vector<Candidate> files = {{"/etc/openmpi/openmpi-default-hostfile", ""}};
  const auto config = FindVariable(env, "XDG_CONFIG_HOME");
  const auto home = FindVariable(env, "HOME");
  if (config && config->starts_with('/')) {
    files.push_back({std::string(*config) + "/rex/nodes", "", true, true});
  } else if (home && home->starts_with('/')) {
    files.push_back({std::string(*home) + "/.config/rex/nodes", "", true, true});
  }
  files.push_back({"/etc/rex/nodes", "", false, true});
  return files;
}

std::vector<Candidate> Candidates(const CommandLine& line, const Environment& env) {
  const auto named = NamedCandidate(line, env);
  if (!named) return FixedCandidates(env);
  if (named->file == "none") return {};  // as mpirun: no default at all
  return {*named};
}

// The nodes of a candidate; none when it may be missing and is, or names nobody.
Result<std::vector<HostEntry>> Read(const Candidate& candidate, const FileReader& read_file) {
  const bool named = !candidate.named_by.empty();
  const std::string whose = named ? candidate.named_by + ": " : "";
  const auto text = read_file(candidate.file);
  const bool absent = !text && (text.error().code == Errc::kNotFound ||
                                (candidate.of_home && text.error().code == Errc::kPermission));
  if (absent && !named) return std::vector<HostEntry>();
  if (!text) return Error{text.error().code, whose + text.error().text};
  auto hosts = ParseHostfileOrNothing(*text, candidate.file);
  if (!hosts) return Error{hosts.error().code, whose + hosts.error().text};
  return hosts;
}

Result<NodePool> DefaultNodes(const CommandLine& line, const Outside& outside) {
  for (const Candidate& candidate : Candidates(line, outside.env)) {
    auto hosts = Read(candidate, outside.read_file);
    if (!hosts) return hosts.error();
    std::erase_if(*hosts, [](const HostEntry& host) { return host.kind != HostKind::kName; });
    if (hosts->empty()) continue;
    return NodePool{.kind = NodePool::Kind::kFile,
                    .configured = candidate.configured,
                    .hosts = *std::move(hosts),
                    .origin = candidate.file};
  }
  return NodePool{};
}

std::string Count(uint64_t number, const char* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

// Which options had a say, as "--host" or "--hostfile and --host"; empty: none.
std::string NamingOptions(const CommandLine& line) {
  bool host = false;
  bool file = false;
  for (const AppLine& app : line.apps) {
    host = host || !app.hosts.empty();
    file = file || !app.hostfile.empty();
  }
  if (file && host) return "--hostfile and --host";
  return file ? "--hostfile" : host ? "--host" : "";
}

}  // namespace

Result<NodePool> FindNodePool(const CommandLine& line, const Outside& outside) {
  if (line.virtual_nodes.nodes > 0) return NodePool{};
  auto found = FindAllocation(ChoiceOf(line, outside.env), outside);
  if (!found) return found.error();
  if (*found) return PoolOf(**std::move(found));
  const bool any_file = std::any_of(line.apps.begin(), line.apps.end(), [](const AppLine& app) {
    return std::any_of(app.hostfile.begin(), app.hostfile.end(),
                       [](const HostEntry& host) { return host.kind == HostKind::kName; });
  });
  return any_file ? NodePool{} : DefaultNodes(line, outside);
}

std::string OriginText(const CommandLine& line, const NodePool& pool,
                       const std::vector<NodeRequest>& nodes, uint32_t local_slots) {
  const std::string options = NamingOptions(line);
  std::string text = "the nodes come from ";
  if (pool.kind == NodePool::Kind::kNone) {
    if (options.empty()) return "";
    text += options;
  } else {
    text += pool.origin + (options.empty() ? "" : ", chosen by " + options);
  }
  uint64_t slots = nodes.empty() ? local_slots : 0;
  bool known = true;
  for (const NodeRequest& node : nodes) {
    slots += node.slots;
    known = known && node.slots > 0;
  }
  text += ": " + Count(std::max<size_t>(nodes.size(), 1), "node");
  if (nodes.empty()) text += ", this machine";
  text += ", " + (known ? Count(slots, "slot") : std::string("with slots for their cores"));
  if (!pool.more.empty()) text += ", " + pool.more;
  return text;
}

}  // namespace rex
