// Which nodes a command line names, and which of them each program may use. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launcher/cli/node_pool.h"
#include "launcher/cli/parse.h"
#include "launcher/wire/messages.h"

namespace rex {

// The nodes of one program.
struct AppNodes {
  std::vector<uint32_t> nodes;  // indices into NodeList::nodes, ascending; empty: it names none
  uint64_t slots = 0;           // of `nodes` together; 0: not known here, some have their cores
};

struct NodeList {
  std::vector<NodeRequest>
      nodes;                   // in the user's order, each once, this machine under its first name
  std::vector<AppNodes> apps;  // one for each program of the line
  bool elsewhere = false;      // some node is not this machine, or there are virtual ones
  std::vector<std::string> warnings;  // lines for the user
};

// How this machine is recognised, and how many slots it has when nobody named a number.
struct ThisMachine {
  std::function<bool(const std::string& host)> is_host;
  uint32_t cores = 1;
};

// Errors: kInvalid, a line for the user: a --host that the allocation does not have, nothing left
// by --nolocal, too many nodes.
Result<NodeList> ListNodes(const CommandLine& line, const ThisMachine& machine,
                           const NodePool& pool);

// The words that start a command on another node: --ssh, else Open MPI's plm_rsh_agent (of several
// separated by ':' the first) and plm_rsh_args, set by --mca, --gmca, a parameter file or the
// environment. Empty: nobody said anything. Errors: kInvalid, a line for the user.
Result<std::vector<std::string>> SshWords(const CommandLine& line, const Environment& env);

}  // namespace rex
