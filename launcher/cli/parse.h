// From the words of a command line to what they ask for. Pure: no I/O, no globals; the environment
// is passed in.
//
// Grammar, as mpirun's: APP [: APP]..., APP = [OPTION [VALUE]...]... PROGRAM [ARGUMENT]...
// Options have one dash or two and are never abbreviated; `--` ends an app's options; the first
// word that is no option is the program, and all that follows up to a lone ':' is the program's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/environment.h"

namespace rex {

struct AppLine {
  std::optional<uint32_t> ranks;  // 1..kMaxRanks
  std::string wdir;               // as typed; empty: none given
  std::vector<EnvSetting> settings;
  std::vector<std::string> argv;  // at least one word, the first not empty
};

struct CommandLine {
  std::vector<AppLine> apps;         // at least one, unless help or version is set
  std::vector<EnvSetting> settings;  // for all apps
  int32_t stdin_rank = 0;            // or kStdinAll, kStdinNone
  bool stdout_pipe = false;
  bool oversubscribe = false;
  bool report_state = false;
  bool tag_output = false;
  bool quiet = false;
  bool verbose = false;
  bool allow_root = false;  // by option or environment: root means it
  bool version = false;
  bool help = false;
  std::chrono::milliseconds grace{2000};
  std::chrono::milliseconds timeout{0};  // 0: none
  std::chrono::microseconds timer_slack{5000};
  std::string timeline;               // a file, "-", or empty: none
  std::vector<std::string> warnings;  // lines for the user; the job goes on
};

// `words` is argv without argv[0]. Errors: kInvalid; the text is one line for the user that says
// what is wrong, in which word, and how to mend it.
Result<CommandLine> ParseCommandLine(std::span<const std::string> words, const Environment& env);

}  // namespace rex
