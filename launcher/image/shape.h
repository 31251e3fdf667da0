// Who gets pieces from whom: the cheapest of a chain and k-ary trees below the first node, by the
// cost model of docs/design/image.md. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace rex {

// In pieces' times: a chain for fan_out 1. The head's own sending to the first node is the first
// hop.
double TransferCost(uint64_t nodes, uint64_t pieces, unsigned fan_out);

// The fan-out with the least cost, 1 to 4.
unsigned BestFanOut(uint64_t nodes, uint64_t pieces);

// parent[i] is the place in the list of nodes from which node i gets its pieces; -1: the head.
std::vector<int> ImageParents(uint64_t nodes, unsigned fan_out);

}  // namespace rex
