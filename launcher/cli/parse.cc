#include "launcher/cli/parse.h"

#include <algorithm>

#include "launcher/cli/mpirun_options.h"
#include "launcher/cli/option_table.h"
#include "launcher/cli/option_use.h"
#include "launcher/cli/suggest.h"
#include "launcher/cli/whole_line.h"
#include "launcher/values/number.h"
#include "launcher/wire/messages.h"
#include "sched/policy/policy_words.h"

namespace rex {

namespace {

constexpr std::chrono::seconds kUsualWait{600};  // of --wait

struct SplitWord {
  std::string name;  // without dashes
  std::optional<std::string> value;
};

SplitWord SplitOption(std::string_view word) {
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0) return {std::string(word), std::nullopt};
  return {std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))};
}

class Parser {
 public:
  Parser(std::span<const std::string> words, const Environment& env, const FileReader& read_file)
      : words_(words.begin(), words.end()), env_(env), read_file_(read_file) {}

  Result<CommandLine> Run() {
    while (at_ < words_.size()) {
      const std::string word = words_[at_];
      const bool first_word_of_app = app_.argv.empty();
      Status done = Ok{};
      if (word == ":") {
        done = EndApp();
      } else if (first_word_of_app && !options_over_ && word.size() > 1 && word[0] == '-') {
        done = TakeOption(word);
      } else {
        done = TakeProgramWord(word);
      }
      if (!done) return done.error();
      if (line_.help || line_.version || line_.check_openmpi) return line_;
      ++at_;
    }
    if (auto done = EndApp(); !done) return done.error();
    if (auto done = CheckWholeLine(env_, timeout_given_, &line_); !done) return done.error();
    return std::move(line_);
  }

 private:
  Status TakeProgramWord(const std::string& word) {
    if (app_.argv.empty() && word.empty()) {
      return BadWord("the name of the program is empty (" + WordNumber(at_) +
                     "); is a shell variable unset?");
    }
    app_.argv.push_back(word);
    return Ok{};
  }

  Status EndApp() {
    const bool last = at_ == words_.size();
    if (app_.argv.empty() && line_.check && last) app_.argv = {"true"};
    if (app_.argv.empty()) return NoProgram(last);
    if (line_.apps.size() == kMaxApps) {
      return BadWord("more than " + std::to_string(kMaxApps) + " programs, separated by ':'");
    }
    if (Status checked = CheckPlaces(app_, per_socket_); !checked) return checked;
    line_.apps.push_back(std::move(app_));
    app_ = AppLine{};
    app_.place = line_.apps.front().place;
    own_map_ = false;
    per_socket_ = false;
    options_over_ = false;
    return Ok{};
  }

  Error NoProgram(bool last) const {
    if (last && line_.apps.empty()) {
      return BadWord(
          "no program given; write for example 'rexlaunch -n 4 ./app' ('rexlaunch --help' "
          "lists the options)");
    }
    const std::string where = last ? "after the last ':'" : "before ':' (" + WordNumber(at_) + ")";
    return BadWord("there is no program " + where +
                   "; write 'rexlaunch -n 2 a : -n 1 b', or remove the ':'");
  }

  Status TakeOption(const std::string& word) {
    if (word == "--") {
      options_over_ = true;
      return Ok{};
    }
    const SplitWord split = SplitOption(word);
    const Option* option = FindOption(split.name);
    if (option == nullptr) return TakeMpirunOption(word, split);
    OptionUse use{*option, word.substr(0, word.size() - ValueBytes(split)), at_, {}};
    if (option->id == OptionId::kCheck && split.value == "json") {
      line_.check = line_.json = true;
      return Ok{};
    }
    if (split.value) {
      if (option->arity != 1) return ValueNotWanted(use);
      use.values.push_back(*split.value);
    }
    while (use.values.size() < option->arity) {
      if (at_ + 1 >= words_.size() || words_[at_ + 1] == ":") return ValueMissing(use);
      if (option->arity == 1 && IsOption(words_[at_ + 1])) return OptionAsValue(use);
      use.values.push_back(words_[++at_]);
    }
    return Apply(use);
  }

