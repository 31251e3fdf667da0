#include "launcher/part/node_apps.h"

namespace rex {

std::vector<NodeApp> NodeAppsOf(const JobSpec& spec, const JobMap& map, NodeId node) {
  const std::vector<Rank> ranks = map.RanksOf(node);
  std::vector<NodeApp> apps;
  auto next = ranks.begin();
  Rank first = 0;
  for (const AppSpec& app : spec.apps) {
    NodeApp mine{.policy = &app.place};
    for (; next != ranks.end() && *next - first < app.ranks; ++next) {
      mine.ranks.push_back(*next);
      if (!app.slot_lists.empty()) mine.slot_lists.push_back(app.slot_lists[*next - first]);
    }
    first += app.ranks;
    apps.push_back(std::move(mine));
  }
  return apps;
}

}  // namespace rex
