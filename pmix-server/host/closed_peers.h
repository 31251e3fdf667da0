// Whether ranks have closed connections that libpmix has not looked at yet. Any thread.
#pragma once

namespace rex::pmix {

// A TCP connection of this process has been closed at its other end and not yet here. Looks at
// every descriptor. False when that can't be found out.
bool AnyClosedByPeer();

}  // namespace rex::pmix
