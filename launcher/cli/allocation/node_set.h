// The compressed lists in which resource managers write nodes and counts. Pure. Errors: kInvalid, a
// phrase like "'n[1-' has no ']'".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

// How numbers in brackets are filled up with zeros.
enum class ZeroFill : uint8_t {
  kEachRange,      // Slurm: as the range's first number is written
  kWholeBrackets,  // Flux (RFC 29): as the first number in the brackets is written
};

// "n[1-3,07],login,r[0-1]b[0-1]-ib" in full, in order: every part of a name may be in brackets, the
// last one runs fastest. At most kMaxJobNodes names, each a host's name as host_list.h takes it. An
// empty text has none.
Result<std::vector<std::string>> ExpandNodeSet(std::string_view text, ZeroFill fill);

// "2(x3),1" is 2, 2, 2, 1: at most kMaxJobNodes numbers from 1 to kMaxRanks.
Result<std::vector<uint32_t>> ExpandCounts(std::string_view text);

// "0-3,7" is 0, 1, 2, 3, 7: numbers without brackets (RFC 22). At most `most` of them.
Result<std::vector<uint32_t>> ExpandNumbers(std::string_view text, uint32_t most);
// How many they are; at most kMaxRanks.
Result<uint32_t> CountNumbers(std::string_view text);

}  // namespace rex