  // One that we know: '-1' or '-' is a value like any other.
  static bool IsOption(const std::string& word) {
    return word.size() > 1 && word[0] == '-' && FindOption(SplitOption(word).name) != nullptr;
  }

  // Who forgot the value would otherwise be told of a program named as the next option's.
  Error OptionAsValue(const OptionUse& use) const {
    const std::string& next = words_[at_ + 1];
    return BadWord(use.Where() + " needs a value, and " + Quoted(next) + " is an option: write " +
                   use.typed + " " + std::string(use.option.values) + ", or " + use.typed + "=" +
                   next + " if that is the value");
  }

  static size_t ValueBytes(const SplitWord& split) {
    return split.value ? split.value->size() + 1 : 0;
  }

  // What mpirun has and rexlaunch has not: ignored where that changes nothing, else refused.
  Status TakeMpirunOption(const std::string& word, const SplitWord& split) {
    const MpirunOption* option = FindMpirunOption(split.name);
    if (option == nullptr) return UnknownOption(word, split.name);
    if (option->support == MpirunSupport::kIgnored) {
      if (option->arity == 1 && !split.value) ++at_;
      return Ok{};
    }
    std::string text =
        "option " + Quoted(word) + " (" + WordNumber(at_) + "): mpirun has it, rexlaunch ";
    text += option->support == MpirunSupport::kNotYet ? "does not have it yet" : "does not";
    if (!option->instead.empty()) text += "; " + std::string(option->instead);
    return BadWord(text);
  }

  Error UnknownOption(const std::string& word, const std::string& name) const {
    std::vector<std::string_view> known;
    for (const Option& option : OptionTable()) {
      known.insert(known.end(), option.spellings.begin(), option.spellings.end());
    }
    const std::string nearest = NearestWord(name, known);
    return BadWord("unknown option " + Quoted(word) + " (" + WordNumber(at_) + ")" +
                   (nearest.empty() ? "" : "; did you mean " + Quoted(WithDashes(nearest)) + "?") +
                   (nearest.empty() ? "; " : " ") + "'rexlaunch --help' lists all options");
  }

  static Error ValueMissing(const OptionUse& use) {
    return BadWord(use.Where() + " needs " + (use.option.arity == 1 ? "a value" : "two values") +
                   ": write " + use.typed + " " + std::string(use.option.values));
  }

  static Error ValueNotWanted(const OptionUse& use) {
    const bool two = use.option.arity == 2;
    return BadWord(use.Where() + (two ? " has its values in words of their own: write " +
                                            use.typed + " " + std::string(use.option.values)
                                      : " takes no value: write only " + use.typed));
  }

  Status Apply(const OptionUse& use) {
    switch (use.option.id) {
      case OptionId::kRanks:
        return TakeCount(use, &app_.ranks);
      case OptionId::kPerNode:
        return TakeCount(use, &app_.per_node);
      case OptionId::kExport:
        return TakeExport(use);
      case OptionId::kPath:
        return TakeText(use, "a directory", &app_.search_path);
      case OptionId::kHost:
        return TakeHostList(use);
      case OptionId::kHostfile:
        return TakeHostfile(use);
      case OptionId::kTune:
        return TakeTune(use);
      case OptionId::kAppFile:
        return TakeAppFile(use);
      case OptionId::kOutput:
        return Explain(use, TakeOutput(use.values[0], &line_.output));
      case OptionId::kOutputFilename:
        return Explain(use, TakeOutputFilename(use.values[0], &line_.output));
      case OptionId::kDisplay:
        return Explain(use, TakeDisplay(use.values[0], &line_.display));
      case OptionId::kReportPid:
        return TakeText(use, "a file", &line_.report_pid);
      case OptionId::kWdir:
        return TakeText(use, "a directory", &app_.wdir);
      case OptionId::kMca:
        return TakeMca(use, &app_.settings);
      case OptionId::kGlobalMca:
        return TakeMca(use, &line_.settings);
      case OptionId::kStdin:
        return TakeStdin(use, &line_.stdin_rank);
      case OptionId::kStdout:
        return TakeChoice<bool>(use, {{"pty", false}, {"pipe", true}}, "'pty' or 'pipe'",
                                &line_.stdout_pipe);
      case OptionId::kGrace:
        return TakeSeconds(use, &line_.grace);
      case OptionId::kReportAfter:
        return TakeSeconds(use, &line_.report_after.emplace(0));
      case OptionId::kTimeout:
        timeout_given_ = true;
        return TakeSeconds(use, &line_.timeout);
      case OptionId::kTimerSlack:
        return TakeTimerSlack(use, &line_.timer_slack);
      case OptionId::kTemplate:
        return TakeChoice<bool>(use, {{"auto", false}, {"none", true}}, "'auto' or 'none'",
                                &line_.no_template);
      case OptionId::kTimeline:
        return TakeText(use, "a file", &line_.timeline);
      default:
        return ApplyForPlaces(use);
    }
  }

