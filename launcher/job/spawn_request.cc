#include "launcher/job/spawn_request.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "launcher/base/text.h"
#include "launcher/values/host_list.h"
#include "launcher/values/number.h"
#include "sched/policy/policy_words.h"

namespace rex {

namespace {

using Info = pmix::SpawnInfo;
constexpr int64_t kRankInvalid = 0xffffffff;  // PMIX_RANK_UNDEF, and Open MPI's "none"

SpawnRefusal Refuse(int32_t status, std::string text) { return {status, std::move(text)}; }
SpawnRefusal Malformed(std::string text) { return Refuse(pmix::kErrBadParam, std::move(text)); }
SpawnRefusal Unsupported(std::string text) {
  return Refuse(pmix::kErrNotSupported, std::move(text));
}
using Outcome = std::optional<SpawnRefusal>;  // none: done

std::string Quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

// ASCII only.
std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The value of NAME= in `env`, or null.
std::string* FindEnv(std::vector<std::string>& env, const std::string& name) {
  for (std::string& entry : env) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return &entry;
    }
  }
  return nullptr;
}

class Planner {
 public:
  explicit Planner(const SpawnContext& context) : context_(context) {
    plan_.spec = context.parent;
    plan_.spec.apps.clear();
    plan_.spec.stdin_rank = kStdinNone;
    plan_.spec.progress = false;
    plan_.spec.show_map = plan_.spec.show_allocation = plan_.spec.show_topology = false;
    plan_.nodes = context.nodes;
  }

  std::variant<SpawnPlan, SpawnRefusal> Run(const pmix::Spawn& spawn) {
    for (const pmix::SpawnApp& app : spawn.apps) {
      if (Outcome refused = TakeApp(app)) return *std::move(refused);
    }
    for (const Info& info : spawn.infos) {
      if (Outcome refused = TakeJobInfo(info)) return *std::move(refused);
    }
    if (Outcome refused = LeaveOutHead()) return *std::move(refused);
    return std::move(plan_);
  }

 private:
  using Take = Outcome (Planner::*)(const Info&);
  struct Key {
    std::string_view name;  // as in pmix_common.h of libpmix 4.2.2
    Info::Type type;
    Take take;
  };
  static const std::array<Key, 38> kKeys;
  // The apps that an info is for: one, or all when it stands beside the apps.
  template <typename F>
  void ForApps(F change) {
    if (app_ != nullptr) return change(*app_);
    for (AppSpec& each : plan_.spec.apps) change(each);
  }

  Outcome TakeApp(const pmix::SpawnApp& asked) {
    AppSpec& app = plan_.spec.apps.emplace_back();
    app.argv = asked.argv;
    app.argv[0] = asked.program;
    app.ranks = asked.ranks;
    app.env = context_.app.env;  // of -x and --mca: children get it with mpirun, too
    for (const std::string& entry : asked.env) PutEntry(app, entry);
    if (Outcome refused = SetDir(asked.cwd, app)) return refused;
    app_ = &app;
    for (const Info& info : asked.infos) {
      if (Outcome refused = TakeInfo(info)) return refused;
    }
    app_ = nullptr;
    return std::nullopt;
  }
  Outcome TakeJobInfo(const Info& info) { return TakeInfo(info); }

