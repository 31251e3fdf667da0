#include "launcher/cli/node_list.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

// With both, the hostfile is the allocation and --host chooses from it, as with mpirun.
Result<std::vector<HostEntry>> HostsOf(const AppLine& app) {
  if (app.hostfile.empty()) return app.hosts;
  if (app.hosts.empty()) return app.hostfile;
  std::unordered_map<std::string, const HostEntry*> wanted;
  for (const HostEntry& host : app.hosts) wanted.emplace(host.name, &host);
  std::vector<HostEntry> chosen;
  for (const HostEntry& host : app.hostfile) {
    const auto found = wanted.find(host.name);
    if (found == wanted.end()) continue;
    chosen.push_back(host);
    if (found->second->user.size() > 0) chosen.back().user = found->second->user;
    if (!found->second->all_cores) {
      chosen.back().slots = found->second->slots;
      chosen.back().all_cores = false;
    }
    wanted.erase(found);
  }
  for (const HostEntry& host : app.hosts) {
    if (!wanted.contains(host.name)) continue;
    return Bad("--host names '" + host.name +
               "', which --hostfile does not have; with both, --host chooses from the file");
  }
  return chosen;
}

class Lister {
 public:
  Lister(const CommandLine& line, const ThisMachine& machine) : line_(line), machine_(machine) {}

  Result<NodeList> Run() {
    if (line_.virtual_nodes.nodes > 0) return Virtual();
    bool any = false;
    for (const AppLine& app : line_.apps) {
      const auto hosts = HostsOf(app);
      if (!hosts) return hosts.error();
      any = any || !hosts->empty();
      if (Status taken = TakeApp(*hosts); !taken) return taken.error();
    }
    if (line_.nolocal && !any) {
      return Bad("--nolocal needs other nodes: name them by --host or --hostfile");
    }
    UseAllWhereNoneIsNamed();
    return std::move(list_);
  }

 private:
  NodeList Virtual() {
    const VirtualChoice& choice = line_.virtual_nodes;
    for (uint32_t i = 1; i <= choice.nodes; ++i) {
      list_.nodes.push_back({.name = "node" + std::to_string(i), .slots = choice.slots});
    }
    // Without SLOTS one rank a node, unless -n says another number.
    const uint64_t slots = uint64_t{choice.nodes} * std::max(choice.slots, 1U);
    list_.apps.assign(line_.apps.size(), {{}, slots});
    list_.elsewhere = true;
    return std::move(list_);
  }

  Status TakeApp(const std::vector<HostEntry>& hosts) {
    std::map<uint32_t, uint64_t> slots;  // by node; 0: its cores, whose number is not known here
    for (const HostEntry& host : hosts) {
      const bool here = IsHere(host);
      if (here && line_.nolocal) continue;
      const auto node = NodeOf(host, here);
      if (!node) return node.error();
      slots[*node] += host.all_cores ? (here ? machine_.cores : 0) : host.slots;
    }
    if (!hosts.empty() && slots.empty()) {
      return Bad("--nolocal leaves no node: every host that is named is this machine");
    }
    AppNodes app;
    bool known = true;
    for (const auto& [node, count] : slots) {
      app.nodes.push_back(node);
      app.slots += count;
      known = known && count > 0;
      NodeRequest& request = list_.nodes[node];
      request.slots =
          std::max(request.slots, static_cast<uint32_t>(std::min<uint64_t>(count, kMaxRanks)));
    }
    if (!known) app.slots = 0;
    list_.apps.push_back(std::move(app));
    return Ok{};
  }

  // Another user or port is another place, whatever the name.
  bool IsHere(const HostEntry& host) {
    if (!host.user.empty() || host.port != 0) return false;
    const auto [at, is_new] = here_.emplace(host.name, false);
    if (is_new) at->second = machine_.is_host(host.name);
    return at->second;
  }

  Result<uint32_t> NodeOf(const HostEntry& host, bool here) {
    const std::string key =
        here ? "" : host.user + "\n" + host.name + "\n" + std::to_string(host.port);
    const auto [at, is_new] = index_.emplace(key, static_cast<uint32_t>(list_.nodes.size()));
    if (is_new) {
      if (list_.nodes.size() == kMaxJobNodes) {
        return Bad("more than " + std::to_string(kMaxJobNodes) + " nodes are named");
      }
      list_.nodes.push_back(
          {.name = host.name, .here = here, .user = host.user, .port = host.port});
      list_.elsewhere = list_.elsewhere || !here;
    }
    NodeRequest& node = list_.nodes[at->second];
    node.max_slots = std::max(node.max_slots, host.max_slots);
    return at->second;
  }

  // A program without hosts of its own may use every node that others name.
  void UseAllWhereNoneIsNamed() {
    uint64_t all = 0;
    bool known = true;
    for (const NodeRequest& node : list_.nodes) {
      all += node.slots;
      known = known && node.slots > 0;
    }
    for (AppNodes& app : list_.apps) {
      if (app.nodes.empty()) app.slots = known ? all : 0;
    }
  }

  const CommandLine& line_;
  const ThisMachine& machine_;
  std::unordered_map<std::string, bool> here_;
  std::unordered_map<std::string, uint32_t> index_;
  NodeList list_;
};

// What the ranks would see as OMPI_MCA_NAME, under any of its names: the last setting wins.
std::optional<std::string> Parameter(const CommandLine& line, const Environment& env,
                                     std::span<const std::string_view> names) {
  std::optional<std::string> value;
  for (const std::string_view name : names) {
    const std::string variable = "OMPI_MCA_" + std::string(name);
    if (const auto here = FindVariable(env, variable); here && !value) value = std::string(*here);
  }
  const auto take = [&](const std::vector<EnvSetting>& settings) {
    for (const EnvSetting& setting : settings) {
      const bool meant = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
        return setting.name == "OMPI_MCA_" + std::string(name);
      });
      if (meant) value = setting.value;
    }
  };
  take(line.settings);
  for (const AppLine& app : line.apps) take(app.settings);
  return value;
}

Result<std::vector<std::string>> ParameterWords(const std::string& text, const char* name) {
  auto words = ShellWords(text);
  if (words) return words;
  return Bad(std::string("the Open MPI parameter ") + name + ": " + words.error().text);
}

}  // namespace

Result<NodeList> ListNodes(const CommandLine& line, const ThisMachine& machine) {
  return Lister(line, machine).Run();
}

Result<std::vector<std::string>> SshWords(const CommandLine& line, const Environment& env) {
  if (!line.ssh.empty()) return line.ssh;
  constexpr std::array<std::string_view, 3> kAgent = {"plm_rsh_agent", "orte_rsh_agent",
                                                      "pls_rsh_agent"};
  constexpr std::array<std::string_view, 1> kArguments = {"plm_rsh_args"};
  const std::string agent = Parameter(line, env, kAgent).value_or("");
  const auto arguments = Parameter(line, env, kArguments);
  auto words = ParameterWords(agent.substr(0, agent.find(':')), "plm_rsh_agent");
  if (!words || !arguments) return words;
  const auto more = ParameterWords(*arguments, "plm_rsh_args");
  if (!more) return more;
  if (words->empty() && !more->empty()) words->emplace_back("ssh");
  words->insert(words->end(), more->begin(), more->end());
  return words;
}

}  // namespace rex