  Status ApplyForPlaces(const OptionUse& use) {
    switch (use.option.id) {
      case OptionId::kMapBy:
        return TakeMap(use, use.values[0]);
      case OptionId::kByCore:
        return TakeMap(use, "core");
      case OptionId::kBySlot:
        return TakeMap(use, "slot");
      case OptionId::kByNode:
        return TakeMap(use, "node");
      case OptionId::kPpr:
        return TakeMap(use, "ppr:" + use.values[0]);
      case OptionId::kPerSocket:
        return TakePerSocket(use);
      case OptionId::kRankBy:
        return Explain(use, TakeRankBy(use.values[0], &app_.place));
      case OptionId::kBindTo:
        return Explain(use, TakeBindTo(use.values[0], &app_.place));
      case OptionId::kBindToCore:
        return Explain(use, TakeBindTo("core", &app_.place));
      case OptionId::kBindToSocket:
        return Explain(use, TakeBindTo("socket", &app_.place));
      case OptionId::kCpuSet:
        return Explain(use, TakeCpuList(use.values[0], &app_.place));
      case OptionId::kCpusPerRank:
        return TakeMap(use, ":PE=" + use.values[0]);
      case OptionId::kGpusPerRank:
        return TakeGpus(use, &app_.gpus_per_rank);
      case OptionId::kLeases:
        return TakeLeases(use, &line_.leases.emplace());
      case OptionId::kRankfile:
        return TakeRankfile(use);
      case OptionId::kNodesJson:
        return TakeNodesJson(use);
      case OptionId::kMaxLoad:
        return TakeMaxLoad(use, &line_.max_load);
      case OptionId::kWait:
        if (line_.wait.count() == 0) line_.wait = kUsualWait;
        return Ok{};
      case OptionId::kMaxWait:
        return TakeBound(use, &line_.wait);
      default:
        return ApplyForNodes(use);
    }
  }

  Status ApplyForNodes(const OptionUse& use) {
    switch (use.option.id) {
      case OptionId::kAllocation:
        return TakeAllocation(use);
      case OptionId::kDefaultHostfile:
        return TakeText(use, "a file", &line_.default_hostfile);
      case OptionId::kMaxVmSize:
        return TakeMaxVmSize(use, &line_.max_nodes);
      case OptionId::kVirtualNodes:
        return Explain(use, TakeVirtualNodes(use.values[0], &line_.virtual_nodes));
      case OptionId::kDvm:
        return TakeText(use, "a DVM", &line_.dvm);
      case OptionId::kSsh:
        return TakeSsh(use, &line_.ssh);
      case OptionId::kPrefix:
        return TakePrefix(use, &line_.prefix);
      case OptionId::kTree:
        return TakeTree(use);
      case OptionId::kShipAgent:
        return TakeShipAgent(use);
      case OptionId::kStage:
      case OptionId::kCreation:
      case OptionId::kImageTransport:
      case OptionId::kStore:
      case OptionId::kStoreSize:
      case OptionId::kImageHold:
      case OptionId::kPreloadFiles:
        return TakeStage(use, &line_.stage);
      case OptionId::kStartTimeout:
        return TakeBound(use, &line_.start_timeout);
      case OptionId::kAllowMissingNodes:
        line_.allow_missing_nodes = true;
        return Ok{};
      case OptionId::kNodeTimeout:
        return TakeBound(use, &line_.node_timeout);
      case OptionId::kMaxModex:
        return TakeMaxModex(use, &line_.max_modex_bytes);
      case OptionId::kExportMode:
        return TakeExportMode(use);
      default:
        return TakeSwitch(use.option.id);
    }
  }

