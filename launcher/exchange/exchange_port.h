// What the room `exchange` needs of the tree of agents: kinds of its own messages, and a port to
// send them through.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

// Kinds of messages between agents that are this room's; 64..95 are kept for it.
// exchange_messages.h has their meaning. The sizes of a payload are bounded by max_modex_bytes and
// kMaxExchangeHeaderBytes.
enum class ExchangeMessage : uint8_t {
  kCollectiveUp = 64,    // child -> parent
  kCollectiveDown = 65,  // parent -> child
  kModexAsk = 66,        // to the node of the rank
  kModexAnswer = 67,     // back
  kModexCancel = 68,     // to the node of the rank: nobody waits any more
  kToHead = 69,          // a host's request, as the host said it
  kFromHead = 70,        // its answer, or an event
  kHostState =
      71,  // child -> parent -> ... head: the host of a node is lost, or there is a new one
};
inline constexpr uint8_t kFirstExchangeKind = 64;
inline constexpr uint8_t kLastExchangeKind = 95;
inline constexpr size_t kMaxExchangeHeaderBytes = 64 << 20;

// How this room reaches other agents. Class kData is for bulk.
struct ExchangePort {
  NodeId self{0};
  NodeId parent{0};  // == self at the head
  std::function<std::vector<NodeId>()> children;
  std::function<const std::vector<NodeId>&(NodeId child)> below;  // `child` itself not included
  // Routed to `to`, which is never `self`; dropped when that node is lost. Messages of one class to
  // one node arrive in order.
  std::function<void(NodeId to, uint8_t kind, FrameClass, std::string payload)> send;
  // To the host of a child's node, by its uplink (docs/design/uplinks.md). Empty: there are none.
  std::function<bool(NodeId child)> has_uplink = {};
  std::function<void(NodeId child, uint8_t kind, std::string payload)> send_by_uplink = {};
};

}  // namespace rex
