#include "launcher/cli/option_table.h"

namespace rex {

namespace {

constexpr size_t kHelpColumn = 29;  // where the explanations start
constexpr size_t kHelpWidth = 100;

using enum OptionId;
constexpr OptionScope kApp = OptionScope::kApp;
constexpr OptionScope kJob = OptionScope::kJob;

// Built on first use: --version and most launches need it once.
const std::vector<Option>& Table() {
  static const std::vector<Option> table = {
      {kRanks,
       kApp,
       OptionValue::kRankCount,
       1,
       {"n", "np", "c"},
       "N",
       "Start N ranks of this program. Without it: one per core that rexlaunch may "
       "use{cores}. Needed for each program when there are several."},
      {kExport,
       kApp,
       OptionValue::kText,
       1,
       {"x"},
       "NAME[=VALUE]",
       "Give the ranks this environment variable, with VALUE or with the value it has here. The "
       "environment goes to the ranks anyway, minus PMIX_*, PMI_*, OMPI_COMM_WORLD_* and the like "
       "of a surrounding job and minus REX_*."},
      {kWdir,
       kApp,
       OptionValue::kText,
       1,
       {"wdir", "wd", "chdir"},
       "DIR",
       "Start the ranks in this directory. Without it: the current one."},
      {kMca,
       kApp,
       OptionValue::kText,
       2,
       {"mca"},
       "KEY VALUE",
       "Set the Open MPI parameter KEY for the ranks of this program, by OMPI_MCA_KEY=VALUE."},
      {kGlobalMca,
       kJob,
       OptionValue::kText,
       2,
       {"gmca"},
       "KEY VALUE",
       "The same for the ranks of all programs."},
      {kOversubscribe,
       kJob,
       OptionValue::kNone,
       0,
       {"oversubscribe"},
       "",
       "More ranks than cores are wanted: say nothing about it."},
      {kStdin,
       kJob,
       OptionValue::kText,
       1,
       {"stdin"},
       "RANK|all|none",
       "Which rank gets rexlaunch's standard input. Default: 0."},
      {kStdout,
       kJob,
       OptionValue::kChoice,
       1,
       {"stdout"},
       "pty|pipe",
       "What the ranks' standard output is: a terminal in raw mode, so that lines come as they are "
       "written, or a pipe, which C programs fill in blocks. Default: pty."},
      {kTagOutput,
       kJob,
       OptionValue::kNone,
       0,
       {"tag-output"},
       "",
       "Start each line of output with [1,RANK]<stdout>: or [1,RANK]<stderr>:."},
      {kGrace,
       kJob,
       OptionValue::kSeconds,
       1,
       {"grace"},
       "SECONDS",
       "Time between the TERM and the KILL signal when the job is ended early. Default: 2."},
      {kTimeout,
       kJob,
       OptionValue::kSeconds,
       1,
       {"timeout"},
       "SECONDS",
       "End the job after this time, with exit code 110. Default: the environment variable "
       "MPIEXEC_TIMEOUT, or no limit."},
      {kReportState,
       kJob,
       OptionValue::kNone,
       0,
       {"report-state-on-timeout"},
       "",
       "Show what each rank was doing when the time was over."},
      {kTimerSlack,
       kJob,
       OptionValue::kMilliseconds,
       1,
       {"timer-slack"},
       "MS",
       "When there are more ranks than cores, let the kernel prolong the ranks' short sleeps by up "
       "to MS milliseconds, which saves most of the cost of waiting. 0: never. Default: 5."},
      {kTimeline,
       kJob,
       OptionValue::kText,
       1,
       {"timeline"},
       "FILE|-",
       "Write the times of the launch's phases to FILE, in Chrome's trace format "
       "(chrome://tracing, "
       "ui.perfetto.dev); '-' prints a table on standard error at the end."},
      {kQuiet,
       kJob,
       OptionValue::kNone,
       0,
       {"q", "quiet"},
       "",
       "Leave out what is only information. Warnings and failures are still told."},
      {kVerbose,
       kJob,
       OptionValue::kNone,
       0,
       {"v", "verbose"},
       "",
       "Say what rex decides: components left out, where ranks are, how they were started."},
      {kAllowRoot,
       kJob,
       OptionValue::kNone,
       0,
       {"allow-run-as-root"},
       "",
       "Run as root on purpose: do not say that the ranks have all of root's rights. "
       "OMPI_ALLOW_RUN_AS_ROOT=1 in the environment does the same."},
      {kVersion, kJob, OptionValue::kNone, 0, {"V", "version"}, "", "Print the version, and end."},
      {kHelp, kJob, OptionValue::kNone, 0, {"h", "help"}, "", "Print this text, and end."},
  };
  return table;
}

// `text` in lines of at most `width` bytes, broken at spaces.
std::vector<std::string> Wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    size_t cut = text.rfind(' ', width);
    if (cut == std::string_view::npos || cut == 0) cut = width;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(text[cut] == ' ' ? cut + 1 : cut);
  }
  if (!text.empty()) lines.emplace_back(text);
  return lines;
}

