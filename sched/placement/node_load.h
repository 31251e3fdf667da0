// The load of a node: runnable threads per usable core. docs/design/sched.md has the formula and
// where its parts come from. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rex {

struct NodeLoad {
  uint32_t ranks = 0;     // threads that this DVM's ranks there are counted as
  uint32_t foreign = 0;   // hundredths of a thread: all others that are runnable
  uint32_t capacity = 0;  // hundredths of a core; 0: not known, counted as one core
  bool operator==(const NodeLoad&) const = default;
};

// More than any node has: what a message may say.
inline constexpr uint32_t kMaxForeign = 100 << 20;
inline constexpr uint32_t kMaxCapacity = 100 << 20;

// Rounded to hundredths, as it is shown and compared with --max-load.
uint64_t LoadHundredths(const NodeLoad& load);
// Rounded to tenths: nodes with equal tenths are equally loaded.
uint64_t LoadTenths(const NodeLoad& load);
// "1.50".
std::string LoadText(uint64_t hundredths);
// "1.50" of hundredths of something that is mostly whole: "1.5", "2".
std::string PlainText(uint64_t hundredths);

// "n3 0.00, n1 1.50 and 2 more": the lightest first, equal ones in the order given.
std::string ListedLoads(std::vector<std::pair<std::string, NodeLoad>> nodes);

}  // namespace rex
