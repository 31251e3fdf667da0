// The TCP connections of PMIx hosts to the agents above them (docs/design/uplinks.md), seen with
// ss(8), and how to cut one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/command.h"

namespace rex::testing {

struct Uplink {
  std::string local_port;
  std::string remote_port;
};

// What runs ss with these words where the host is: here, or inside a node.
using RunSs = std::function<CommandResult(const std::vector<std::string>& words)>;

// The uplink of the host with that pid: a connection to a port on which an agent listens. nullopt:
// it has none.
std::optional<Uplink> UplinkOf(pid_t host, const RunSs& ss);
// How many hosts have one.
size_t CountUplinks(const RunSs& ss);
// Resets the connection at both ends. False: this user or this kernel can't (needs root and
// CONFIG_INET_DIAG_DESTROY).
bool CutUplink(const Uplink& uplink, const RunSs& ss);

}  // namespace rex::testing
