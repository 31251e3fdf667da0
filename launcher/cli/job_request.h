// Makes the message that asks the head for a job. Pure.
#pragma once

#include <functional>

#include "launcher/cli/node_pool.h"
#include "launcher/cli/parse.h"
#include "launcher/wire/messages.h"

namespace rex {

// What the ranks inherit from rexlaunch beside its environment. machine.h reads it.
struct Surroundings {
  std::string cwd;  // absolute
  uint32_t umask = 022;
  uint64_t open_files = 1024;       // soft RLIMIT_NOFILE
  uint64_t open_files_hard = 4096;  // and the hard one
  bool terminal = false;            // stderr is one: somebody watches
  bool rewrites_lines = false;      // and TERM is of one that can rewrite a line
  uint32_t cores = 1;               // ranks when -n is missing
  // Whether a host's name or address is one of this machine's; may ask the name service.
  std::function<bool(const std::string& host)> is_this_machine = [](const std::string&) {
    return false;
  };
};

// `pool`: see node_pool.h. `warnings`, when it is given, gets lines for the user. Errors: kInvalid,
// a line for the user (no such stdin rank; too large for one message).
Result<JobSpec> MakeJobSpec(const CommandLine& line, const Surroundings& here,
                            const Environment& env, const NodePool& pool = {},
                            std::vector<std::string>* warnings = nullptr);

}  // namespace rex