  Status TakeSwitch(OptionId id) {
    switch (id) {
      case OptionId::kOnePerNode:
        app_.per_node = 1;
        break;
      case OptionId::kHwthreadCpus:
        app_.place.hwthread_cpus = true;
        break;
      case OptionId::kHelp:
        line_.help = true;
        if (at_ + 1 < words_.size()) line_.help_topic = words_[at_ + 1];
        break;
      case OptionId::kAllowRoot:
        line_.allow_root = true;
        break;
      default:
        if (bool* flag = FlagOf(id)) *flag = true;
    }
    return Ok{};
  }

  // Where a switch without a value is kept; nullptr: nowhere.
  bool* FlagOf(OptionId id) {
    switch (id) {
      case OptionId::kOversubscribe:
        return &line_.oversubscribe;
      case OptionId::kNoOversubscribe:
        return &line_.nooversubscribe;
      case OptionId::kNoLocal:
        return &line_.nolocal;
      case OptionId::kReportState:
        return &line_.report_state;
      case OptionId::kStackTraces:
        return &line_.stack_traces;
      case OptionId::kTagOutput:
        return &line_.output.tag;
      case OptionId::kTimestampOutput:
        return &line_.output.timestamp;
      case OptionId::kMergeStderr:
        return &line_.output.merge;
      case OptionId::kDisplayMap:
        return &line_.display.map;
      case OptionId::kDisplayAllocation:
        return &line_.display.allocation;
      case OptionId::kDisplayTopo:
        return &line_.display.topology;
      case OptionId::kReportBindings:
        return &line_.display.bindings;
      case OptionId::kCheck:
        return &line_.check;
      case OptionId::kJson:
        return &line_.json;
      case OptionId::kDoNotLaunch:
        return &line_.do_not_launch;
      case OptionId::kSessionDir:
        return &line_.session_dir;
      case OptionId::kQuiet:
        return &line_.quiet;
      case OptionId::kVerbose:
        return &line_.verbose;
      case OptionId::kVersion:
        return &line_.version;
      case OptionId::kCheckOpenMpi:
        return &line_.check_openmpi;
      default:
        return nullptr;
    }
  }

  static Status TakeHosts(const OptionUse& use, Result<std::vector<HostEntry>> hosts,
                          std::vector<HostEntry>* all) {
    if (!hosts) return BadWord(use.Where() + ": " + hosts.error().text);
    AppendHosts(*std::move(hosts), all);
    return Ok{};
  }

  Status TakeHostList(const OptionUse& use) {
    const std::vector<RankPlace> sequence = SequenceOfHosts(use.values[0]);
    app_.host_sequence.insert(app_.host_sequence.end(), sequence.begin(), sequence.end());
    return TakeHosts(use, ParseHosts(use.values[0]), &app_.hosts);
  }

  Status TakeHostfile(const OptionUse& use) {
    const auto text = read_file_(use.values[0]);
    if (!text) return BadWord(use.Where() + ": " + text.error().text);
    std::string hostfile;  // without the lists of cpus that only --map-by seq reads
    const std::vector<RankPlace> sequence = ParseSequence(*text, &hostfile);
    app_.file_sequence.insert(app_.file_sequence.end(), sequence.begin(), sequence.end());
    return TakeHosts(use, ParseHostfile(hostfile, use.values[0]), &app_.hostfile);
  }