std::string OptionHelp(const Option& option, const std::string& cores) {
  std::string head = "  ";
  for (size_t i = 0; i < option.spellings.size(); ++i) {
    head += (i == 0 ? "" : ", ") + WithDashes(option.spellings[i]);
  }
  if (option.arity > 0) head += " " + std::string(option.values);

  std::string out = head;
  bool fresh = false;  // the explanation starts on a line of its own
  if (head.size() + 2 > kHelpColumn) {
    out += "\n";
    fresh = true;
  }
  for (const std::string& line : Wrap(OptionText(option, cores), kHelpWidth - kHelpColumn)) {
    const size_t used = fresh ? 0 : head.size();
    out += std::string(kHelpColumn - used, ' ') + line + "\n";
    fresh = true;
  }
  return out;
}

}  // namespace

std::span<const Option> OptionTable() { return Table(); }

const Option* FindOption(std::string_view name) {
  for (const Option& option : Table()) {
    for (const std::string_view spelling : option.spellings) {
      if (spelling == name) return &option;
    }
  }
  return nullptr;
}

std::string WithDashes(std::string_view spelling) {
  return (spelling.size() <= 2 ? "-" : "--") + std::string(spelling);
}

std::string OptionText(const Option& option, std::string_view cores) {
  constexpr std::string_view kPlaceholder = "{cores}";
  std::string text(option.help);
  const size_t at = text.find(kPlaceholder);
  if (at != std::string::npos) text.replace(at, kPlaceholder.size(), cores);
  return text;
}

std::string HelpText(uint32_t default_ranks) {
  const std::string cores = ", here " + std::to_string(default_ranks);
  std::string out =
      "Usage: rexlaunch [OPTION]... PROGRAM [ARGUMENT]... [: [OPTION]... PROGRAM "
      "[ARGUMENT]...]...\n"
      "Starts a parallel program, or several as one job, and ends with the job's exit code.\n\n"
      "Options come before the program. Each may be written with one dash or two, and those with "
      "one\n"
      "value also as --OPTION=VALUE. The first group counts for the program it stands before, the\n"
      "second for the whole job.\n";
  for (const OptionScope scope : {kApp, kJob}) {
    out += scope == kApp ? "\nFor a program:\n" : "\nFor the job:\n";
    for (const Option& option : Table()) {
      if (option.scope == scope) out += OptionHelp(option, cores);
    }
  }
  out +=
      "\nSignals: INT (^C), TERM and HUP end the job; a second one ends it at once. TSTP (^Z), "
      "CONT,\n"
      "USR1, USR2, ALRM and ABRT go to the ranks.\n"
      "Exit code: 0, or that of the lowest rank that failed; 128+N for signal N; the code given "
      "to\n"
      "MPI_Abort; 2 bad command line; 110 timeout; 121 no such directory; 122 out of resources; "
      "123 a\n"
      "process of rex failed; 126 program cannot be executed; 127 program not found.\n"
      "Times may have a decimal fraction.\n";
  return out;
}

}  // namespace rex
