// Rank files, in Open MPI 4.1's syntax, and the hostfiles of --map-by seq: rank by rank, who runs
// where. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/values/host_list.h"

namespace rex {

struct RankPlace {
  HostEntry host;    // kName or kNth, one slot
  std::string cpus;  // "0:1-2", see sched/placement/node_places.h; empty: not said
  size_t line = 0;   // of the file; 0: not from one
};

// "rank N=HOST slot=LIST" a line, in any order (also slots=); '#' and '//' begin comments. The
// places by rank, from 0 on without a gap. `file` names it in errors, with the line. Errors:
// kInvalid.
Result<std::vector<RankPlace>> ParseRankfile(std::string_view text, const std::string& file);

// The lines of a hostfile as --map-by seq reads them: a rank for each, in order, on the host that
// it begins with, and on the cpus that its second word names, if that is a list. `hostfile`, when
// given, becomes the text without these lists, as other mappings read it. Lines that are no host's
// are passed over: it is the hostfile's reader that complains.
std::vector<RankPlace> ParseSequence(std::string_view text, std::string* hostfile);
// The same for --host: "a,b:2,a" is a, b, b, a.
std::vector<RankPlace> SequenceOfHosts(std::string_view list);

}  // namespace rex
