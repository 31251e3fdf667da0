// rexlaunch's command line, up to the message that asks the head for the job. Input: u8 number of
// environment entries (modulo 8), then these and the words, each ended by NUL.
#include <algorithm>

#include "launcher/cli/console.h"
#include "launcher/cli/job_request.h"
#include "launcher/cli/parse.h"
#include "sched/policy/policy_words.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr std::string_view kMcaPrefix = "OMPI_MCA_";

// Files that options name: their text is their name.
Result<std::string> ReadName(const std::string& path) { return path; }

void CheckBounds(const CommandLine& line) {
  REX_CHECK(line.help || line.version || !line.apps.empty());
  REX_CHECK(line.apps.size() <= kMaxApps);
  uint64_t total = 0;
  for (const AppLine& app : line.apps) {
    REX_CHECK(!app.argv.empty() && !app.argv[0].empty());
    REX_CHECK(!app.ranks || *app.ranks >= 1);
    const bool counted = app.ranks || app.per_node || !app.hosts.empty() || !app.hostfile.empty() ||
                         line.virtual_nodes.nodes > 0;
    REX_CHECK(counted || line.apps.size() == 1 || line.help || line.version);
    total += app.ranks.value_or(1);
    for (const EnvSetting& setting : app.settings) REX_CHECK(!setting.name.empty());
  }
  REX_CHECK(line.help || line.version || total <= kMaxRanks);
  REX_CHECK(line.stdin_rank >= kStdinNone && line.stdin_rank < static_cast<int32_t>(kMaxRanks));
  constexpr std::chrono::milliseconds kLongest(0x7fffffff);
  REX_CHECK(line.grace.count() >= 0 && line.grace <= kLongest);
  REX_CHECK(line.timeout.count() >= 0 && line.timeout <= kLongest);
  constexpr std::chrono::seconds kLongestBound(86400);
  REX_CHECK(line.start_timeout.count() >= 1 && line.start_timeout <= kLongestBound);
  REX_CHECK(line.node_timeout.count() >= 1 && line.node_timeout <= kLongestBound);
  REX_CHECK(line.max_modex_bytes >= 1);
  REX_CHECK(line.prefix.empty() || line.prefix[0] == '/');
  REX_CHECK(line.ssh.empty() || !line.ssh[0].empty());
  REX_CHECK(line.virtual_nodes.nodes <= kMaxJobNodes && line.virtual_nodes.slots <= kMaxRanks);
  REX_CHECK(line.timer_slack.count() >= 0 && line.timer_slack <= std::chrono::seconds(1));
}

std::string Decimal(int64_t value, int64_t unit) {
  const std::string fraction = std::to_string(unit + value % unit).substr(1);
  return std::to_string(value / unit) + "." + fraction;
}

void AddApp(const AppLine& app, std::vector<std::string>* words) {
  if (app.ranks) words->insert(words->end(), {"-n", std::to_string(*app.ranks)});
  if (app.per_node) words->insert(words->end(), {"-N", std::to_string(*app.per_node)});
  const bool hosts = !app.hosts.empty() || !app.hostfile.empty();
  if (!app.ranks && hosts) words->insert(words->end(), {"--host", "n1"});
  if (!app.wdir.empty()) words->insert(words->end(), {"--wdir", app.wdir});
  for (const EnvSetting& setting : app.settings) {
    words->insert(words->end(), {"-x", setting.name + "=" + setting.value});
  }
  if (app.place.map == MapBy::kPpr) {
    words->insert(words->end(), {"--map-by", MapName(app.place)});
  }
  words->push_back("--");
  words->insert(words->end(), app.argv.begin(), app.argv.end());
}

