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

PlacementRequest RequestOf(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  PlacementRequest request;
  for (const AppSpec& app : spec.apps) request.app_ranks.push_back(app.ranks);
  for (const JobNode& node : nodes) {
    request.nodes.push_back({node.slots, node.slots_from_cores && !spec.refuse_oversubscribe});
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
  const auto placement = Place(RequestOf(spec, nodes));
  if (!placement) return NoResources(placement.error().text);
  std::vector<MapRun> runs;
  for (const PlacementRun& run : placement->runs) {
    runs.push_back({nodes[run.node].id, run.first_rank, run.count, 1});
  }
  JobSpec resolved = spec;
  resolved.dvm.nodes.clear();
  for (AppSpec& app : resolved.apps) app.nodes.clear();
  auto map = JobMap::Make(std::move(runs), resolved.TotalRanks(), dvm_nodes);
  REX_CHECK(map.has_value());
  PlacedJob placed;
  for (const JobNode& node : nodes) placed.slots += node.slots;
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
