#include "launcher/cli/dvm/ctl_line.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

#include "launcher/base/dvm_place.h"
#include "launcher/cli/option_table.h"
#include "launcher/values/number.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

namespace {

constexpr int kMaxSignal = 64;

struct Verb {
  std::string_view word;
  CtlCommand command;
};
constexpr Verb kVerbs[] = {
    {"help", CtlCommand::kHelp}, {"version", CtlCommand::kVersion}, {"start", CtlCommand::kStart},
    {"stop", CtlCommand::kStop}, {"status", CtlCommand::kStatus},   {"list", CtlCommand::kList},
    {"jobs", CtlCommand::kJobs}, {"ps", CtlCommand::kPs},           {"kill", CtlCommand::kKill},
};

// Of rexlaunch's options, those that name nodes or say how these are started.
bool IsNodeOption(OptionId id) {
  switch (id) {
    case OptionId::kHost:
    case OptionId::kHostfile:
    case OptionId::kDefaultHostfile:
    case OptionId::kAllocation:
    case OptionId::kMaxVmSize:
    case OptionId::kNoLocal:
    case OptionId::kVirtualNodes:
    case OptionId::kSsh:
    case OptionId::kPrefix:
    case OptionId::kTree:
    case OptionId::kShipAgent:
    case OptionId::kStartTimeout:
    case OptionId::kAllowMissingNodes:
    case OptionId::kNodeTimeout:
    case OptionId::kMaxModex:
    case OptionId::kMca:
    case OptionId::kVerbose:
    case OptionId::kAllowRoot:
      return true;
    default:
      return false;
  }
}

Error Bad(std::string text) {
  return Error{Errc::kInvalid, std::move(text) + "; 'rexctl --help' shows how"};
}

class CtlParser {
 public:
  CtlParser(std::span<const std::string> words, const std::string& env_name) : words_(words) {
    line_.name = env_name.empty() || env_name == "none" ? std::string(kDefaultDvmName) : env_name;
  }

  Result<CtlLine> Run() {
    if (words_.empty()) return Bad("no command is given");
    if (Status verb = TakeVerb(); !verb) return verb.error();
    for (at_ = 1; at_ < words_.size(); ++at_) {
      const Status taken = TakeWord();
      if (!taken) return taken.error();
    }
    if (line_.command == CtlCommand::kKill && line_.job == 0) {
      return Bad("'kill' needs the number of a job, as 'rexctl jobs' shows it");
    }
    if (!IsDvmName(line_.name)) {
      return Error{Errc::kInvalid, "'" + line_.name +
                                       "' is no name of a DVM; use up to 64 letters, digits, '.', "
                                       "'_', '-', and not 'none'"};
    }
    return std::move(line_);
  }

 private:
  Status TakeVerb() {
    std::string_view word = words_[0];
    while (word.starts_with('-')) word.remove_prefix(1);
    if (word == "h" || word == "?") word = "help";
    for (const Verb& verb : kVerbs) {
      if (verb.word != word) continue;
      line_.command = verb.command;
      return Ok{};
    }
    return Bad("there is no command '" + words_[0] + "'");
  }

  bool Is(CtlCommand command) const { return line_.command == command; }

  Status TakeWord() {
    const std::string& word = words_[at_];
    if (!word.starts_with('-')) return TakeArgument(word);
    std::string_view name = word;
    name.remove_prefix(name.starts_with("--") ? 2 : 1);
    const size_t equals = name.find('=');
    value_.reset();
    if (equals != name.npos) value_ = std::string(name.substr(equals + 1));
    name = name.substr(0, equals);
    if (name == "name") return TakeName();
    if (name == "json" && !value_) return Set(&line_.json);
    if (name == "tree" && Is(CtlCommand::kPs) && !value_) return Set(&line_.tree);
    if (name == "wait" && Is(CtlCommand::kStop) && !value_) return Set(&line_.wait);
    if (name == "help" || name == "h") {
      line_.command = CtlCommand::kHelp;
      return Ok{};
    }
    if (Is(CtlCommand::kStart)) return TakeStartOption(name, word);
    return Bad("'" + words_[0] + "' has no option '" + word + "'");
  }

  static Status Set(bool* flag) {
    *flag = true;
    return Ok{};
  }

