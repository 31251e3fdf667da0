#include "launcher/job/job_placement.h"

#include <algorithm>

#include "launcher/base/private_dir.h"
#include "pmix-server/proto/openmpi_jobid.h"
#include "sched/placement/placement.h"

namespace rex {

namespace {

constexpr size_t kNameSpaceDigits = 16;
constexpr size_t kMostNameTries = 16;

Failure NoResources(std::string detail) {
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = std::move(detail);
  return failure;
}

// The indices of an app's nodes among those that are there.
std::vector<uint32_t> NodesThere(const AppSpec& app, const std::vector<JobNode>& nodes) {
  std::vector<uint32_t> there;
  for (const uint32_t index : app.nodes) {
    if (nodes[index].missing) continue;
    const auto before = std::count_if(nodes.begin(), nodes.begin() + index,
                                      [](const JobNode& node) { return !node.missing; });
    there.push_back(static_cast<uint32_t>(before));
  }
  return there;
}

PlacementRequest RequestOf(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  PlacementRequest request;
  for (const AppSpec& app : spec.apps) {
    request.apps.push_back(
        {.ranks = app.ranks, .per_node = app.per_node, .nodes = NodesThere(app, nodes)});
    const bool dealt_out = spec.map == MapPolicy::kNode;
    request.apps.back().policy.map = dealt_out ? MapBy::kNode : MapBy::kSlot;
  }
  for (const JobNode& node : nodes) {
    if (node.missing) continue;
    request.nodes.push_back(
        {.slots = node.slots,
         .slots_from_cores = node.slots_from_cores && !spec.refuse_oversubscribe,
         .most_ranks = node.max_slots,
         .id = node.id,
         .name = node.name});
  }
  request.oversubscribe = spec.oversubscribe;
  return request;
}

// Ranks that share cores yield while they wait; the user is told once, for the fullest node.
std::vector<Notice> SharedCores(const JobMap& map, const std::vector<JobNode>& nodes) {
  const JobNode* fullest = nullptr;
  for (const JobNode& node : nodes) {
    if (map.CountOn(node.id) <= node.cores) continue;
    if (fullest == nullptr || map.CountOn(node.id) * uint64_t{fullest->cores} >
                                  map.CountOn(fullest->id) * uint64_t{node.cores}) {
      fullest = &node;
    }
  }
  if (fullest == nullptr) return {};
  const bool alone = nodes.size() == 1 && fullest->id == kHeadNode;
  return {{Notice::Level::kInfo,
           std::to_string(map.CountOn(fullest->id)) + " ranks share " +
               std::to_string(fullest->cores) + (fullest->cores == 1 ? " core of " : " cores of ") +
               (alone ? "this machine" : "node " + fullest->name) +
               "; they yield while they wait (--oversubscribe hides this line)"}};
}

}  // namespace

std::variant<PlacedJob, Failure> PlaceJob(const JobSpec& spec, const std::vector<JobNode>& nodes,
                                          uint32_t dvm_nodes) {
  for (const AppSpec& app : spec.apps) {
    if (!app.nodes.empty() && NodesThere(app, nodes).empty()) {
      return NoResources("none of the nodes of program '" + app.argv[0] + "' could be started");
    }
  }
  const auto placement = Place(RequestOf(spec, nodes), kMaxRanks);
  if (!placement) return NoResources(placement.error().text);
  JobSpec resolved = spec;
  resolved.dvm = DvmSpec{};  // parts need no nodes: their names come with the map
  for (size_t i = 0; i < resolved.apps.size(); ++i) {
    resolved.apps[i].nodes.clear();
    resolved.apps[i].ranks = placement->app_ranks[i];
  }
  auto map = JobMap::Make(RunsOf(placement->node_of_rank), resolved.TotalRanks(), dvm_nodes);
  REX_CHECK(map.has_value());
  PlacedJob placed;
  for (const JobNode& node : nodes) placed.slots += node.missing ? 0 : node.slots;
  if (!spec.oversubscribe) placed.notices = SharedCores(*map, nodes);
  placed.spec = std::make_shared<const JobSpec>(std::move(resolved));
  placed.map = std::make_shared<const JobMap>(*std::move(map));
  return placed;
}

std::string NewNameSpace() {
  for (size_t i = 0; i < kMostNameTries; ++i) {
    std::string name = "rex-" + RandomHex(kNameSpaceDigits);
    if (pmix::IsUsableOpenMpiJobid(pmix::OpenMpiJobid(name))) return name;
  }
  REX_CHECK(!"sixteen random names with an unusable hash");
  return {};
}

}  // namespace rex
