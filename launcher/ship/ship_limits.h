// What the sender and stage-0 agree on. Freestanding. docs/protocol.md, "Sending rex", is
// normative.
#pragma once

#include <stddef.h>

namespace rex {

inline constexpr int kShipWatchFd = 4;  // the fifo whose end makes the watcher remove the directory
inline constexpr size_t kMaxShipFiles = 64;
inline constexpr size_t kMaxManifestBytes = 32 << 10;
inline constexpr size_t kMaxShipNameBytes = 128;
inline constexpr size_t kMaxShipPathBytes = 1024;
inline constexpr int kExitShip = 125;  // of the shell's script and of stage-0, which say why

}  // namespace rex
