// The tree's own messages and routes. Input: u8 which, then the payload.
#include "launcher/tree/tree_messages.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/round_trip.h"

namespace rex {
namespace {

void CheckText(const std::string& text) {
  REX_CHECK(text.size() <= kMaxTreeTextBytes && !fuzz::HasNul(text));
}

void CheckBounds(const Welcome& m) {
  REX_CHECK(!m.name.empty() && !m.parent_name.empty());
  REX_CHECK(m.nodes >= 2 && m.nodes <= kMaxNodes && m.below.size() <= m.nodes);
  REX_CHECK(m.addresses.size() <= kMaxParentAddresses);
  for (const NodeSpec& node : m.below) {
    REX_CHECK(Index(node.id) < kMaxNodes && !node.name.empty());
    CheckText(node.name);
    CheckText(node.user);
  }
  for (const std::string& word : m.options.ssh) CheckText(word);
  CheckText(m.options.rexd);
  CheckText(m.options.log_level);
  REX_CHECK(m.options.start_timeout.count() >= 1 && m.options.node_timeout.count() >= 1);
  REX_CHECK(m.options.max_message_bytes >= 1);
}
void CheckBounds(const AgentFacts& m) { REX_CHECK(!m.hostname.empty() && m.cores >= 1); }
void CheckBounds(const StartFailure& m) {
  REX_CHECK(Index(m.node) < kMaxNodes && !m.name.empty());
  CheckText(m.cause);
}
void CheckBounds(const NodesLost& m) {
  REX_CHECK(!m.nodes.empty());
  for (const NodeId node : m.nodes) REX_CHECK(Index(node) < kMaxNodes);
  CheckText(m.why.text);
}
void CheckBounds(const NodeLate& m) { REX_CHECK(Index(m.node) < kMaxNodes); }
void CheckBounds(const ClockReport& m) {
  REX_CHECK(Index(m.node) < kMaxNodes && m.offset.error.count() >= 0);
}
void CheckBounds(const TreeNotice& m) { CheckText(m.text); }

struct Target {
  template <typename T>
  static Result<T> Decode(const std::string& payload) {
    return TreeFromWire<T>(payload);
  }
  static void Check(const auto& message) { CheckBounds(message); }
};

void RoundTripTicket(const std::string& payload) {
  const auto first = TreeFromWire<ReceivedTicket>(payload);
  if (!first) {
    REX_CHECK(first.error().code == Errc::kProtocol && !first.error().text.empty());
    return;
  }
  BroadcastTicket ticket = first->ticket;
  ticket.key = &first->key;
  REX_CHECK(ticket.port != 0 && ticket.nodes.size() < kMaxNodes);
  const std::string wire = ToWire(ticket);
  REX_CHECK(TreeFromWire<ReceivedTicket>(wire).has_value());
}

void RoundTripRoute(const std::string& payload) {
  const auto route = DecodeRoute(payload);
  if (!route) return;
  REX_CHECK(Index(route->from) < kMaxNodes && route->to != route->from);
  REX_CHECK(EncodeRoute(*route, payload.substr(kRouteBytes)) == payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t place = in.Byte() % 9;
  const std::string payload(in.Rest());
  if (place == 7) RoundTripRoute(payload);
  if (place == 8) RoundTripTicket(payload);
  fuzz::RoundTripOneOf<Target, Welcome, AgentFacts, StartFailure, NodesLost, NodeLate, ClockReport,
                       TreeNotice>(place, payload);
  return 0;
}

}  // namespace rex
