// The parent's side of a link's TCP connection: one listening port for all children.
//
// Anybody may connect. Until its handshake is done a connection is half-open: at most 64 of those
// (the oldest goes first), 5 s each, and no byte is read beyond the 156 of a handshake. A stranger
// costs a line in the log, at most one in 10 s, and nothing else.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/base/node_id.h"
#include "launcher/link/authenticated_stream.h"
#include "launcher/link/handshake.h"

namespace rex {

class LinkListener {
 public:
  // Which children are awaited now, and for what. Asked when a connection names its node, again
  // when it is done.
  using Wanted = std::function<bool(NodeId child, LinkStream stream)>;
  // May destroy the listener.
  using OnChild = std::function<void(NodeId child, LinkStream which, AuthenticatedStream stream)>;

  // Listens on an ephemeral port of all addresses, IPv6 and IPv4 (IPv4 alone where there is no
  // IPv6). `key` is borrowed and outlives the listener. Loop thread only.
  // Errors: kResource, kPermission, kInternal.
  static Result<std::unique_ptr<LinkListener>> Open(EventLoop& loop, NodeId self, DvmId dvm,
                                                    const LinkKey& key, std::string version,
                                                    Wanted wanted, OnChild on_child);
  ~LinkListener();
  LinkListener(const LinkListener&) = delete;
  LinkListener& operator=(const LinkListener&) = delete;

  uint16_t port() const;
  size_t half_open() const;

  // This node's addresses as numbers, IPv4 and IPv6, link-local ones left out, loopback last.
  static std::vector<std::string> OwnAddresses();

 private:
  class Core;
  explicit LinkListener(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace rex
