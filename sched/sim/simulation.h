// Jobs that come in bursts on a simulated cluster, and five ways to choose their nodes, to compare
// what each knows, what that costs and how even the load becomes. Deterministic: equal input gives
// equal results. docs/design/sched.md, "Gossip", says what is simulated and has the results.
#pragma once

#include <cstdint>
#include <string_view>

namespace rex {

enum class Chooser : uint8_t { kCentral, kGossip, kRandom, kRoundRobin, kTwoChoices };
inline constexpr Chooser kChoosers[] = {Chooser::kCentral, Chooser::kGossip, Chooser::kTwoChoices,
                                        Chooser::kRoundRobin, Chooser::kRandom};
std::string_view ChooserName(Chooser chooser);

struct SimOptions {
  uint32_t nodes = 10;  // at least 2
  uint32_t cores = 8;   // of each
  Chooser chooser = Chooser::kCentral;
  uint64_t seed = 1;
  double seconds = 30;      // simulated; the first fifth is not measured
  double load = 0.7;        // of all cores by ranks, in the mean
  double rank_seconds = 2;  // mean CPU time of a rank, exponential
  double job_share = 0.05;  // a job's ranks: so large a part of all cores in the mean
  double foreign_share =
      0.1;  // of the nodes: somebody else's threads on half their cores, on and off
};

struct SimResult {
  double imbalance =
      0;  // most runnable threads per core of a node / mean of the nodes; mean of samples
  double staleness = 0;  // seconds: age of what was believed of the chosen node, 0 when it was true
  bool knows = false;    // anything is believed at all
  double messages = 0;   // a second, all nodes
  double busiest = 0;    // a second, to and from the busiest node
  double slowdown = 0;   // a rank's time / its CPU time, mean
  uint64_t ranks = 0;    // measured
};

SimResult Simulate(const SimOptions& options);

}  // namespace rex
