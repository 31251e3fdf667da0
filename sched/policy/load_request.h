// What a job asks about the loads of nodes. Plain data; docs/design/sched.md has the meaning.
#pragma once

#include <chrono>
#include <cstdint>

namespace rex {

inline constexpr uint32_t kNoMaxLoad = UINT32_MAX;
inline constexpr uint32_t kMostMaxLoad = 1'000'000;  // hundredths

struct LoadRequest {
  // Neither nodes nor a mapping were named: the lightest nodes first.
  bool lightest_first = false;
  uint32_t max_load = kNoMaxLoad;  // hundredths: busier nodes are not used
  std::chrono::seconds wait{0};    // for nodes that are not busier; 0: the job is refused
};

}  // namespace rex