// Words that mean `line`, written another way than most people would.
std::vector<std::string> Words(const CommandLine& line) {
  std::vector<std::string> words = {"--grace",
                                    Decimal(line.grace.count(), 1000),
                                    "--timeout",
                                    Decimal(line.timeout.count(), 1000),
                                    "--timer-slack",
                                    Decimal(line.timer_slack.count(), 1000),
                                    "--stdout",
                                    line.stdout_pipe ? "pipe" : "pty",
                                    "--stdin",
                                    line.stdin_rank == kStdinAll ? "all"
                                    : line.stdin_rank == kStdinNone
                                        ? "none"
                                        : std::to_string(line.stdin_rank)};
  constexpr const char* kTrees[] = {"auto", "flat", "two-level"};
  constexpr const char* kModes[] = {"all", "mpirun", "none"};
  words.insert(words.end(), {"--start-timeout", std::to_string(line.start_timeout.count()),
                             "--node-timeout", std::to_string(line.node_timeout.count()),
                             "--max-modex", std::to_string(line.max_modex_bytes), "--tree",
                             kTrees[static_cast<size_t>(line.tree)], "--export",
                             kModes[static_cast<size_t>(line.export_mode)]});
  if (line.virtual_nodes.nodes > 0) {
    words.insert(words.end(), {"--virtual-nodes", std::to_string(line.virtual_nodes.nodes)});
    if (line.virtual_nodes.slots > 0) {
      words.back() += ":" + std::to_string(line.virtual_nodes.slots);
    }
  }
  if (line.nolocal) words.push_back("--nolocal");
  if (line.oversubscribe) words.push_back("--oversubscribe");
  if (line.report_state) words.push_back("--report-state-on-timeout");
  for (const EnvSetting& setting : line.settings) {
    REX_CHECK(setting.name.starts_with(kMcaPrefix));
    words.insert(words.end(), {"--gmca", setting.name.substr(kMcaPrefix.size()), setting.value});
  }
  for (size_t i = 0; i < line.apps.size(); ++i) {
    if (i > 0) words.push_back(":");
    AddApp(line.apps[i], &words);
  }
  return words;
}

void CheckSame(const CommandLine& a, const CommandLine& b) {
  REX_CHECK(a.apps.size() == b.apps.size() && a.settings == b.settings);
  for (size_t i = 0; i < a.apps.size(); ++i) {
    REX_CHECK(a.apps[i].ranks == b.apps[i].ranks && a.apps[i].wdir == b.apps[i].wdir);
    REX_CHECK(a.apps[i].settings == b.apps[i].settings && a.apps[i].argv == b.apps[i].argv);
  }
  REX_CHECK(a.stdin_rank == b.stdin_rank && a.stdout_pipe == b.stdout_pipe);
  REX_CHECK(a.oversubscribe == b.oversubscribe && a.report_state == b.report_state);
  REX_CHECK(a.tree == b.tree && a.export_mode == b.export_mode);
  REX_CHECK(a.start_timeout == b.start_timeout && a.node_timeout == b.node_timeout);
  REX_CHECK(a.max_modex_bytes == b.max_modex_bytes && a.nolocal == b.nolocal);
  REX_CHECK(a.virtual_nodes == b.virtual_nodes);
  REX_CHECK(a.grace == b.grace && a.timeout == b.timeout && a.timer_slack == b.timer_slack);
}

// Whatever can be typed can be sent: no byte of a word or of the environment is refused or lost.
void CheckRequest(const CommandLine& line, const Environment& env) {
  const Result<JobSpec> job = MakeJobSpec(line, {.cwd = "/here", .cores = 2}, env);
  if (!job) {
    REX_CHECK(job.error().code == Errc::kInvalid);
    return;
  }
  const Result<JobSpec> arrived = FromWire<JobSpec>(ToWire(*job));
  REX_CHECK(arrived.has_value());
  REX_CHECK(arrived->env == job->env && arrived->cwd == job->cwd);
  REX_CHECK(arrived->dvm.nodes.size() == job->dvm.nodes.size());
  REX_CHECK(arrived->dvm.ssh == job->dvm.ssh && arrived->dvm.rexd == job->dvm.rexd);
  REX_CHECK(arrived->apps.size() == line.apps.size());
  for (size_t i = 0; i < line.apps.size(); ++i) {
    REX_CHECK(arrived->apps[i].argv == line.apps[i].argv);
    REX_CHECK(arrived->apps[i].env == job->apps[i].env);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t variables = in.Byte() % 8;
  std::vector<std::string> words = fuzz::SplitAtNul(in.Rest());
  const auto first_word = words.begin() + static_cast<ptrdiff_t>(std::min(variables, words.size()));
  const Environment env(words.begin(), first_word);
  words.erase(words.begin(), first_word);

  const Result<CommandLine> line = ParseCommandLine(words, env, ReadName);
  if (!line) {
    REX_CHECK(line.error().code == Errc::kInvalid && !line.error().text.empty());
    const std::string shown = ConsoleLine(line.error().text);
    REX_CHECK(shown.find('\n') == shown.size() - 1);
    return 0;
  }
  CheckBounds(*line);
  if (line->help || line->version) return 0;
  const Result<CommandLine> again = ParseCommandLine(Words(*line), {}, ReadName);
  REX_CHECK(again.has_value());
  CheckSame(*line, *again);
  CheckRequest(*line, env);
  return 0;
}

}  // namespace rex