  Status TakeRankfile(const OptionUse& use) {
    const auto text = read_file_(use.values[0]);
    if (!text) return BadWord(use.Where() + ": " + text.error().text);
    auto places = ParseRankfile(*text, use.values[0]);
    if (!places) return BadWord(use.Where() + ": " + places.error().text);
    line_.rankfile = *std::move(places);
    return Ok{};
  }

  Status TakeNodesJson(const OptionUse& use) {
    const auto text = read_file_(use.values[0]);
    if (!text) return BadWord(use.Where() + ": " + text.error().text);
    auto cluster = ParseDescribedCluster(*text, use.values[0], read_file_);
    if (!cluster) return BadWord(use.Where() + ": " + cluster.error().text);
    line_.cluster = *std::move(cluster);
    return Ok{};
  }

  Status TakeAllocation(const OptionUse& use) {
    const std::string& word = use.values[0];
    line_.managers.reset();
    if (word == "auto") return Ok{};
    ManagerChoice choice{.allowed = {}};
    if (word != "none") {
      const auto manager = FindManager(word);
      if (!manager) return UnknownManager(use);
      choice.allowed.set(static_cast<size_t>(*manager));
      choice.required = true;
    }
    line_.managers = choice;
    return Ok{};
  }

  static Error UnknownManager(const OptionUse& use) {
    std::string known;
    for (size_t i = 0; i < kManagers; ++i) {
      known += ", '" + std::string(ManagerWord(static_cast<Manager>(i))) + "'";
    }
    return BadWord(use.Where() + ": " + Quoted(use.values[0]) +
                   " is not known; write 'auto', 'none' or a resource manager's name" + known);
  }

  // Before what the command line says: that comes after and wins.
  Status TakeTune(const OptionUse& use) {
    for (size_t from = 0; from <= use.values[0].size();) {
      const size_t comma = std::min(use.values[0].find(',', from), use.values[0].size());
      const std::string file = use.values[0].substr(from, comma - from);
      from = comma + 1;
      const auto text = read_file_(file);
      if (!text) return BadWord(use.Where() + ": " + text.error().text);
      const auto settings = ParseParameterFile(*text, file, env_);
      if (!settings) return BadWord(use.Where() + ": " + settings.error().text);
      app_.settings.insert(app_.settings.begin(), settings->begin(), settings->end());
    }
    return Ok{};
  }

  // The file's words take the place of the rest of the line.
  Status TakeAppFile(const OptionUse& use) {
    if (app_file_used_)
      return BadWord(use.Where() + ": an application file cannot name another one");
    const auto text = read_file_(use.values[0]);
    if (!text) return BadWord(use.Where() + ": " + text.error().text);
    auto words = ParseAppFile(*text, use.values[0]);
    if (!words) return BadWord(use.Where() + ": " + words.error().text);
    if (at_ + 1 < words_.size()) {
      line_.warnings.push_back(use.Where() + ": what stands after it is not used");
    }
    words_.resize(at_ + 1);
    words_.insert(words_.end(), words->begin(), words->end());
    app_file_used_ = true;
    return Ok{};
  }

  // The first mapping of a later program replaces what the first program's would have been.
  Status TakeMap(const OptionUse& use, const std::string& text) {
    if (!line_.apps.empty() && !own_map_) {
      PlacePolicy fresh;
      fresh.hwthread_cpus = app_.place.hwthread_cpus;
      fresh.bind = app_.place.bind;
      fresh.bind_object = app_.place.bind_object;
      fresh.overload = app_.place.overload;
      fresh.ordered = app_.place.ordered;
      fresh.cpu_list = app_.place.cpu_list;
      app_.place = fresh;
    }
    own_map_ = true;
    MapModifiers modifiers;
    const bool only_pe = use.option.id == OptionId::kCpusPerRank && app_.place.map == MapBy::kUnset;
    const Status taken = TakeMapBy(text, &app_.place, &modifiers);
    // --cpus-per-rank leaves the mapping to its own default.
    if (only_pe && taken) {
      app_.place.map = MapBy::kUnset;
      app_.place.map_is_default = false;
    }
    line_.oversubscribe = line_.oversubscribe || modifiers.oversubscribe;
    line_.nooversubscribe = line_.nooversubscribe || modifiers.nooversubscribe;
    line_.nolocal = line_.nolocal || modifiers.nolocal;
    return Explain(use, taken);
  }

