// A TCP connection whose handshake is done: the other end has proved that it is the agent that is
// meant. Made by LinkListener and LinkDialer, used by Link::AdoptTcp.
#pragma once

#include "launcher/base/fd.h"
#include "launcher/link/link_key.h"

namespace rex {

// Of one stream of a link, fresh for each.
struct SessionKeys {
  Secret down;  // parent to child
  Secret up;    // child to parent
};

struct AuthenticatedStream {
  UniqueFd socket;  // non-blocking; nothing behind the handshake has been read
  SessionKeys keys;
};

}  // namespace rex