  Outcome TakeInfo(const Info& info) {
    const auto key =
        std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& k) { return k.name == info.key; });
    if (key == kKeys.end()) {
      if (info.optional) return std::nullopt;
      return Unsupported("the directive " + Quoted(info.key) +
                         " is not known here; leave it out, or mark it as optional");
    }
    if (key->type != Info::Type::kOther && key->type != info.type) {
      return Malformed("the value of " + Quoted(info.key) + " is not of the type that it has");
    }
    return (this->*key->take)(info);
  }

  Outcome SetDir(const std::string& dir, AppSpec& app) {
    if (dir.empty()) return std::nullopt;
    app.wdir = dir[0] == '/' ? dir : context_.parent.cwd + "/" + dir;
    // The directory of the whole job may be missing on a node, as it may for the first job.
    if (app.wdir == context_.parent.cwd) app.wdir.clear();
    return std::nullopt;
  }

  // ---- where

  Outcome Wdir(const Info& info) {
    Outcome refused;
    ForApps([&](AppSpec& app) { refused = SetDir(info.text, app); });
    return refused;
  }

  Outcome Hosts(const Info& info) {
    const auto hosts = ParseHosts(info.text);
    if (!hosts) return Malformed(Quoted(info.key) + ": " + hosts.error().text);
    return UseHosts(*hosts, info);
  }

  Outcome Hostfile(const Info& info) {
    const std::string path =
        info.text.starts_with('/') ? info.text : context_.parent.cwd + "/" + info.text;
    const auto text = context_.read_file(path);
    if (!text) return Refuse(pmix::kErrNotFound, "hostfile: " + text.error().text);
    const auto hosts = ParseHostfile(*text, path);
    if (!hosts) return Malformed(hosts.error().text);
    return UseHosts(*hosts, info);
  }

  // They choose nodes; how many slots there are the DVM knows. mpirun 4.1.4 takes NAME:N so, too.
  Outcome UseHosts(const std::vector<HostEntry>& hosts, const Info& info) {
    std::vector<uint32_t> chosen;
    for (const HostEntry& host : hosts) {
      if (host.kind != HostKind::kName) {
        return Unsupported("host: only names are known here, not ^NAME, +n or +e");
      }
      const auto node = FindNode(host.name);
      if (!node) return NoSuchHost(host.name, info);
      if (std::find(chosen.begin(), chosen.end(), *node) == chosen.end()) chosen.push_back(*node);
    }
    ForApps([&](AppSpec& app) { app.nodes = chosen; });
    return std::nullopt;
  }

  std::optional<uint32_t> FindNode(const std::string& name) const {
    const auto is_it = [&](const JobNode& node) {
      if (node.name == name) return true;
      const bool here = node.id == kHeadNode;
      return here && (name == "localhost" || name == "127.0.0.1" || name == "::1");
    };
    auto at = std::find_if(plan_.nodes.begin(), plan_.nodes.end(), is_it);
    if (at == plan_.nodes.end()) {  // without its domain
      at = std::find_if(plan_.nodes.begin(), plan_.nodes.end(), [&](const JobNode& node) {
        return node.name.starts_with(name + ".") || name.starts_with(node.name + ".");
      });
    }
    if (at == plan_.nodes.end()) return std::nullopt;
    return static_cast<uint32_t>(at - plan_.nodes.begin());
  }

  SpawnRefusal NoSuchHost(const std::string& name, const Info& info) const {
    std::vector<std::string> known;
    for (const JobNode& node : plan_.nodes) known.push_back(node.name);
    return Refuse(pmix::kErrNotFound, Quoted(info.key) + " names " + Quoted(name) +
                                          ", which is no node of this job (" + Listed(known) +
                                          "); name it on rexlaunch's command line (--host)");
  }

  // "N:OBJECT[,N:OBJECT...]"; N for each node limits whatever mapping there is.
  Outcome Ppr(const Info& info) {
    const auto parts = Split(info.text, ':');
    const auto count = ParseWhole(parts[0]);
    const std::string object = parts.size() == 2 ? Lower(parts[1]) : "";
    if (object == "n" || object == "node") {
      if (!count || *count == 0 || *count > kMaxRanks) {
        return Malformed("ppr: " + Quoted(info.text) +
                         " is no number of ranks per node; write N:node");
      }
      ForApps([&](AppSpec& app) { app.per_node = static_cast<uint32_t>(*count); });
      return std::nullopt;
    }
    return TakePlace("ppr", info, [](std::string_view text, PlacePolicy* place) {
      return TakePpr(text, place);
    });
  }

  Outcome MapBy(const Info& info) {
    MapModifiers modifiers;
    const Outcome refused =
        TakePlace("map_by", info, [&modifiers](std::string_view text, PlacePolicy* place) {
          return TakeMapBy(text, place, &modifiers);
        });
    if (refused) return refused;
    bool by_file = false;
    ForApps([&](AppSpec& app) {
      by_file |= app.place.map == rex::MapBy::kSeq || app.place.map == rex::MapBy::kRankfile;
    });
    if (by_file) {
      return Unsupported("map_by: " + Quoted(info.text) +
                         " needs a file that names each rank's place, which a spawn has not; use "
                         "host or hostfile and slot");
    }
    if (modifiers.oversubscribe) plan_.spec.oversubscribe = true;
    if (modifiers.nooversubscribe) plan_.spec.refuse_oversubscribe = true;
    nolocal_ = nolocal_ || modifiers.nolocal;
    return std::nullopt;
  }

  Outcome RankBy(const Info& info) {
    return TakePlace("rank_by", info, [](std::string_view text, PlacePolicy* place) {
      return TakeRankBy(text, place);
    });
  }

  Outcome BindTo(const Info& info) {
    return TakePlace("bind_to", info, [](std::string_view text, PlacePolicy* place) {
      return TakeBindTo(text, place);
    });
  }

  Outcome CpuList(const Info& info) {
    return TakePlace("cpu list", info, [](std::string_view text, PlacePolicy* place) {
      return TakeCpuList(text, place);
    });
  }

  template <typename F>
  Outcome TakePlace(std::string_view name, const Info& info, F take) {
    Status taken = Ok{};
    ForApps([&](AppSpec& app) {
      if (taken) taken = take(info.text, &app.place);
    });
    if (taken) return std::nullopt;
    return Unsupported(std::string(name) + ": " + taken.error().text);
  }

  // NOLOCAL: none on the node where rexlaunch is.
  Outcome LeaveOutHead() {
    if (!nolocal_) return std::nullopt;
    for (AppSpec& app : plan_.spec.apps) {
      if (app.nodes.empty()) {
        app.nodes.resize(plan_.nodes.size());
        std::iota(app.nodes.begin(), app.nodes.end(), 0U);
      }
      std::erase_if(app.nodes, [this](uint32_t i) { return plan_.nodes[i].id == kHeadNode; });
      if (!app.nodes.empty()) continue;
      return Refuse(pmix::kErrNotFound,
                    "map_by: NOLOCAL leaves no node; name others on rexlaunch's command line "
                    "(--host)");
    }
    return std::nullopt;
  }

  Outcome Mapper(const Info& info) {
    if (info.text == "round_robin" || info.text == "ppr") return std::nullopt;
    return Unsupported("mapper: " + Quoted(info.text) + " is not there; write round_robin or ppr");
  }

  Outcome NoOversubscribe(const Info& info) {
    plan_.spec.refuse_oversubscribe = info.number != 0;
    if (info.number != 0) plan_.spec.oversubscribe = false;
    return std::nullopt;
  }

  // ---- environment

  Outcome SetEnv(const Info& info) {
    if (info.text.empty() || info.text.find('=') != std::string::npos) {
      return Malformed(Quoted(info.text) + " is no name of a variable");
    }
    ForApps([&](AppSpec& app) { Put(app, info.text, info.value); });
    return std::nullopt;
  }
  Outcome AddEnv(const Info& info) {
    ForApps([&](AppSpec& app) {
      if (Known(app, info.text) == nullptr) Put(app, info.text, info.value);
    });
    return std::nullopt;
  }
  Outcome PrependEnv(const Info& info) { return Join(info, true); }
  Outcome AppendEnv(const Info& info) { return Join(info, false); }

  Outcome Join(const Info& info, bool before) {
    ForApps([&](AppSpec& app) { Extend(app, info, before); });
    return std::nullopt;
  }
  void Extend(AppSpec& app, const Info& info, bool before) {
    std::string* known = Known(app, info.text);
    if (known == nullptr) return Put(app, info.text, info.value);
    const std::string old = known->substr(info.text.size() + 1);
    const std::string separator = info.separator.empty() ? ":" : info.separator;
    Put(app, info.text, before ? info.value + separator + old : old + separator + info.value);
  }
  Outcome UnsetEnv(const Info& info) {
    const auto drop = [&](std::vector<std::string>& env) {
      std::erase_if(env, [&](const std::string& e) { return e.starts_with(info.text + "="); });
    };
    drop(plan_.spec.env);
    ForApps([&](AppSpec& app) { drop(app.env); });
    return std::nullopt;
  }
  std::string* Known(AppSpec& app, const std::string& name) {
    std::string* own = FindEnv(app.env, name);
    return own != nullptr ? own : FindEnv(plan_.spec.env, name);
  }
  void PutEntry(AppSpec& app, const std::string& entry) {
    const size_t equal = entry.find('=');
    if (equal == std::string::npos || equal == 0) return;  // no variable
    Put(app, entry.substr(0, equal), entry.substr(equal + 1));
  }
  void Put(AppSpec& app, const std::string& name, const std::string& value) {
    if (std::string* own = FindEnv(app.env, name)) {
      *own = name + "=" + value;
    } else {
      app.env.push_back(name + "=" + value);
    }
  }

  Outcome Prefix(const Info& info) {
    if (!info.text.starts_with('/')) {
      return Malformed("ompi_prefix: " + Quoted(info.text) + " is no absolute path");
    }
    ForApps([&](AppSpec& app) {
      Extend(app, {"", Info::Type::kEnvar, "PATH", 0, info.text + "/bin", ":"}, true);
      Extend(app, {"", Info::Type::kEnvar, "LD_LIBRARY_PATH", 0, info.text + "/lib", ":"}, true);
    });
    return std::nullopt;
  }

  // ---- the rest

  Outcome StdinTarget(const Info& info) {
    int64_t number = info.number;
    if (info.type == Info::Type::kText) {
      const auto parsed = ParseWhole(info.text);
      if (info.text == "all") {
        number = pmix::kRankWildcard;
      } else if (info.text == "none") {
        number = kRankInvalid;
      } else if (parsed) {
        number = static_cast<int64_t>(*parsed);
      } else {
        return Malformed("ompi_stdin_target: " + Quoted(info.text) +
                         " is no rank; write a rank, all or none");
      }
    }
    if (number == pmix::kRankWildcard) {
      plan_.spec.stdin_rank = kStdinAll;
    } else if (number == kRankInvalid) {
      plan_.spec.stdin_rank = kStdinNone;
    } else if (number < 0 || number >= plan_.spec.TotalRanks()) {
      return Malformed("ompi_stdin_target: there is no rank " + std::to_string(number));
    } else {
      plan_.spec.stdin_rank = static_cast<int32_t>(number);
    }
    return std::nullopt;
  }

  Outcome Preload(const Info& info) {
    const bool wanted = info.type == Info::Type::kText ? !info.text.empty() : info.number != 0;
    const bool elsewhere = std::any_of(plan_.nodes.begin(), plan_.nodes.end(),
                                       [](const JobNode& n) { return n.id != kHeadNode; });
    if (!wanted || !elsewhere) return std::nullopt;
    return Unsupported(Quoted(info.key) +
                       ": files are not brought to other nodes yet; put them where all nodes "
                       "have them");
  }

  Outcome Personality(const Info& info) {
    if (info.text == "ompi") return std::nullopt;
    return Unsupported("personality: " + Quoted(info.text) + " is not there; write ompi");
  }

  Outcome ShowMap(const Info& info) {
    plan_.spec.show_map = info.number != 0;
    return std::nullopt;
  }
  Outcome ShowBindings(const Info& info) {
    plan_.spec.show_bindings = info.number != 0;
    return std::nullopt;
  }
  // ---- who hears of ends, and ends

  Outcome TellEnds(const Info& info) {
    plan_.tells_ends = info.number != 0;
    return std::nullopt;
  }
  Outcome Independent(const Info& info) {
    plan_.independent = info.number != 0;
    return std::nullopt;
  }
  Outcome Attached(const Info& info) {
    plan_.attached = info.number != 0;
    return std::nullopt;
  }

  // Nothing is to be done for it: it is so anyway, or it is libpmix's own business.
  Outcome Nothing(const Info&) { return std::nullopt; }
  // What is off can't hurt.
  Outcome OnlyOff(const Info& info) {
    if (info.type == Info::Type::kNumber && info.number == 0) return std::nullopt;
    return Unsupported("the directive " + Quoted(info.key) + " is not supported");
  }

  const SpawnContext& context_;
  SpawnPlan plan_;
  bool nolocal_ = false;
  AppSpec* app_ = nullptr;  // whose infos are taken; null: the job's
};

