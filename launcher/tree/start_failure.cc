#include "launcher/tree/start_failure.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include "launcher/tree/start_text.h"

namespace rex {

namespace {

// What a line of stderr (or, of the shell, of stdout) tells. The first entry of which a line has
// both texts decides; the line itself is the cause. In remedies @NODE, @LOGIN, @REXD and @SSH stand
// for the node's name, the node as ssh is given it, the path that was tried and the remote shell
// command.
struct Sign {
  std::string_view text;
  std::string_view and_text;  // empty: one is enough
  std::string_view remedy;
};

constexpr std::string_view kInstall =
    "install rex at the same path on every node, or name where it is with --prefix";
constexpr std::string_view kInstallLibrary = "install that library on the node";
constexpr std::string_view kHostKey =
    "look at the node's host key once, with `@SSH @LOGIN true`, so that it becomes known";
constexpr std::string_view kNoWay = "is the node up, and does a network or firewall lie between?";
constexpr std::string_view kExhausted =
    "see what fills that node: `@SSH @LOGIN 'ulimit -a; free; ps ax | wc -l'`";

constexpr auto kSigns = std::to_array<Sign>({
    // ssh, before anything ran on the node
    {"Could not resolve hostname", "", "check the name: `getent hosts @NODE`, ~/.ssh/config"},
    {"Name or service not known", "", "check the name: `getent hosts @NODE`"},
    {"IDENTIFICATION HAS CHANGED", "",
     "when the node was installed anew, forget the old key: `ssh-keygen -R @NODE`"},
    {"Host key verification failed", "", kHostKey},
    {"No matching host key", "", kHostKey},
    {"host key is known", "", kHostKey},
    {"Permission denied (", "",
     "nobody can be asked for a password here: make `@SSH -o BatchMode=yes @LOGIN true` work "
     "(ssh-copy-id, ssh-agent)"},
    {"Too many authentication failures", "",
     "name the one key that fits this node in ~/.ssh/config (IdentityFile, IdentitiesOnly yes)"},
    {"Connection refused", "", "is sshd running on the node, at this port? `@SSH @LOGIN true`"},
    {"No route to host", "", kNoWay},
    {"Network is unreachable", "", kNoWay},
    {"Connection timed out", "", kNoWay},
    {"Operation timed out", "", kNoWay},
    {"Timeout, server", "", kNoWay},
    {"Bad configuration option", "", "the @SSH command does not know OpenSSH's options"},
    {"Bad owner or permissions", "", "correct that file's owner and mode (600)"},
    {"kex_exchange_identification", "",
     "the node's sshd takes no more connections at once; raise MaxStartups there"},
    {"ssh_exchange_identification", "",
     "the node's sshd takes no more connections at once; raise MaxStartups there"},
    {"banner exchange", "", kNoWay},
    // srun and slurmstepd, before anything ran on the node. What one node lacks comes before the
    // end of the whole step, which follows from it.
    {"Munge encode failed", "", "is munged running on this machine? `munge -n | unmunge`"},
    {"Invalid authentication credential", "", "do munged's key and the clocks of all nodes agree?"},
    {"Protocol authentication error", "", "do munged's key and the clocks of all nodes agree?"},
    {"failed on node @NODE:", "",
     "is slurmd running there? `sinfo -R -n @NODE`; ask for another node"},
    {"DUE TO TIME LIMIT", "", "ask for more time: --time of sbatch, salloc or srun"},
    {"DUE TO NODE FAILURE", "", "see `sinfo -R`; ask for other nodes"},
    {"Node failure on", "", "see `sinfo -R`; ask for other nodes"},
    {"CANCELLED AT", "", "the job or its step was cancelled; see `sacct -j $SLURM_JOB_ID`"},
    {"has been revoked", "", "the allocation has ended; ask for a new one"},
    {"Invalid job id specified", "", "the allocation has ended, or SLURM_JOB_ID is not yours"},
    {"Job/step already completing", "", "the allocation has ended; ask for a new one"},
    {"Requested node configuration is not available", "",
     "are all nodes in this allocation? `scontrol show job $SLURM_JOB_ID`"},
    {"Invalid node name specified", "", "is the node in this allocation? `sinfo -N`"},
    {"Requested nodes are busy", "",
     "another step holds these nodes alone (srun --exclusive); wait for it"},
    {"Unable to contact slurm controller", "", "is slurmctld up? `scontrol ping`"},
    {"oom-kill", "", "the node's part of the job needs more memory: --mem"},
    // rexd and what it starts
    {"is missing (tried", "", kInstall},
    {"rexd: can't start:", "", "the line says what rexd lacks on that node"},
    {"error while loading shared libraries", "", kInstallLibrary},
    // The far shell
    {"@REXD", "ermission denied",
     "make that file executable for you, and its directories accessible"},
    {"Exec format error", "", "that rexd is for another architecture; install the node's own"},
    {"cannot execute binary file", "",
     "that rexd is for another architecture; install the node's own"},
    {"@REXD", "o such file", kInstall},
    {"@REXD", "not found", kInstall},
    {"@REXD", "nknown command", kInstall},
    {"ommand not found", "", kInstall},
    {"Cannot allocate memory", "", kExhausted},
    {"ut of memory", "", kExhausted},
    {"Resource temporarily unavailable", "", kExhausted},
    {"fork failed", "", kExhausted},
    {"Too many open files", "", kExhausted},
    {"No space left on device", "", kExhausted},
    {"account is currently not available", "", "that account may not log in on the node"},
    {"Could not chdir to home directory", "",
     "your home directory is missing on the node; is it mounted?"},
    // ssh again: vague words, after all that say more
    {"Connection reset", "", "the node ended the connection; its sshd's log says why"},
    {"Connection closed", "", "the node ended the connection; its sshd's log says why"},
    {"closed by remote host", "", "the node ended the connection; its sshd's log says why"},
    {"Broken pipe", "", kNoWay},
    {"usage: ", "", "the @SSH command does not understand how rex calls it"},
    {"unknown option", "", "the @SSH command does not understand how rex calls it"},
});

// The server answered, and then let nobody in: more connections at once than it takes.
constexpr auto kBusyWords = std::to_array<std::string_view>({
    "kex_exchange_identification: Connection closed",
    "kex_exchange_identification: read: Connection reset",
    "kex_exchange_identification: banner line",
    "kex_exchange_identification: client sent invalid",
    "ssh_exchange_identification: Connection closed",
    "ssh_exchange_identification: read: Connection reset",
    "Exceeded MaxStartups",
    "Connection reset by",
    "Connection closed by",
});

std::string LoginOf(const StartContext& context) {
  return context.login.empty() ? context.name : context.login;
}

std::string Fill(std::string_view text, const StartContext& context) {
  std::string filled(text);
  const std::array<std::pair<std::string_view, std::string>, 4> values = {
      {{"@NODE", context.name},
       {"@LOGIN", LoginOf(context)},
       {"@REXD", context.rexd},
       {"@SSH", context.command}}};
  for (const auto& [mark, value] : values) {
    for (size_t at = filled.find(mark); at != filled.npos; at = filled.find(mark, at)) {
      filled.replace(at, mark.size(), value);
      at += value.size();
    }
  }
  return filled;
}

bool Has(std::string_view line, std::string_view text) { return line.find(text) != line.npos; }

// ssh frames its most urgent words with @.
std::string_view Unframed(std::string_view line) {
  const size_t begin = line.find_first_not_of("@ ");
  if (begin == line.npos) return line;
  return line.substr(begin, line.find_last_not_of("@ ") + 1 - begin);
}

struct Match {
  std::string line;
  std::string remedy;
};

std::optional<Match> FindSign(const std::vector<std::string>& lines, const StartContext& context) {
  for (const Sign& sign : kSigns) {
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      if (Has(*line, Fill(sign.text, context)) && Has(*line, sign.and_text)) {
        return Match{std::string(Unframed(*line)), Fill(sign.remedy, context)};
      }
    }
  }
  return std::nullopt;
}

std::string Plain(const ExitStatus& end) {
  return end.signal != 0 ? "was ended by signal " + std::to_string(end.signal)
                         : "ended with exit code " + std::to_string(end.code);
}

// What the shells' exit codes mean (POSIX: 126, 127), and rexd's own (docs/rules.md).
std::optional<Match> FromExitCode(int code, const StartContext& context) {
  if (code == 127) return Match{"'" + context.rexd + "' is not there", std::string(kInstall)};
  if (code == 126) {
    return Match{"'" + context.rexd + "' can't be executed",
                 "look at its mode and architecture there"};
  }
  if (code == 122) return Match{"the node is out of resources", Fill(kExhausted, context)};
  return std::nullopt;
}

std::string HowItEnded(const StartEvidence& evidence, const StartContext& context) {
  if (!evidence.end) return "the connection was closed";
  return (context.program.empty() ? context.command : context.program) + " " + Plain(*evidence.end);
}

std::string_view Awaited(StartPhase phase) {
  switch (phase) {
    case StartPhase::kSsh:
      return "before rexd answered";
    case StartPhase::kMarker:
      return "while rexd greeted";
    case StartPhase::kShip:
      return "while rex was sent to the node";
    case StartPhase::kHandshake:
      return "before the agent proved who it is";
    default:
      return "before the agent reported";
  }
}

std::string Silence(const StartEvidence& evidence, const StartContext& context) {
  const std::string bound = " in " + std::to_string(context.bound.count()) + " s";
  if (evidence.phase == StartPhase::kReady) return "its agent did not report" + bound;
  if (evidence.phase == StartPhase::kHandshake) {
    return "its agent did not prove who it is" + bound;
  }
  return "no answer" + bound;
}

// A node that is silent from the start may as well not be there.
std::string SilenceRemedy(const StartEvidence& evidence, const StartContext& context) {
  const bool unseen = evidence.phase == StartPhase::kSsh && LastLine(evidence.errors).empty() &&
                      LastLine(evidence.noise).empty();
  return (unseen ? std::string(kNoWay) + " " : "") + "try by hand: `" + context.command + " " +
         LoginOf(context) + " true`; a slow node needs a longer --start-timeout";
}

// What was said last, and what the keeper said of its daemons, if it did.
std::string LastWords(const StartEvidence& evidence) {
  std::vector<std::string> lines = PrintableLines(evidence.errors);
  std::string news;
  while (!lines.empty() && IsKeeperNews(lines.back())) {
    news = KeeperNewsText(lines.back());
    lines.pop_back();
  }
  std::string words = lines.empty() ? LastLine(evidence.noise) : lines.back();
  if (!words.empty()) words = "; its last words: " + words;
  return news.empty() ? words : "; its keeper says: " + news + words;
}

// Nothing known was said: how it ended, and the last words whatever they are.
StartFailure Unexplained(const StartEvidence& evidence, const StartContext& context) {
  StartFailure failure;
  failure.cause = evidence.timed_out
                      ? Silence(evidence, context)
                      : HowItEnded(evidence, context) + " " + std::string(Awaited(evidence.phase));
  failure.cause += LastWords(evidence);
  failure.remedy = evidence.timed_out ? SilenceRemedy(evidence, context)
                                      : "try by hand: `" + context.command + " " +
                                            LoginOf(context) + " " + context.rexd + " --version`";
  return failure;
}

}  // namespace

