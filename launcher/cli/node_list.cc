#include "launcher/cli/node_list.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>

#include "launcher/cli/host_choice.h"
#include "launcher/cli/parameter.h"

namespace rex {

namespace {

Error Bad(std::string text) { return Error{Errc::kInvalid, std::move(text)}; }

class Lister {
 public:
  Lister(const CommandLine& line, const ThisMachine& machine, const NodePool& pool)
      : line_(line), machine_(machine), pool_(pool) {}

  Result<NodeList> Run() {
    if (line_.virtual_nodes.nodes > 0) return Virtual();
    for (const AppLine& app : line_.apps) AppendHosts(app.hostfile, &all_files_);
    TakeOwnName();
    bool any = false;
    for (const AppLine& app : line_.apps) {
      auto choice = ChooseHosts(app, Params());
      if (!choice) return choice.error();
      any = any || !choice->hosts.empty();
      if (Status taken = TakeApp(choice->hosts); !taken) return taken.error();
      MarkUsed(app);
      list_.warnings.insert(list_.warnings.end(), choice->warnings.begin(), choice->warnings.end());
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
    const uint32_t nodes = std::min(choice.nodes, line_.max_nodes.value_or(choice.nodes));
    for (uint32_t i = 1; i <= nodes; ++i) {
      list_.nodes.push_back({.name = "node" + std::to_string(i), .slots = choice.slots});
    }
    // Without SLOTS one rank a node, unless -n says another number.
    const uint64_t slots = uint64_t{nodes} * std::max(choice.slots, 1U);
    list_.apps.assign(line_.apps.size(), {{}, slots});
    list_.elsewhere = true;
    return std::move(list_);
  }

  // A resource manager that says which node this is saves asking the name service about all others.
  void TakeOwnName() {
    const auto is_own = [this](const HostEntry& host) { return host.name == pool_.own_name; };
    if (std::none_of(pool_.hosts.begin(), pool_.hosts.end(), is_own)) return;
    for (const HostEntry& host : pool_.hosts) here_.emplace(host.name, is_own(host));
  }

  ChoiceParams Params() {
    return {.pool = pool_,
            .all_files = all_files_,
            .is_here = [this](const HostEntry& host) { return IsHere(host); },
            .is_used =
                [this](const HostEntry& host) {
                  const auto found = index_.find(KeyOf(host, IsHere(host)));
                  return found != index_.end() && used_.contains(found->second);
                }};
  }

  // Which nodes have ranks of this program, the last in the list, as far as that can be told before
  // the nodes' cores are known; else all of its nodes.
  void MarkUsed(const AppLine& app) {
    const AppNodes& own = list_.apps.back();
    const bool by_node = app.place.map == MapBy::kNode;
    const uint64_t each = app.per_node.value_or(by_node ? 1 : 0);
    const bool told = app.ranks && *app.ranks <= own.slots && (each > 0 || own.slots > 0);
    uint64_t ranks = told ? *app.ranks : UINT64_MAX;
    for (const uint32_t node : own.nodes) {
      if (ranks == 0) break;
      used_.insert(node);
      const uint64_t here = each > 0 ? each : list_.nodes[node].slots;
      ranks -= std::min<uint64_t>(ranks, here);
    }
  }

  bool IsFull() const { return line_.max_nodes && list_.nodes.size() >= *line_.max_nodes; }

  Status TakeApp(const std::vector<HostEntry>& hosts) {
    std::map<uint32_t, uint64_t> slots;  // by node; 0: its cores, whose number is not known here
    for (const HostEntry& host : hosts) {
      const bool here = IsHere(host);
      if (here && line_.nolocal) continue;
      if (IsFull() && !index_.contains(KeyOf(host, here))) continue;
      const auto node = NodeOf(host, here);
      if (!node) return node.error();
      slots[*node] += host.all_cores ? (here ? machine_.cores : 0) : host.slots;
    }
    if (!hosts.empty() && slots.empty()) {
      if (IsFull()) return Bad("--max-vm-size leaves no node for one of the programs");
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

  static std::string KeyOf(const HostEntry& host, bool here) {
    return here ? "" : host.user + "\n" + host.name + "\n" + std::to_string(host.port);
  }

  Result<uint32_t> NodeOf(const HostEntry& host, bool here) {
    const auto [at, is_new] =
        index_.emplace(KeyOf(host, here), static_cast<uint32_t>(list_.nodes.size()));
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
  const NodePool& pool_;
  std::vector<HostEntry> all_files_;  // of all programs' hostfiles
  std::unordered_map<std::string, bool> here_;
  std::unordered_map<std::string, uint32_t> index_;
  std::set<uint32_t> used_;  // nodes with ranks of the programs so far
  NodeList list_;
};

Result<std::vector<std::string>> ParameterWords(const std::string& text, const char* name) {
  auto words = ShellWords(text);
  if (words) return words;
  return Bad(std::string("the Open MPI parameter ") + name + ": " + words.error().text);
}

}  // namespace

Result<NodeList> ListNodes(const CommandLine& line, const ThisMachine& machine,
                           const NodePool& pool) {
  return Lister(line, machine, pool).Run();
}

Result<std::vector<std::string>> SshWords(const CommandLine& line, const Environment& env) {
  if (!line.ssh.empty()) return line.ssh;
  constexpr std::array<std::string_view, 3> kAgent = {"plm_rsh_agent", "orte_rsh_agent",
                                                      "pls_rsh_agent"};
  constexpr std::array<std::string_view, 1> kArguments = {"plm_rsh_args"};
  const std::string agent = FindParameter(line, env, kAgent).value_or("");
  const auto arguments = FindParameter(line, env, kArguments);
  auto words = ParameterWords(agent.substr(0, agent.find(':')), "plm_rsh_agent");
  if (!words || !arguments) return words;
  const auto more = ParameterWords(*arguments, "plm_rsh_args");
  if (!more) return more;
  if (words->empty() && !more->empty()) words->emplace_back("ssh");
  words->insert(words->end(), more->begin(), more->end());
  return words;
}

}  // namespace rex
