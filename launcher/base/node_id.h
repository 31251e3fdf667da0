// Which node of a DVM: 0 is the head's own machine, the others are numbered as the user named them.
// An id never changes and is never used again during a DVM's life.
#pragma once

#include <cstdint>

namespace rex {

enum class NodeId : uint32_t {};

inline constexpr NodeId kHeadNode{0};
inline constexpr uint32_t kMaxNodes = 1 << 16;  // per DVM, the head's included

constexpr uint32_t Index(NodeId node) { return static_cast<uint32_t>(node); }

}  // namespace rex
