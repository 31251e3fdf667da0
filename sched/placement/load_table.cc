#include "sched/placement/load_table.h"

#include <algorithm>

namespace rex {

bool LoadTable::OnTold(NodeId node, uint32_t foreign, uint32_t capacity, Clock::Time now) {
  KnownLoad& known = loads_[node];
  const bool same = known.told && known.load.foreign == foreign && known.load.capacity == capacity;
  known.load.foreign = foreign;
  known.load.capacity = capacity;
  known.told = now;
  return !same;
}

void LoadTable::AddRanks(NodeId node, int64_t threads) {
  if (threads < 0 && !loads_.contains(node)) return;  // lost meanwhile
  KnownLoad& known = loads_[node];
  const int64_t sum = int64_t{known.load.ranks} + threads;
  known.load.ranks = static_cast<uint32_t>(std::clamp<int64_t>(sum, 0, INT32_MAX));
}

KnownLoad LoadTable::Of(NodeId node) const {
  const auto found = loads_.find(node);
  return found == loads_.end() ? KnownLoad{} : found->second;
}

}  // namespace rex
