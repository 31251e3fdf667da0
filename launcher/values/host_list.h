// --host and hostfiles, in mpirun 4.1's grammar: who is named, with how many slots. Pure.
//
// What is not supported is refused by name, never skipped: rank files, and relative names (+n1, +e)
// in a hostfile, where mpirun refuses them too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

inline constexpr size_t kMaxHostNameBytes = 255;

enum class HostKind : uint8_t {
  kName,
  kExcluded,  // ^NAME: not this one
  kNth,       // +nN: the N'th node of the allocation or hostfile, from 0
  kEmpty,     // +e or +e:N: all nodes, or N, without ranks of the programs before
};

struct HostEntry {
  std::string name;        // alias, name or address; an IPv6 address without its brackets; or empty
  std::string user;        // for ssh: user@name, or username= in a hostfile; may be empty
  uint32_t port = 0;       // for ssh: port= in a hostfile; 0: none given
  uint32_t slots = 1;      // 1..kMaxRanks; a name that stands twice adds up
  uint32_t max_slots = 0;  // of a hostfile; 0: none given
  bool all_cores = false;  // "name:*", or a hostfile names it once without slots: all its cores
  HostKind kind = HostKind::kName;
  uint32_t number = 0;       // kNth: which; kEmpty: how many, 0: all
  bool slots_given = false;  // kNth: by :SLOTS
};

// Why `name` can't be a host's; empty: it can.
std::string HostNameTrouble(std::string_view name);

// "a,b:4,joe@c,[fe80::1]:2,d:*,^e,+n3:2,+e:2". An address with colons has slots only behind
// brackets. Errors: kInvalid, a phrase like "'b:x' has no number of slots".
Result<std::vector<HostEntry>> ParseHosts(std::string_view text);

// A hostfile's text: a name or user@name per line with slots=N (also cpu=, cpus=, count=),
// max_slots=N (also max-slots=, slots_max=, slots-max=), username=NAME (also user-name=,
// user_name=) and port=N; ^name excludes; name:N is name slots=N, as for MPICH; '#', '//' and
// '/* */' begin comments; names may be quoted. `file` names it in errors, with line and column.
// Errors: kInvalid; a file that names nobody is one.
Result<std::vector<HostEntry>> ParseHostfile(std::string_view text, const std::string& file);
// The same, but a file that names nobody is empty.
Result<std::vector<HostEntry>> ParseHostfileOrNothing(std::string_view text,
                                                      const std::string& file);

// As if all had been in one list: a name that comes again adds its slots.
void AppendHosts(std::vector<HostEntry> more, std::vector<HostEntry>* all);

}  // namespace rex
