// The tree's own messages as validated C++ types, and the prefix that routes every message.
// docs/protocol.md has the order in which they go; tree.proto the encoding. FromWire is the only
// place where what a peer sent is believed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/link/link.h"
#include "launcher/tree/start_failure.h"
#include "launcher/tree/tree_options.h"

namespace rex {

enum class TreeMessage : uint8_t {  // the `kind` of a link's message
  kWelcome = 1,
  kNodeReady = 2,
  kStartFailed = 3,
  kNodesLost = 4,
  kNodeLate = 5,
  kClockReport = 6,
  kNotice = 7,
  kClosing = 8,  // parent -> child, empty: the tree ends in order
};
inline constexpr uint8_t kFirstUserKind = 32;  // what comes below is the tree's

inline constexpr size_t kMaxParentAddresses = 64;
inline constexpr size_t kMaxTreeTextBytes = 8 << 10;  // of any one text here

// In front of every message's payload: u32 from, u32 to, little-endian.
inline constexpr size_t kRouteBytes = 8;
struct Route {
  NodeId from{};
  std::optional<NodeId> to;  // nullopt (0xffffffff): every node but the sender
  bool operator==(const Route&) const = default;
};
std::string EncodeRoute(const Route& route, std::string_view payload);
// Errors: kProtocol.
Result<Route> DecodeRoute(std::string_view message);

struct Welcome {
  NodeId self{};    // of the route, not of the message
  NodeId parent{};  // likewise
  std::string name;
  std::string parent_name;
  uint32_t nodes = 0;
  uint16_t port = 0;
  std::vector<std::string> addresses;
  std::vector<NodeSpec> below;
  TreeOptions options;  // the head's; `shape` has done its work and is not sent
};

// What children that are started all at once need to know to connect to their parent.
struct BroadcastTicket {
  std::string version;
  const LinkKey* key = nullptr;  // for ToWire; borrowed
  DvmId dvm;
  NodeId parent{};
  std::string parent_name;
  uint16_t port = 0;
  std::vector<std::string> addresses;
  std::vector<NodeSpec> nodes;
  std::chrono::seconds node_timeout{120};
  uint64_t max_message_bytes = 0;
};
struct ReceivedTicket {
  LinkKey key;
  BroadcastTicket ticket;  // its `key` is not set
};

inline constexpr size_t kMaxHardwareTextBytes = 1 << 16;

// What a node tells of itself.
struct AgentFacts {
  std::string hostname;
  uint32_t cores = 0;
  std::string hardware;  // sched/placement/hardware.h's text; opaque here
  std::string pmix_version;
  std::string rex_version;
  uint64_t open_files = 0;
  // Its load, as sched/placement/node_load.h has it; opaque here. Capacity 0: it did not look.
  uint32_t foreign = 0;
  uint32_t capacity = 0;
};

struct NodesLost {
  std::vector<NodeId> nodes;
  Error why;  // kClosed or kTimeout
};

struct NodeLate {
  NodeId node{};
  bool late = false;
};

struct ClockReport {
  NodeId node{};
  ClockOffset offset;
};

struct TreeNotice {
  std::string text;
};

std::string ToWire(const Welcome& m);
std::string ToWire(const BroadcastTicket& m);  // holds the key in clear: wipe it
std::string ToWire(const AgentFacts& m);
std::string ToWire(const StartFailure& m);
std::string ToWire(const NodesLost& m);
std::string ToWire(const NodeLate& m);
std::string ToWire(const ClockReport& m);
std::string ToWire(const TreeNotice& m);

// TreeFromWire<T>(payload): kProtocol names the field that is out of range.
template <typename T>
Result<T> TreeFromWire(const std::string& payload);

}  // namespace rex
