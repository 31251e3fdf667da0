// What a tree of agents is made of: the nodes, and how agents are started on them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"

namespace rex {

enum class TreeShape : uint8_t { kAuto, kFlat, kTwoLevel };
enum class BootstrapKind : uint8_t {
  kSsh,
  kVirtual,  // on this machine, with an invented name: no ssh, no root
  kSlurm,    // by one srun for all nodes, inside of an allocation
};

// Whether a node is sent rex before it is started: docs/design/ship-agent.md.
enum class ShipMode : uint8_t {
  kAuto,  // when it is missing there
  kAlways,
  kNever,
};

// When nodes look at their loads and tell what they find: docs/design/sched.md.
enum class LoadLooks : uint8_t {
  kNever,
  kUntilLaunch,  // until the DVM's job is launched
  kAlways,
};

struct NodeSpec {
  NodeId id{};
  std::string name;   // as the user wrote it: alias, FQDN, IPv4 or IPv6 literal with or without []
  std::string user;   // empty: the remote shell command's own default
  uint16_t port = 0;  // 0: likewise
};

struct TreeOptions {
  BootstrapKind kind = BootstrapKind::kSsh;
  TreeShape shape = TreeShape::kAuto;
  std::vector<std::string> ssh = {"ssh"};  // the remote shell command's words
  std::string rexd;                        // rexd's absolute path on the nodes
  ShipMode ship = ShipMode::kNever;        // kSsh only
  std::chrono::seconds start_timeout{30};  // of one start, from ssh to the node's first report
  std::chrono::seconds node_timeout{120};  // silence after which a node counts as lost
  // What a peer may make an agent hold for one message: the modex of a large job and a little more.
  uint64_t max_message_bytes = (uint64_t{1} << 30) + (1 << 20);
  // At the head: what a node that did not start was to start the head starts itself.
  bool allow_missing = false;
  LoadLooks looks = LoadLooks::kNever;
  bool verbose = false;
  std::string log_level;  // REX_LOG of the started agents; empty: as their own environment says
};

}  // namespace rex
