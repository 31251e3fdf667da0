#include "launcher/cli/option_help.h"

#include <algorithm>
#include <vector>

namespace rex {

namespace {

constexpr size_t kHelpColumn = 29;  // where the explanations start
constexpr size_t kHelpWidth = 100;

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

// What stands for {cores} on this machine.
std::string HereText(uint32_t cores) { return ", here " + std::to_string(cores); }
}  // namespace

std::string OptionText(const Option& option, std::string_view cores) {
  constexpr std::string_view kPlaceholder = "{cores}";
  std::string text(option.help);
  const size_t at = text.find(kPlaceholder);
  if (at != std::string::npos) text.replace(at, kPlaceholder.size(), cores);
  return text;
}

std::optional<std::string> TopicHelp(std::string_view topic, uint32_t default_ranks) {
  const auto* name = std::find(std::begin(kTopicNames), std::end(kTopicNames), topic);
  if (name == std::end(kTopicNames)) return std::nullopt;
  std::string out;
  for (const Option& option : OptionTable()) {
    const bool wanted =
        static_cast<size_t>(option.topic) == static_cast<size_t>(name - std::begin(kTopicNames));
    if (wanted) out += OptionHelp(option, HereText(default_ranks));
  }
  return out;
}

std::string HelpText(uint32_t default_ranks) {
  const std::string cores = HereText(default_ranks);
  std::string out =
      "Usage: rexlaunch [OPTION]... PROGRAM [ARGUMENT]... [: [OPTION]... PROGRAM "
      "[ARGUMENT]...]...\n"
      "Starts a parallel program, or several as one job, and ends with the job's exit code.\n\n"
      "Options come before the program. Each may be written with one dash or two, and those with "
      "one\n"
      "value also as --OPTION=VALUE. The first group counts for the program it stands before, the\n"
      "second for the whole job.\n";
  for (const OptionScope scope : {OptionScope::kApp, OptionScope::kJob}) {
    out += scope == OptionScope::kApp ? "\nFor a program:\n" : "\nFor the job:\n";
    for (const Option& option : OptionTable()) {
      if (option.scope == scope) out += OptionHelp(option, cores);
    }
  }
  out +=
      "\nSignals: INT (^C), TERM and HUP end the job; a second one ends it at once. TSTP (^Z), "
      "CONT,\n"
      "USR1, USR2, ALRM and ABRT go to the ranks.\n"
      "Exit code: 0, or that of the lowest rank that failed; 128+N for signal N; the code given "
      "to\n"
      "MPI_Abort; 2 bad command line; 110 timeout (117 with ranks missing in\n"
      "MPI_Init, 118 before any rank ran); 119 a node was lost; 120 a node could not be started;\n"
      "121 no such directory; 122 out of resources; 123 a process of rex failed; 126 program "
      "cannot "
      "be\n"
      "executed; 127 program not found; 141 nobody reads the output.\n"
      "Times may have a decimal fraction.\n";
  return out;
}

}  // namespace rex
