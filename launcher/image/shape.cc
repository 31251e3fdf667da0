#include "launcher/image/shape.h"

namespace rex {

namespace {
constexpr unsigned kMostFanOut = 4;

// Levels below the first node.
uint64_t Depth(uint64_t nodes, unsigned fan_out) {
  if (fan_out == 1) return nodes - 1;
  uint64_t depth = 0;
  uint64_t level = 1;
  for (uint64_t reached = 1; reached < nodes; reached += level) {
    level *= fan_out;
    ++depth;
  }
  return depth;
}
}  // namespace

double TransferCost(uint64_t nodes, uint64_t pieces, unsigned fan_out) {
  if (nodes == 0) return 0;
  const uint64_t streams = nodes > fan_out ? fan_out : nodes > 1 ? nodes - 1 : 1;
  const double all = static_cast<double>(pieces) * static_cast<double>(streams);
  return all + static_cast<double>(Depth(nodes, fan_out)) * fan_out;
}

unsigned BestFanOut(uint64_t nodes, uint64_t pieces) {
  unsigned best = 1;
  for (unsigned fan_out = 2; fan_out <= kMostFanOut; ++fan_out) {
    if (TransferCost(nodes, pieces, fan_out) < TransferCost(nodes, pieces, best)) best = fan_out;
  }
  return best;
}

std::vector<int> ImageParents(uint64_t nodes, unsigned fan_out) {
  std::vector<int> parents;
  for (uint64_t i = 0; i < nodes; ++i) {
    parents.push_back(i == 0 ? -1 : static_cast<int>((i - 1) / fan_out));
  }
  return parents;
}

}  // namespace rex
