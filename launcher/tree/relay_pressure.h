// Which links must not be read because what they bring can't be passed on fast enough. Pure: the
// tree tells it how much is queued, and does what it says.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "launcher/base/node_id.h"

namespace rex {

inline constexpr size_t kRelayHighBytes = 1 << 20;   // queued for one link: its sources pause
inline constexpr size_t kRelayLowBytes = 512 << 10;  // and go on

class RelayPressure {
 public:
  // A message of `source` was queued for `next`, which now has `queued` bytes. True: `source` is
  // to be paused (and was not before).
  bool OnForward(NodeId source, NodeId next, size_t queued);
  // `next` has `queued` bytes. Returns the sources that go on.
  std::vector<NodeId> OnQueue(NodeId next, size_t queued);
  // The link is gone, as a source and as a next one. Returns the sources that go on.
  std::vector<NodeId> Remove(NodeId node);
  // Links with sources that wait for them.
  std::vector<NodeId> congested() const;
  bool Paused(NodeId source) const { return waits_for_.contains(source); }

 private:
  std::map<NodeId, std::set<NodeId>> waits_for_;  // source to the links that must drain first
};

}  // namespace rex
