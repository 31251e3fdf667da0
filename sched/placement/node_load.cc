#include "sched/placement/node_load.h"

#include <algorithm>

#include "launcher/base/text.h"

namespace rex {

namespace {

constexpr uint64_t kWhole = 100;

// threads / cores in parts of `parts` to the whole, rounded half up.
uint64_t Parts(const NodeLoad& load, uint64_t parts) {
  const uint64_t threads = load.ranks * kWhole + load.foreign;
  const uint64_t cores = load.capacity > 0 ? load.capacity : kWhole;
  return (2 * parts * threads + cores) / (2 * cores);
}

std::string TwoDigits(uint64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); }

}  // namespace

uint64_t LoadHundredths(const NodeLoad& load) { return Parts(load, 100); }

uint64_t LoadTenths(const NodeLoad& load) { return Parts(load, 10); }

std::string LoadText(uint64_t hundredths) {
  return std::to_string(hundredths / kWhole) + "." + TwoDigits(hundredths % kWhole);
}

std::string PlainText(uint64_t hundredths) {
  std::string text = LoadText(hundredths);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string ListedLoads(std::vector<std::pair<std::string, NodeLoad>> nodes) {
  std::stable_sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
    return LoadHundredths(a.second) < LoadHundredths(b.second);
  });
  std::vector<std::string> texts;
  texts.reserve(nodes.size());
  for (const auto& [name, load] : nodes) {
    texts.push_back(name + " " + LoadText(LoadHundredths(load)));
  }
  return Listed(texts);
}

}  // namespace rex
