// Compares ways to choose nodes on simulated clusters; prints the table of docs/design/sched.md.
// Usage: choosers [SECONDS [SEED [NODES...]]], by default 30 1 10 100 1000 10000. SECONDS are
// simulated; on 10000 nodes a third of them.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "sched/sim/simulation.h"

namespace {

void Show(const rex::SimOptions& options) {
  const rex::SimResult r = rex::Simulate(options);
  char stale[32] = "-";
  if (r.knows) std::snprintf(stale, sizeof stale, "%.0f", r.staleness * 1000);
  const std::string name(rex::ChooserName(options.chooser));
  std::printf("| %u | %s | %s | %.0f | %.0f | %.2f | %.2f |\n", options.nodes, name.c_str(), stale,
              r.messages, r.busiest, r.imbalance, r.slowdown);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  rex::SimOptions options;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 30;
  options.seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<uint32_t> sizes = {10, 100, 1000, 10000};
  if (argc > 3) sizes.clear();
  for (int i = 3; i < argc; ++i) sizes.push_back(static_cast<uint32_t>(std::atoi(argv[i])));
  std::printf(
      "| nodes | | stale (ms) | messages/s | at the busiest node | max/mean | slowdown |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const uint32_t nodes : sizes) {
    if (nodes < 2) return 2;
    options.nodes = nodes;
    options.seconds = nodes >= 10000 ? seconds / 3 : seconds;
    for (const rex::Chooser chooser : rex::kChoosers) {
      options.chooser = chooser;
      Show(options);
    }
  }
  return 0;
}