  Status TakePerSocket(const OptionUse& use) {
    if (app_.place.map != MapBy::kUnset) {
      return BadWord(use.Where() +
                     ": it is a mapping of its own; leave out --map-by, or write "
                     "--map-by ppr:" +
                     use.values[0] + ":socket");
    }
    per_socket_ = true;
    return TakeMap(use, "ppr:" + use.values[0] + ":socket");
  }

  Status TakeTree(const OptionUse& use) {
    return TakeChoice<TreeRequest>(use,
                                   {{"auto", TreeRequest::kAuto},
                                    {"flat", TreeRequest::kFlat},
                                    {"two-level", TreeRequest::kTwoLevel}},
                                   "'auto', 'flat' or 'two-level'", &line_.tree);
  }

  Status TakeShipAgent(const OptionUse& use) {
    return TakeChoice<ShipRequest>(use,
                                   {{"auto", ShipRequest::kAuto},
                                    {"always", ShipRequest::kAlways},
                                    {"never", ShipRequest::kNever}},
                                   "'auto', 'always' or 'never'", &line_.ship);
  }

  Status TakeExportMode(const OptionUse& use) {
    return TakeChoice<ExportMode>(
        use,
        {{"all", ExportMode::kAll}, {"mpirun", ExportMode::kMpirun}, {"none", ExportMode::kNone}},
        "'all', 'mpirun' or 'none' (a variable goes by -x)", &line_.export_mode);
  }

  Status TakeExport(const OptionUse& use) {
    const std::string& word = use.values[0];
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (name.empty()) {
      return BadWord(use.Where() + ": " + Quoted(word) +
                     " has no variable's name; write -x NAME or -x NAME=VALUE");
    }
    if (equals != std::string::npos) {
      app_.settings.push_back({name, word.substr(equals + 1)});
      return Ok{};
    }
    if (name.ends_with('*')) return TakeExportPattern(use, name);
    if (const auto value = FindVariable(env_, name)) {
      app_.settings.push_back({name, std::string(*value)});
    } else {
      line_.warnings.push_back(use.Where() + ": the environment variable " + Quoted(name) +
                               " is not set here, so the ranks do not get it");
    }
    return Ok{};
  }

  // -x 'NAME*': every variable that begins so.
  Status TakeExportPattern(const OptionUse& use, const std::string& pattern) {
    const std::string_view prefix = std::string_view(pattern).substr(0, pattern.size() - 1);
    bool any = false;
    for (const std::string& entry : env_) {
      const size_t equals = entry.find('=');
      if (equals == std::string::npos || !entry.starts_with(prefix) || equals < prefix.size())
        continue;
      app_.settings.push_back({entry.substr(0, equals), entry.substr(equals + 1)});
      any = true;
    }
    if (!any) {
      line_.warnings.push_back(use.Where() + ": no environment variable matches " +
                               Quoted(pattern));
    }
    return Ok{};
  }

  std::vector<std::string> words_;
  const Environment& env_;
  const FileReader& read_file_;
  size_t at_ = 0;
  bool options_over_ = false;
  bool timeout_given_ = false;
  bool app_file_used_ = false;
  bool own_map_ = false;     // the present program has a mapping of its own
  bool per_socket_ = false;  // by --npersocket
  AppLine app_;
  CommandLine line_;
};

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const std::string> words, const Environment& env,
                                     const FileReader& read_file) {
  return Parser(words, env, read_file).Run();
}

}  // namespace rex