std::string_view StartPhaseName(StartPhase phase) {
  constexpr std::array<std::string_view, 6> kNames = {"ssh",   "marker", "handshake",
                                                      "ready", "parent", "ship"};
  return kNames[static_cast<size_t>(phase)];
}

StartFailure ExplainStart(const StartEvidence& evidence, const StartContext& context) {
  StartFailure failure = Unexplained(evidence, context);
  std::vector<std::string> lines = PrintableLines(evidence.errors);
  if (!evidence.detail.empty()) {
    failure.cause = evidence.detail;
    failure.remedy = evidence.remedy;
  } else if (auto said = FindSign(lines, context)) {
    failure.cause = std::move(said->line);
    failure.remedy = std::move(said->remedy);
  } else if (auto shell = FindSign(PrintableLines(evidence.noise), context)) {
    failure.cause = std::move(shell->line);
    failure.remedy = std::move(shell->remedy);
  } else if (evidence.end && evidence.end->signal == 0) {
    if (auto code = FromExitCode(evidence.end->code, context)) {
      failure.cause = std::move(code->line);
      failure.remedy = std::move(code->remedy);
    }
  }
  failure.node = context.node;
  failure.name = context.name;
  failure.phase = StartPhaseName(evidence.phase);
  if (evidence.phase == StartPhase::kSsh && !context.program.empty()) {
    failure.phase = context.program;
  }
  return failure;
}

