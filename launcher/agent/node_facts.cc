#include <unistd.h>

#include <array>

#include "launcher/agent/agent.h"
#include "launcher/base/log.h"
#include "sched/topology/topology.h"

namespace rex {

NodeFacts ReadNodeFacts(const AgentOptions& options) {
  NodeFacts node;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  node.name = name.data();
  node.session_dir = options.session_dir;
  node.shm_dir = options.shm_dir;
  node.open_files = options.open_files;
  node.fabrics = ReadFabricFacts();
  auto topology = Topology::OfThisNode();
  if (topology) {
    node.slots = topology->usable_cores();
    node.topology = std::make_shared<const Topology>(*std::move(topology));
  } else {
    Log(LogLevel::kWarn, "topology unknown, one slot assumed why=" + topology.error().text);
  }
  return node;
}

}  // namespace rex
