// One authenticated, encrypted connection between two agents, parent and child in the tree.
// docs/design/tree.md (Links) is the design, docs/protocol.md the encoding.
//
// A link lives on the bootstrap channel first and moves to TCP when AdoptTcp was called on both
// ends; messages neither get lost nor change their order within a class by that. The channel then
// stays open, silent: its end still means that the peer is gone.
//
// Of the classes below control at most kLinkWindowBytes are under way and not acknowledged; control
// messages, acknowledgements and heartbeats are never held back, whatever the receiver does. So a
// control message overtakes all that is queued, and a stopped receiver costs bounded memory here.
//
// An agent that has no bootstrap channel of its own (Slurm's) begins on TCP.
//
// Loop thread only. Handlers may destroy the link, and are never called from inside a call of the
// owner's (Send, AdoptTcp, Flush; EnableReading included). The process must ignore SIGPIPE when the
// channel is a pair of pipes. Destroying a link closes its descriptors; what is queued is lost.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/base/frame_channel.h"
#include "launcher/base/node_id.h"
#include "launcher/link/authenticated_stream.h"
#include "launcher/link/link_key.h"

namespace rex {

enum class LinkRole : uint8_t { kParent, kChild };  // which end we are

struct LinkParams {
  LinkRole role = LinkRole::kParent;
  NodeId self{};
  NodeId peer{};
  DvmId dvm;
  const LinkKey* key = nullptr;  // borrowed; outlives the link
  std::string version;           // 1..32 printable characters; both ends must have the same
  size_t max_message_bytes = 0;  // what a peer may make us hold for one message of each class
  std::chrono::seconds node_timeout{120};
  std::string peer_name{};  // for texts; empty: "node 3"
};

// Add `offset` to the peer's CLOCK_MONOTONIC to get ours; wrong by at most `error`.
struct ClockOffset {
  std::chrono::microseconds offset{0};
  std::chrono::microseconds error{0};
};

inline constexpr size_t kLinkWindowBytes = 128 << 10;

class LinkCore;

class Link {
 public:
  // Those left empty are not called.
  struct Handlers {
    // The channel's handshake is done.
    std::function<void()> on_up;
    std::function<void(uint8_t kind, FrameClass frame_class, std::string payload)> on_message;
    // True: our writing and reading are on TCP now. False: the peer closed the TCP connection
    // before it used it; the link goes on on its channel.
    std::function<void(bool tcp)> on_moved;
    // 15 s without a word from the peer; false: heard again.
    std::function<void(bool late)> on_late;
    // Once, last. kProtocol: bad handshake (the text says what, naming both versions when they
    // differ) or a bad record; kClosed: end of file, reset; kTimeout: `handshake_bound`,
    // `node_timeout` or TCP_USER_TIMEOUT. Messages that EnableReading held back come before it.
    std::function<void(const Error&)> on_closed;
    // offset() has a value, or a better one.
    std::function<void()> on_clock;
  };

  // Takes the bootstrap channel; `in` and `out` may be one socket, dup'ed. The handshake starts at
  // once and has `handshake_bound`; what is sent before it is done is queued.
  Link(EventLoop& loop, LinkParams params, UniqueFd in, UniqueFd out,
       std::chrono::milliseconds handshake_bound, Handlers handlers);
  // Takes a TCP connection whose handshake is done, and has no channel. on_up comes soon.
  Link(EventLoop& loop, LinkParams params, AuthenticatedStream stream, Handlers handlers);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Queues a message; never blocks. No effect after the link has closed.
  void Send(uint8_t kind, FrameClass frame_class, std::string payload);
  // Bytes of messages queued and not yet given to the kernel.
  size_t QueuedBytes() const;
  // Back-pressure: false holds messages below control back. The peer can then send at most
  // kLinkWindowBytes more of them.
  void EnableReading(bool on);
  // Writes what is queued and, on TCP, waits until the peer's kernel has it; blocks at most for
  // `bound`. What arrives meanwhile is delivered later, from the loop. For the last message before
  // an exit. No effect before the link is up.
  void Flush(std::chrono::milliseconds bound);
  // A TCP connection to the same peer: the parent's from LinkListener, the child's from LinkDialer.
  // Once; a second stream is closed.
  void AdoptTcp(AuthenticatedStream stream);
  std::optional<ClockOffset> offset() const;
  bool up() const;
  bool on_tcp() const;  // both directions
  bool closed() const;

 private:
  std::shared_ptr<LinkCore> core_;
};

}  // namespace rex
