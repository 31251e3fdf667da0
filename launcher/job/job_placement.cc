#include "launcher/job/job_placement.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "launcher/base/private_dir.h"
#include "pmix-server/proto/openmpi_jobid.h"
#include "sched/placement/placement.h"
#include "sched/policy/policy_words.h"

namespace rex {

namespace {

constexpr size_t kNameSpaceDigits = 16;
constexpr size_t kMostNameTries = 16;
constexpr const char* kBusyRemedy =
    "raise --max-load, or wait with --wait until nodes are less loaded";

Failure NoResources(std::string detail) {
  Failure failure;
  failure.kind = FailureKind::kNoResources;
  failure.detail = std::move(detail);
  return failure;
}

// Takes the missing ones out of all nodes, and out of the numbers by which apps name them. Says
// what an app can't do without.
std::optional<std::string> LeaveOutMissing(JobSpec* spec, std::vector<JobNode>* nodes) {
  std::vector<uint32_t> index_there;
  std::vector<JobNode> there;
  for (const JobNode& node : *nodes) {
    index_there.push_back(static_cast<uint32_t>(there.size()));
    if (!node.missing) there.push_back(node);
  }
  if (there.size() == nodes->size()) return std::nullopt;
  for (AppSpec& app : spec->apps) {
    const auto gone = [nodes](uint32_t node) { return (*nodes)[node].missing; };
    const auto lost = std::find_if(app.fixed.begin(), app.fixed.end(), gone);
    if (lost != app.fixed.end()) {
      return "node " + (*nodes)[*lost].name + " could not be started, and ranks of program '" +
             app.argv[0] + "' have their places on it";
    }
    const bool named = !app.nodes.empty();
    std::erase_if(app.nodes, gone);
    if (named && app.nodes.empty()) {
      return "none of the nodes of program '" + app.argv[0] + "' could be started";
    }
    for (uint32_t& node : app.nodes) node = index_there[node];
    for (uint32_t& node : app.fixed) node = index_there[node];
  }
  *nodes = std::move(there);
  return std::nullopt;
}

bool CountsThreads(const JobSpec& spec) {
  return std::any_of(spec.apps.begin(), spec.apps.end(),
                     [](const AppSpec& app) { return app.place.hwthread_cpus; });
}

// Nodes that are all this machine.
bool AreVirtual(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  return spec.dvm.bootstrap == Bootstrap::kVirtual && nodes.size() > 1;
}

PlacementRequest RequestOf(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  PlacementRequest request;
  for (const AppSpec& app : spec.apps) {
    request.apps.push_back({.ranks = app.ranks,
                            .per_node = app.per_node,
                            .nodes = app.nodes,
                            .policy = app.place,
                            .fixed = app.fixed});
  }
  for (const JobNode& node : nodes) {
    request.nodes.push_back(
        {.slots = node.slots,
         .slots_from_cores = node.slots_from_cores && !spec.refuse_oversubscribe,
         .most_ranks = node.max_slots,
         .id = node.id,
         .name = node.name,
         .hardware = node.hardware,
         .load = node.load.value_or(NodeLoad{.capacity = 100 * node.cores}),
         .used = node.used});
  }
  request.oversubscribe = spec.oversubscribe;
  request.lightest_first = spec.load.lightest_first;
  request.max_load = spec.load.max_load;
  return request;
}

// ---- processors that ranks share

uint32_t CpusOf(const JobNode& node, bool threads) {
  if (!node.hardware) return node.cores;
  return threads ? static_cast<uint32_t>(node.hardware->cpus.size()) : node.cores;
}

Notice SharingNotice(uint32_t ranks, uint32_t cpus, bool threads, const std::string& of) {
  const std::string word = threads ? "hardware thread" : "core";
  return {Notice::Level::kInfo, std::to_string(ranks) + " ranks share " + std::to_string(cpus) +
                                    " " + word + (cpus == 1 ? " of " : "s of ") + of +
                                    "; they yield while they wait (--oversubscribe hides this "
                                    "line)"};
}

// Ranks that share cores yield while they wait; the user is told once, for the fullest node.
std::vector<Notice> SharedCores(const JobSpec& spec, const JobMap& map,
                                const std::vector<JobNode>& nodes) {
  const bool threads = CountsThreads(spec);
  if (AreVirtual(spec, nodes)) {
    const uint32_t cpus = CpusOf(nodes.front(), threads);
    if (map.total() <= cpus) return {};
    return {SharingNotice(map.total(), cpus, threads, "this machine")};
  }
  const JobNode* fullest = nullptr;
  for (const JobNode& node : nodes) {
    const uint64_t cpus = CpusOf(node, threads);
    if (map.CountOn(node.id) <= cpus) continue;
    if (fullest == nullptr || map.CountOn(node.id) * uint64_t{CpusOf(*fullest, threads)} >
                                  map.CountOn(fullest->id) * cpus) {
      fullest = &node;
    }
  }
  if (fullest == nullptr) return {};
  const bool alone = nodes.size() == 1 && fullest->id == kHeadNode;
  return {SharingNotice(map.CountOn(fullest->id), CpusOf(*fullest, threads), threads,
                        alone ? "this machine" : "node " + fullest->name)};
}

// ---- OMP_NUM_THREADS

std::string_view ValueIn(const std::vector<std::string>& env, std::string_view assignment) {
  std::string_view value;
  for (const std::string& entry : env) {
    if (entry.starts_with(assignment)) value = std::string_view(entry).substr(assignment.size());
  }
  return value;
}

// The threads that an app's ranks are told to use, the first of a nested list; 0: not told.
uint32_t ThreadsOf(const JobSpec& spec, const AppSpec& app) {
  constexpr std::string_view kName = "OMP_NUM_THREADS=";
  std::string_view text = ValueIn(app.env, kName);
  if (text.empty()) text = ValueIn(spec.env, kName);
  uint32_t threads = 0;
  for (const char c : text.substr(0, text.find(','))) {
    if (c < '0' || c > '9' || threads > kMaxCpusPerRank) return 0;
    threads = threads * 10 + static_cast<uint32_t>(c - '0');
  }
  return threads <= kMaxCpusPerRank ? threads : 0;
}

bool LeavesItToUs(const PlacePolicy& place) {
  return place.map == MapBy::kUnset && place.bind == BindTo::kUnset && place.cpus_per_rank == 0 &&
         place.cpu_list.empty();
}

// Each app's threads, when all have some and nobody said anything about places; else empty.
std::vector<uint32_t> ThreadsToHonour(const JobSpec& spec, const std::vector<JobNode>& nodes) {
  std::vector<uint32_t> threads;
  if (AreVirtual(spec, nodes)) return threads;
  for (const AppSpec& app : spec.apps) {
    threads.push_back(ThreadsOf(spec, app));
    if (threads.back() == 0 || !LeavesItToUs(app.place)) return {};
  }
  const bool any = std::any_of(threads.begin(), threads.end(), [](uint32_t t) { return t > 1; });
  return any ? threads : std::vector<uint32_t>{};
}

// The first node that has too few cores for its ranks' threads.
const JobNode* FullNode(const Placement& placement, const std::vector<uint32_t>& threads,
                        const std::vector<JobNode>& nodes) {
  std::map<NodeId, uint64_t> wanted;
  size_t rank = 0;
  for (size_t app = 0; app < threads.size(); ++app) {
    for (uint32_t i = 0; i < placement.app_ranks[app]; ++i) {
      wanted[placement.node_of_rank[rank++]] += threads[app];
    }
  }
  for (const JobNode& node : nodes) {
    const auto here = wanted.find(node.id);
    if (here != wanted.end() && here->second > node.cores) return &node;
  }
  return nullptr;
}

Notice ThreadsNotice(const std::vector<uint32_t>& threads, const JobNode* full) {
  const bool same = std::count(threads.begin(), threads.end(), threads[0]) ==
                    static_cast<ptrdiff_t>(threads.size());
  const std::string number = same ? std::to_string(threads[0]) : "its";
  if (full == nullptr) {
    return {Notice::Level::kInfo, "each rank is bound to " + number +
                                      (same ? " cores" : " own number of cores") +
                                      ", as OMP_NUM_THREADS says (--bind-to none: to none)"};
  }
  return {Notice::Level::kInfo, "ranks are not bound: the threads of OMP_NUM_THREADS" +
                                    (same ? "=" + number : std::string()) + " are more than the " +
                                    std::to_string(full->cores) +
                                    (full->cores == 1 ? " core" : " cores") + " of node " +
                                    full->name};
}

// What was placed, with as many cores for each rank as it has threads, if there are so many.
Result<Placement> PlaceForThreads(PlacementRequest request, const std::vector<uint32_t>& threads,
                                  const std::vector<JobNode>& nodes, std::vector<Notice>* notices) {
  for (size_t app = 0; app < threads.size(); ++app) {
    request.apps[app].policy.map = MapBy::kSlot;
    request.apps[app].policy.map_is_default = true;
    request.apps[app].policy.cpus_per_rank = threads[app];
  }
  auto placement = Place(request, kMaxRanks);
  if (!placement) return placement;
  const JobNode* full = FullNode(*placement, threads, nodes);
  notices->push_back(ThreadsNotice(threads, full));
  for (PlacePolicy& policy : placement->policies) {
    policy.bind_is_default = true;  // nobody asked
    if (full != nullptr) policy.bind = BindTo::kNone;
  }
  return placement;
}

Notice PolicyNotice(const std::vector<AppSpec>& apps) {
  std::string text;
  for (const AppSpec& app : apps) {
    const std::string one = "mapped by " + MapName(app.place) + " and " +
                            (app.place.bind == BindTo::kNone ? std::string("not bound")
                                                             : "bound to " + BindName(app.place));
    if (text.find(one) == std::string::npos) text += (text.empty() ? "ranks are " : "; ") + one;
  }
  return {Notice::Level::kDetail, text};
}

}  // namespace

void CountThreads(const JobSpec& spec, std::vector<JobNode>* nodes) {
  if (!CountsThreads(spec)) return;
  for (JobNode& node : *nodes) {
    if (node.counted) node.slots = CpusOf(node, true);
  }
}

std::variant<PlacedJob, Failure> PlaceJob(const JobSpec& spec, const std::vector<JobNode>& all,
                                          uint32_t dvm_nodes) {
  PlacedJob placed;
  JobSpec resolved = spec;
  std::vector<JobNode> nodes = all;
  if (auto lacking = LeaveOutMissing(&resolved, &nodes)) return NoResources(*std::move(lacking));
  const std::vector<uint32_t> threads = ThreadsToHonour(spec, nodes);
  auto placement = threads.empty() ? Place(RequestOf(resolved, nodes), kMaxRanks)
                                   : PlaceForThreads(RequestOf(resolved, nodes), threads, nodes,
                                                     &placed.notices);
  if (!placement) {
    Failure failure = NoResources(placement.error().text);
    if (OnlyTooBusy(spec, all, dvm_nodes)) failure.remedy = kBusyRemedy;
    return failure;
  }
  const bool are_virtual = AreVirtual(spec, nodes);  // each would bind its ranks to the first cores
  resolved.dvm = DvmSpec{};  // parts need no nodes: their names come with the map
  resolved.described.clear();
  for (size_t i = 0; i < resolved.apps.size(); ++i) {
    AppSpec& app = resolved.apps[i];
    app.nodes.clear();
    app.fixed.clear();
    app.ranks = placement->app_ranks[i];
    app.place = placement->policies[i];
    if (are_virtual && app.place.bind_is_default) app.place.bind = BindTo::kNone;
  }
  auto map = JobMap::Make(RunsOf(placement->node_of_rank), resolved.TotalRanks(), dvm_nodes);
  REX_CHECK(map.has_value());
  for (size_t i = 0; i < nodes.size(); ++i) {
    // Of a pool the job keeps the nodes that it uses.
    if (!spec.dvm.pool || placement->node_ranks[i] > 0) placed.slots += nodes[i].slots;
  }
  if (!spec.oversubscribe) {
    for (Notice& notice : SharedCores(spec, *map, nodes)) placed.notices.push_back(notice);
  }
  if (spec.verbose) placed.notices.push_back(PolicyNotice(resolved.apps));
  placed.spec = std::make_shared<const JobSpec>(std::move(resolved));
  placed.map = std::make_shared<const JobMap>(*std::move(map));
  return placed;
}

bool OnlyTooBusy(const JobSpec& spec, const std::vector<JobNode>& nodes, uint32_t dvm_nodes) {
  if (spec.load.max_load == kNoMaxLoad) return false;
  JobSpec any_load = spec;
  any_load.load.max_load = kNoMaxLoad;
  return std::holds_alternative<PlacedJob>(PlaceJob(any_load, nodes, dvm_nodes));
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