using Type = Info::Type;
const std::array<Planner::Key, 38> Planner::kKeys = {{
    {"pmix.host", Type::kText, &Planner::Hosts},
    {"pmix.hostfile", Type::kText, &Planner::Hostfile},
    {"pmix.addhost", Type::kText, &Planner::Hosts},
    {"pmix.addhostfile", Type::kText, &Planner::Hostfile},
    {"pmix.wdir", Type::kText, &Planner::Wdir},
    {"pmix.prefix", Type::kText, &Planner::Prefix},
    {"pmix.mapper", Type::kText, &Planner::Mapper},
    {"pmix.mapby", Type::kText, &Planner::MapBy},
    {"pmix.rankby", Type::kText, &Planner::RankBy},
    {"pmix.bindto", Type::kText, &Planner::BindTo},
    {"pmix.ppr", Type::kText, &Planner::Ppr},
    {"pmix.cpulist", Type::kText, &Planner::CpuList},
    {"pmix.noover", Type::kNumber, &Planner::NoOversubscribe},
    {"pmix.dispmap", Type::kNumber, &Planner::ShowMap},
    {"pmix.repbind", Type::kNumber, &Planner::ShowBindings},
    {"pmix.preloadbin", Type::kNumber, &Planner::Preload},
    {"pmix.preloadfiles", Type::kText, &Planner::Preload},
    {"pmix.nonpmi", Type::kNumber, &Planner::Nothing},
    {"pmix.stdin", Type::kOther, &Planner::StdinTarget},
    {"pmix.pers", Type::kText, &Planner::Personality},
    {"pmix.envar.set", Type::kEnvar, &Planner::SetEnv},
    {"pmix.envar.add", Type::kEnvar, &Planner::AddEnv},
    {"pmix.envar.unset", Type::kText, &Planner::UnsetEnv},
    {"pmix.envar.prepnd", Type::kEnvar, &Planner::PrependEnv},
    {"pmix.envar.appnd", Type::kEnvar, &Planner::AppendEnv},
    {"pmix.setup.env", Type::kNumber, &Planner::Nothing},
    {"pmix.req.client", Type::kNumber, &Planner::Nothing},
    {"pmix.req.tool", Type::kNumber, &Planner::Nothing},
    {"pmix.parent", Type::kOther, &Planner::Nothing},
    {"pmix.spawned", Type::kNumber, &Planner::Nothing},
    {"pmix.notecomp", Type::kNumber, &Planner::OnlyOff},
    {"pmix.noteproc", Type::kNumber, &Planner::TellEnds},
    {"rex.independent", Type::kNumber, &Planner::Independent},
    {"rex.attached", Type::kNumber, &Planner::Attached},
    {"pmix.fwd.stdin", Type::kNumber, &Planner::OnlyOff},
    {"pmix.fwd.stdout", Type::kNumber, &Planner::OnlyOff},
    {"pmix.fwd.stderr", Type::kNumber, &Planner::OnlyOff},
    {"pmix.fwd.stddiag", Type::kNumber, &Planner::OnlyOff},
}};

}  // namespace

std::variant<SpawnPlan, SpawnRefusal> PlanSpawn(const pmix::Spawn& spawn,
                                                const SpawnContext& context) {
  return Planner(context).Run(spawn);
}

int32_t StatusOfSpawnFailure(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::kProgramNotFound:
      return pmix::kErrJobExeNotFound;
    case FailureKind::kProgramNotRunnable:
      return pmix::kErrJobExeNotRunnable;
    case FailureKind::kWdirMissing:
      return pmix::kErrJobWdirNotFound;
    case FailureKind::kNoResources:
      return pmix::kErrOutOfResource;
    case FailureKind::kRefused:
      return pmix::kErrBadParam;
    case FailureKind::kNodeLost:
    case FailureKind::kUserSignal:
    case FailureKind::kTimeout:
      return pmix::kErrUnreach;
    default:
      return pmix::kError;
  }
}

bool IsSpawnFailure(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::kProgramNotFound:
    case FailureKind::kProgramNotRunnable:
    case FailureKind::kWdirMissing:
    case FailureKind::kNoResources:
    case FailureKind::kRefused:
      return true;
    default:
      return false;
  }
}

}  // namespace rex