  Status NeedValue(const char* what) {
    if (value_) return Ok{};
    if (at_ + 1 == words_.size()) return Bad("option '" + words_[at_] + "' needs " + what);
    value_ = words_[++at_];
    return Ok{};
  }

  Status TakeName() {
    if (Status value = NeedValue("the name of a DVM"); !value) return value;
    line_.name = *value_;
    return Ok{};
  }

  Status TakeStartOption(std::string_view name, const std::string& word) {
    if (name == "idle-timeout") return TakeIdleTimeout();
    const Option* option = FindOption(name);
    if (option == nullptr || !IsNodeOption(option->id)) {
      return Bad("'start' has no option '" + word + "'");
    }
    line_.node_words.push_back(word);
    size_t values = option->arity;
    if (value_ && values > 0) --values;
    for (; values > 0; --values) {
      if (at_ + 1 == words_.size()) return Bad("option '" + word + "' needs a value");
      line_.node_words.push_back(words_[++at_]);
    }
    return Ok{};
  }

  Status TakeIdleTimeout() {
    if (Status value = NeedValue("a number of seconds"); !value) return value;
    const auto seconds = ParseWhole(*value_);
    if (!seconds || *seconds > static_cast<uint64_t>(kMaxIdleTimeout.count())) {
      return Bad("option '--idle-timeout': '" + *value_ +
                 "' is no number of seconds up to a year; 0 is for ever");
    }
    line_.idle_timeout = std::chrono::seconds(*seconds);
    return Ok{};
  }

  Status TakeArgument(const std::string& word) {
    if (!Is(CtlCommand::kKill)) return Bad("'" + words_[0] + "' takes no '" + word + "'");
    if (line_.job == 0) {
      const auto number = ParseWhole(word);
      if (!number || *number == 0 || *number > UINT32_MAX) {
        return Bad("'" + word + "' is no number of a job, as 'rexctl jobs' shows it");
      }
      line_.job = static_cast<JobNumber>(*number);
      return Ok{};
    }
    if (line_.signo != 0) return Bad("'kill' takes one job and one signal, not '" + word + "'");
    line_.signo = SignalNumber(word);
    if (line_.signo == 0) return Bad("'" + word + "' is no signal; write KILL, SIGKILL or 9");
    return Ok{};
  }

  std::span<const std::string> words_;
  size_t at_ = 0;
  std::optional<std::string> value_;
  CtlLine line_;
};

}  // namespace

Result<CtlLine> ParseCtlLine(std::span<const std::string> words, const std::string& env_name) {
  return CtlParser(words, env_name).Run();
}

int SignalNumber(std::string_view word) {
  if (const auto number = ParseWhole(word)) {
    return *number >= 1 && *number <= kMaxSignal ? static_cast<int>(*number) : 0;
  }
  std::string name(word);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int signo = 1; signo <= kMaxSignal; ++signo) {
    const char* known = ::sigabbrev_np(signo);  // without SIG: signal(7)
    if (known != nullptr && name == known) return signo;
  }
  return 0;
}

std::string CtlHelp() {
  return R"(rexctl: starts a DVM that stays, shows what runs in it, ends it.

usage: rexctl COMMAND [OPTION]...

  start               start the nodes, and keep them for every rexlaunch that they suit
  stop [--wait]       end the DVM and its jobs; with --wait, once these have ended by themselves
  status              the DVM, its nodes and their slots
  list                the DVMs of this user on this machine
  jobs                its jobs: number, ranks, age, who spawned it, program
  ps [--tree]         every rank: node, pid, state, way of birth; --tree: below who spawned it
  kill JOB [SIGNAL]   end the job as ^C does, or send its ranks a signal
  help, version

  --name NAME         which DVM (REX_DVM; default)
  --json              for programs

start also has
  --idle-timeout T    end after T seconds without a job; 0: never (3600)
and rexlaunch's options for nodes: --host, --hostfile, --default-hostfile, --allocation, --nolocal,
  --max-vm-size, --virtual-nodes, --ssh, --prefix, --tree, --ship-agent, --start-timeout,
  --node-timeout, --max-modex, --allow-missing-nodes, --mca, --verbose, --allow-run-as-root.
  Without any: the allocation around it, else the default hostfile, else this machine alone.

Exit code: 0; 1 it could not be done; 2 the command line makes no sense; 3 no such DVM runs;
start: as rexlaunch when its nodes do not come.
)";
}

}  // namespace rex
