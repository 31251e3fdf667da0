// Which nodes a program may use: what its --host and --hostfile choose, by mpirun 4.1's rules, from
// an allocation, a hostfile or nothing. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/cli/node_pool.h"
#include "launcher/cli/parse.h"
#include "launcher/values/host_list.h"

namespace rex {

struct HostChoice {
  std::vector<HostEntry> hosts;       // kName only; each name once; empty: none is named
  std::vector<std::string> warnings;  // lines for the user
};

struct ChoiceParams {
  const NodePool& pool;
  const std::vector<HostEntry>& all_files;  // of all programs' hostfiles, for +n and +e
  std::function<bool(const HostEntry&)> is_here;
  std::function<bool(const HostEntry&)> is_used;  // by a program before this one
};

// Errors: kInvalid, a line for the user.
Result<HostChoice> ChooseHosts(const AppLine& app, const ChoiceParams& params);

}  // namespace rex
