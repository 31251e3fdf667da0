// One good message of each kind: for the tests of the decoders and for the fuzzers' corpus.
#pragma once

#include "launcher/tree/tree_messages.h"

namespace rex::testing {

inline Welcome SampleWelcome() {
  Welcome m;
  m.name = "n1";
  m.parent_name = "node0";
  m.nodes = 7;
  m.port = 40001;
  m.addresses = {"192.0.2.1", "2001:db8::1", "127.0.0.1"};
  m.below = {{NodeId{4}, "n4", "eva", 2222}, {NodeId{5}, "[::1]", "", 0}};
  m.options.kind = BootstrapKind::kSsh;
  m.options.ssh = {"ssh", "-F", "my config"};
  m.options.rexd = "/opt/rex/libexec/rex/rexd";
  m.options.ship = ShipMode::kAlways;
  m.options.looks = LoadLooks::kAlways;
  m.options.start_timeout = std::chrono::seconds(31);
  m.options.node_timeout = std::chrono::seconds(121);
  m.options.max_message_bytes = 1 << 20;
  m.options.verbose = true;
  m.options.log_level = "info";
  return m;
}

inline AgentFacts SampleFacts() {
  return {"n1.example", 64, "ab12", "4.2.2", "0.1.0", 131072, 150, 6400};
}

inline StartFailure SampleFailure() {
  return {NodeId{5}, "n5", "ssh", "Connection refused", "is sshd running?"};
}

inline NodesLost SampleLost() {
  return {{NodeId{1}, NodeId{4}}, Error{Errc::kTimeout, "node n1: silence"}};
}

inline ClockReport SampleClock() {
  return {NodeId{4}, {std::chrono::microseconds(-5), std::chrono::microseconds(80)}};
}

}  // namespace rex::testing
