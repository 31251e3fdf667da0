// The command line of rexctl. Pure.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/wire/messages.h"

namespace rex {

enum class CtlCommand : uint8_t {
  kHelp,
  kVersion,
  kStart,
  kStop,
  kStatus,
  kList,
  kJobs,
  kPs,
  kKill
};

struct CtlLine {
  CtlCommand command = CtlCommand::kHelp;
  std::string name;  // of the DVM
  bool json = false;
  bool tree = false;  // ps
  bool wait = false;  // stop
  JobNumber job = 0;  // kill
  int signo = 0;      // kill; 0: end the job
  std::chrono::seconds idle_timeout{std::chrono::hours(1)};
  // start: words for rexlaunch's parser, which say where the nodes are and how they are reached.
  std::vector<std::string> node_words;
};

// `words` is argv without argv[0]; `env_name` is REX_DVM's value, or empty. Errors: kInvalid, one
// line for the user.
Result<CtlLine> ParseCtlLine(std::span<const std::string> words, const std::string& env_name);

// A number from 1 to 64, or a name with or without SIG. 0: it is none.
int SignalNumber(std::string_view word);

std::string CtlHelp();

}  // namespace rex
