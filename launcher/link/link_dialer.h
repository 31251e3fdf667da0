// The child's side of a link's TCP connection: tries the parent's addresses, the first at once,
// each further one 250 ms later or as soon as one before it has failed. The first that completes
// the handshake with the right parent wins; the proof of ours that completes it is sent on that one
// connection only, so the parent takes no other. Destroying the dialer gives up.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/link/authenticated_stream.h"
#include "launcher/link/handshake.h"
#include "launcher/link/link.h"

namespace rex {

class LinkDialer {
 public:
  // `addresses` are numbers (IPv4 or IPv6, "%interface" allowed), best first; doubles are tried
  // once. `on_done` is called once, from the loop, and may destroy the dialer. Its error lists
  // every address that was tried and how it failed. Loop thread only.
  LinkDialer(EventLoop& loop, LinkParams params, std::vector<std::string> addresses, uint16_t port,
             std::chrono::milliseconds bound,
             std::function<void(Result<AuthenticatedStream>)> on_done,
             LinkStream stream = LinkStream::kTcp);
  ~LinkDialer();
  LinkDialer(const LinkDialer&) = delete;
  LinkDialer& operator=(const LinkDialer&) = delete;

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace rex