bool RexIsMissing(const StartEvidence& evidence, const StartContext& context) {
  if (evidence.phase != StartPhase::kSsh || evidence.timed_out || !evidence.detail.empty()) {
    return false;
  }
  if (!evidence.end || evidence.end->signal != 0) return false;
  for (const std::string& text : {evidence.errors, evidence.noise}) {
    const auto said = FindSign(PrintableLines(text), context);
    if (said) return said->remedy == kInstall || said->remedy == kInstallLibrary;
  }
  return evidence.end->code == 127;
}

bool ServerWasBusy(const StartEvidence& evidence) {
  if (evidence.phase != StartPhase::kSsh || evidence.timed_out || !evidence.detail.empty()) {
    return false;
  }
  if (!evidence.end || evidence.end->code != 255) return false;  // ssh's own failures: ssh(1)
  return std::any_of(kBusyWords.begin(), kBusyWords.end(),
                     [&](std::string_view words) { return Has(evidence.errors, words); });
}

std::string RemedyForLoss(const std::string& text) {
  if (!Has(text, kSlurmSays)) return "";
  const auto sign = FindSign({text}, StartContext{});
  return sign ? sign->remedy : "";
}

std::string ExplainLoss(const std::string& what, const std::string& errors,
                        const std::optional<ExitStatus>& end, const std::string& command) {
  std::string text = what;
  const std::vector<std::string> lines = PrintableLines(errors);
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (IsKeeperNews(*line)) return text + "; its keeper says: " + KeeperNewsText(*line);
  }
  if (end && (end->signal != 0 || end->code != 0)) text += "; " + command + " " + Plain(*end);
  if (!lines.empty()) text += "; its last words: " + lines.back();
  return text;
}

}  // namespace rex
