// --host and hostfiles, in mpirun 4.1's grammar: who is named, with how many slots. Pure.
//
// What is not supported yet is refused by name, never skipped: exclusion (^host), relative names
// (+n1, +e2) and rank files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

inline constexpr size_t kMaxHostNameBytes = 255;

struct HostEntry {
  std::string name;        // alias, name or address; an IPv6 address without its brackets
  std::string user;        // for ssh: user@name, or username= in a hostfile; may be empty
  uint32_t port = 0;       // for ssh: port= in a hostfile; 0: none given
  uint32_t slots = 1;      // 1..kMaxRanks; a name that stands twice adds up
  uint32_t max_slots = 0;  // of a hostfile; 0: none given
  bool all_cores = false;  // "name:*", or a hostfile names it once without slots: all its cores
};

// "a,b:4,joe@c,[fe80::1]:2,d:*". An address with colons has slots only behind brackets. Errors:
// kInvalid, a phrase like "'b:x' has no number of slots".
Result<std::vector<HostEntry>> ParseHosts(std::string_view text);

// A hostfile's text: a name or user@name per line with slots=N (also cpu=, cpus=, count=),
// max_slots=N (also max-slots=, slots_max=, slots-max=), username=NAME (also user-name=,
// user_name=) and port=N; '#', '//' and '/* */' begin comments; names may be quoted. `file` names
// it in errors, with line and column. Errors: kInvalid.
Result<std::vector<HostEntry>> ParseHostfile(std::string_view text, const std::string& file);

}  // namespace rex
