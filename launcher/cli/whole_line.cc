#include "launcher/cli/whole_line.h"

#include <algorithm>

#include "launcher/cli/option_use.h"
#include "launcher/values/number.h"

namespace rex {

// What the options for places say together.
Status CheckPlaces(const AppLine& app, bool per_socket) {
  const bool ppr = app.place.map == MapBy::kPpr;
  if (per_socket && !ppr) {
    return BadWord("--npersocket and --map-by exclude each other; leave one out");
  }
  if (app.place.map == MapBy::kSeq) return Ok{};
  for (const RankPlace& place : app.file_sequence) {
    if (place.cpus.empty()) continue;
    return BadWord("--hostfile, line " + std::to_string(place.line) + ": a list of cpus (" +
                   Quoted(place.cpus) + ") is only for --map-by seq; write slots=N");
  }
  return Ok{};
}

namespace {

// Every program's number of ranks is known, and together they are not too many.
Status CheckRanks(const CommandLine& line) {
  uint64_t total = 0;
  for (size_t i = 0; i < line.apps.size(); ++i) {
    const AppLine& app = line.apps[i];
    const bool counted = app.ranks || app.per_node || !app.hosts.empty() || !app.hostfile.empty() ||
                         line.virtual_nodes.nodes > 0 || app.place.map == MapBy::kPpr;
    if (!counted && line.apps.size() > 1) {
      return BadWord("program " + std::to_string(i + 1) + " (" + Quoted(app.argv[0]) +
                     ") has no -n; with several programs each needs its number of ranks, as in "
                     "'rexlaunch -n 2 a : -n 1 b'");
    }
    total += app.ranks.value_or(1);
  }
  if (total <= kMaxRanks) return Ok{};
  return BadWord("the programs have " + std::to_string(total) +
                 " ranks together; a job has at most " + std::to_string(kMaxRanks));
}

Status CheckVirtual(const CommandLine& line) {
  if (line.virtual_nodes.nodes == 0) return Ok{};
  const bool hosts = std::any_of(line.apps.begin(), line.apps.end(), [](const AppLine& app) {
    return !app.hosts.empty() || !app.hostfile.empty();
  });
  if (!hosts) return Ok{};
  return BadWord("--virtual-nodes and --host or --hostfile exclude each other; leave one out");
}

Status CheckCluster(const CommandLine& line) {
  if (line.cluster.nodes.empty()) return Ok{};
  if (!line.do_not_launch) {
    return BadWord("--nodes-json describes nodes that need not be there; add --do-not-launch");
  }
  const bool named = std::any_of(line.apps.begin(), line.apps.end(), [](const AppLine& app) {
    return !app.hosts.empty() || (!app.hostfile.empty() && app.place.map != MapBy::kRankfile);
  });
  if (!named && line.virtual_nodes.nodes == 0) return Ok{};
  return BadWord(
      "--nodes-json and --host, --hostfile or --virtual-nodes exclude each other; leave "
      "one out");
}

// Without other nodes a rank file is the hostfile, too.
void TakeHostsOfRankfile(CommandLine* line) {
  const bool named = std::any_of(line->apps.begin(), line->apps.end(), [](const AppLine& app) {
    return !app.hosts.empty() || !app.hostfile.empty();
  });
  if (named || line->virtual_nodes.nodes > 0 || !line->cluster.nodes.empty()) return;
  for (const RankPlace& place : line->rankfile) {
    if (place.host.kind != HostKind::kName) continue;
    for (AppLine& app : line->apps) AppendHosts({place.host}, &app.hostfile);
  }
}

// Rank files say all that the options for mapping say.
Status CheckRankfile(CommandLine* line) {
  for (AppLine& app : line->apps) {
    const bool wanted = app.place.map == MapBy::kRankfile;
    if (line->rankfile.empty()) {
      if (wanted) return BadWord("--map-by rankfile needs --rankfile FILE");
      continue;
    }
    if (!wanted && app.place.map != MapBy::kUnset) {
      return BadWord("--rankfile and --map-by exclude each other; leave one out");
    }
    if (app.place.cpus_per_rank > 0) {
      return BadWord("--rankfile says which cpus each rank has; leave out PE and --cpus-per-rank");
    }
    app.place.map = MapBy::kRankfile;
    app.place.bind = BindTo::kNone;
    app.place.cpu_list.clear();
  }
  TakeHostsOfRankfile(line);
  return Ok{};
}

Status TakeTimeoutVariable(const Environment& env, CommandLine* line) {
  const auto text = FindVariable(env, "MPIEXEC_TIMEOUT");
  if (!text || text->empty()) return Ok{};
  const auto parsed = ParseTime(*text, std::chrono::seconds(1));
  if (!parsed) {
    return BadWord("the environment variable MPIEXEC_TIMEOUT is " + Quoted(*text) +
                   ", which is not a time in seconds; correct or unset it");
  }
  line->timeout = std::chrono::ceil<std::chrono::milliseconds>(*parsed);
  return Ok{};
}

}  // namespace

Status CheckWholeLine(const Environment& env, bool timeout_given, CommandLine* line) {
  if (line->json && !line->check && !line->display.allocation) {
    return BadWord(
        "option '--json' is for --check and --display allocation; write 'rexlaunch --check "
        "--json'");
  }
  if (line->wait.count() > 0 && line->max_load == kNoMaxLoad) {
    return BadWord("--wait and --max-wait wait for nodes below a load; add --max-load X");
  }
  if (auto done = CheckRanks(*line); !done) return done;
  // As with mpirun 4.1, of whose two variables this is the first.
  if (FindVariable(env, "OMPI_ALLOW_RUN_AS_ROOT") == "1") line->allow_root = true;
  if (line->oversubscribe && line->nooversubscribe) {
    return BadWord("--oversubscribe and --nooversubscribe exclude each other; leave one out");
  }
  if (auto done = CheckVirtual(*line); !done) return done;
  if (auto done = CheckCluster(*line); !done) return done;
  if (auto done = CheckRankfile(line); !done) return done;
  return timeout_given ? Status(Ok{}) : TakeTimeoutVariable(env, line);
}

}  // namespace rex
