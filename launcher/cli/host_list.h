// --host and hostfiles, in mpirun 4.1's grammar: who is named, with how many slots. Pure.
//
// What is not supported yet is refused by name, never skipped: exclusion (^host), relative names
// (+n1, +e2), usernames, ports and rank files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct HostEntry {
  std::string name;
  uint32_t slots = 1;      // 1..kMaxRanks; a name that stands twice adds up
  bool all_cores = false;  // a hostfile names it without slots: as many as it has cores
};

// "a,b:4,c". Errors: kInvalid, a phrase like "'b:x' has no number of slots".
Result<std::vector<HostEntry>> ParseHosts(std::string_view text);

// A hostfile's text: a name per line with slots=N (also cpu=, cpus=, count=) and max_slots=N (also
// max-slots=, slots_max=, slots-max=); '#', '//' and '/* */' begin comments; names may be quoted.
// `file` names it in errors, with line and column. Errors: kInvalid.
Result<std::vector<HostEntry>> ParseHostfile(std::string_view text, const std::string& file);

}  // namespace rex
