// News of nodes' loads on their way to the head: the message, and what an agent in the middle makes
// of several. docs/design/sched.md, "What goes over the network".
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

inline constexpr uint8_t kLoadNewsKind = 42;

// As sched/placement/node_load.h has them.
struct LoadNews {
  NodeId node{};
  uint32_t foreign = 0;
  uint32_t capacity = 0;  // at least 1
  bool operator==(const LoadNews&) const = default;
};

// `news` has each node once.
std::string EncodeLoadNews(const std::vector<LoadNews>& news);
// Errors: kProtocol.
Result<std::vector<LoadNews>> DecodeLoadNews(const std::string& payload);

// Holds news back so that they go on at most every kPause; of two about one node the later counts.
// No I/O.
class LoadRelay {
 public:
  static constexpr std::chrono::milliseconds kPause{100};

  void Add(const LoadNews& news) { held_[news.node] = news; }
  // When what is held may go; none: nothing is held.
  std::optional<Clock::Time> Due() const;
  // What is held, which goes now.
  std::vector<LoadNews> Take(Clock::Time now);

 private:
  std::map<NodeId, LoadNews> held_;
  std::optional<Clock::Time> sent_;
};

}  // namespace rex
