// What the user is told about leases of cores: one line for all nodes that have the same to tell.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "launcher/wire/messages.h"

namespace rex {

// What a node's part told.
struct LeaseNews {
  std::string node;
  uint32_t cores = 1;       // usable ones
  uint32_t cores_held = 0;  // by others, which is why ranks are not bound; 0: it is not so
  std::string trouble;      // why cores are not leased for the whole machine; empty: they are
  bool trouble_is_new = false;
};

// `nodes`: in the order in which they are to be named.
std::vector<Notice> LeaseNotices(const std::vector<LeaseNews>& nodes);

}  // namespace rex
