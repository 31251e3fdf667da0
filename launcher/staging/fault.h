// Things that go wrong once, for tests: words of REX_IMAGE_FAULT in the head's environment, which
// go to the nodes with the image. "NODE:WORD=N", separated by blanks; NODE "*" is every node. Pure.
//
//   damage=N   the Nth piece that the node receives (from 1) is damaged on its way
//   mute=N     the node says nothing more behind its Nth piece: as if it hung
//   deaf=1     nobody can connect to the node for pieces
//   lose=N     so many of a hundred datagrams are lost
//   late=N     the node hears of its route N ms late
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "launcher/base/text.h"

namespace rex {

// The number of `word` for `node`; 0: nothing goes wrong.
inline uint32_t FaultOf(std::string_view faults, std::string_view node, std::string_view word) {
  for (const std::string_view fault : Split(faults, ' ')) {
    const size_t colon = fault.find(':');
    const size_t equals = fault.find('=');
    if (colon == fault.npos || equals == fault.npos || equals < colon) continue;
    const std::string_view at = fault.substr(0, colon);
    if ((at != "*" && at != node) || fault.substr(colon + 1, equals - colon - 1) != word) continue;
    return static_cast<uint32_t>(std::atoi(std::string(fault.substr(equals + 1)).c_str()));
  }
  return 0;
}

}  // namespace rex
