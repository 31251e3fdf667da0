// The messages between the tree's tests and their agents.
#pragma once

#include <cstdint>

namespace rex::testing {

inline constexpr uint8_t kEcho = 32;    // answered with the node's name and the payload
inline constexpr uint8_t kAnswer = 33;  // to the head
inline constexpr uint8_t kTell = 34;    // "NODE TEXT": tells that node TEXT
inline constexpr uint8_t kTold = 35;    // answered to the head
inline constexpr uint8_t kFlood =
    36;  // "NODE COUNT": sends that node COUNT messages of 60000 bytes
inline constexpr uint8_t kBulk = 37;
inline constexpr uint8_t kBulkEnd = 38;  // answered to the head with the bytes received

}  // namespace rex::testing
