// How long the head takes to place many ranks on many nodes, and a node to plan its own: no
// network, no processes. Usage: placements [RANKS NODES], by default 100000 and 10000. Prints
// milliseconds of the fastest of five runs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

#include "sched/placement/job_map.h"
#include "sched/placement/node_places.h"
#include "sched/placement/placement.h"
#include "sched/policy/policy_words.h"

namespace {

using rex::Hardware;

double Fastest(const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  return best;
}

rex::PlacementRequest RequestOf(const char* map, uint32_t ranks, uint32_t nodes) {
  // Two kinds of nodes, in turn: 2 x 16 cores with threads, 4 x 8 without.
  const auto smt = rex::DecodeHardware("p 0-63;n 32*2;s 32*2;3 16*4;2 2*32;1 2*32;c 2*32;d");
  const auto flat = rex::DecodeHardware("p 0-31;n 8*4;s 16*2;3 8*4;2 1*32;1 1*32;c 1*32;d");
  const std::shared_ptr<const Hardware> kinds[] = {std::make_shared<const Hardware>(*smt),
                                                   std::make_shared<const Hardware>(*flat)};
  rex::PlacementRequest request;
  for (uint32_t i = 0; i < nodes; ++i) {
    request.nodes.push_back({.slots = 32,
                             .id = rex::NodeId(i),
                             .hardware = kinds[i % 2],
                             .load = {i % 3, 100 * (i * 7 % 40), 3200}});
  }
  request.apps.push_back({.ranks = ranks});
  request.lightest_first = std::string_view(map) == "lightest";
  if (request.lightest_first) return request;
  rex::MapModifiers modifiers;
  if (!rex::TakeMapBy(map, &request.apps[0].policy, &modifiers)) std::abort();
  return request;
}

// Placed, and made into what goes over the network.
void PlaceOnce(const rex::PlacementRequest& request, uint32_t ranks, uint32_t nodes) {
  const auto placement = rex::Place(request);
  if (!placement) std::abort();
  const auto map = rex::JobMap::Make(rex::RunsOf(placement->node_of_rank), ranks, nodes);
  if (!map || map->total() != ranks) std::abort();
}

void Report(const char* map, const char* rank, uint32_t ranks, uint32_t nodes) {
  rex::PlacementRequest request = RequestOf(map, ranks, nodes);
  if (!rex::TakeRankBy(rank, &request.apps[0].policy)) std::abort();
  const double place = Fastest([&] { PlaceOnce(request, ranks, nodes); });
  const auto placement = rex::Place(request);
  rex::NodeApp app{.policy = &placement->policies[0], .ranks = {}, .slot_lists = {}};
  for (uint32_t i = 0; i < 32; ++i) app.ranks.push_back(i);
  const double plan = Fastest([&] {
    if (!rex::PlanNode(*request.nodes[1].hardware, {app})) std::abort();
  });
  std::printf("%-14s rank by %-12s %8u ranks on %6u nodes: %8.2f ms; a node plans 32 in %.3f ms\n",
              map, rank, ranks, nodes, place, plan);
}

}  // namespace

int main(int argc, char** argv) {
  const auto ranks = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[1]) : 100'000);
  const auto nodes = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[2]) : 10'000);
  for (const char* map : {"slot", "node", "core", "numa", "numa:SPAN", "ppr:5:socket", "load"}) {
    Report(map, "slot", ranks, nodes);
  }
  Report("lightest", "slot", ranks, nodes);
  Report("numa:SPAN", "numa:span", ranks, nodes);
  Report("core", "node", ranks, nodes);
  return 0;
}
