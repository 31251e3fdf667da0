#include "launcher/agent/described_nodes.h"

#include <algorithm>
#include <map>
#include <memory>

#include "launcher/job/job_display.h"
#include "launcher/job/job_placement.h"
#include "launcher/part/node_apps.h"
#include "launcher/ranks/gpu_plan.h"
#include "launcher/ranks/part_display.h"
#include "sched/placement/node_places.h"

namespace rex {

namespace {

Failure Refused(std::string detail, std::string remedy) {
  Failure failure;
  failure.kind = FailureKind::kRefused;
  failure.detail = std::move(detail);
  failure.remedy = std::move(remedy);
  return failure;
}

// One of the topologies that nodes share.
struct Kind {
  std::shared_ptr<const Topology> topology;
  std::shared_ptr<const Hardware> hardware;
};

Result<std::vector<Kind>> KindsOf(const JobSpec& spec) {
  std::vector<Kind> kinds;
  for (const std::string& text : spec.topologies) {
    const bool xml = text.find('<') != std::string::npos;
    auto topology = xml ? Topology::FromXml(text) : Topology::FromSynthetic(text);
    if (!topology) {
      return Error{Errc::kInvalid,
                   topology.error().text + (xml ? std::string() : ": '" + text + "'")};
    }
    const auto shared = std::make_shared<const Topology>(*std::move(topology));
    kinds.push_back({shared, std::make_shared<const Hardware>(HardwareOf(*shared))});
  }
  return kinds;
}

std::vector<JobNode> NodesOf(const JobSpec& spec, const std::vector<Kind>& kinds) {
  std::vector<JobNode> nodes;
  const bool loads = std::any_of(spec.described.begin(), spec.described.end(),
                                 [](const DescribedNode& node) { return node.load > 0; });
  for (const DescribedNode& described : spec.described) {
    JobNode node;
    node.id = NodeId(static_cast<uint32_t>(nodes.size()));
    node.name = described.name;
    node.hardware = kinds[described.topology].hardware;
    node.cores = node.hardware->Cores();
    node.counted = described.slots == 0;
    node.slots = node.counted ? node.cores : described.slots;
    node.slots_from_cores = false;
    if (loads) node.load = NodeLoad{0, described.load * node.cores, 100 * node.cores};
    nodes.push_back(std::move(node));
  }
  CountThreads(spec, &nodes);
  return nodes;
}

// The lines of --display map about one node's ranks.
Result<std::string> RankLines(const PlacedJob& placed, const JobNode& node, const Kind& kind) {
  auto node_plan = PlanNode(*node.hardware, NodeAppsOf(*placed.spec, *placed.map, node.id));
  if (!node_plan) return node_plan.error();
  PartPlan plan;
  plan.name_space = "1";
  Rank first = 0;
  for (const AppSpec& app : placed.spec->apps) {
    plan.apps.push_back({.argv = app.argv, .first_rank = first, .ranks = app.ranks});
    first += app.ranks;
  }
  for (NodeRank& rank : node_plan->ranks) {
    plan.ranks.push_back(rank.rank);
    plan.bindings.push_back(std::move(rank.cpus));
  }
  if (const Status gpus = PlanGpus(*placed.spec, kind.topology.get(), &plan); !gpus) {
    return gpus.error();
  }
  NodeFacts facts;
  facts.name = node.name;
  facts.topology = kind.topology;
  return MapText(plan, facts);
}

}  // namespace

std::variant<std::vector<Notice>, Failure> PlaceOnDescribed(const JobSpec& spec) {
  const auto kinds = KindsOf(spec);
  if (!kinds) {
    return Refused("--nodes-json: " + kinds.error().text, "correct the topology in the file");
  }
  const std::vector<JobNode> nodes = NodesOf(spec, *kinds);
  auto placed = PlaceJob(spec, nodes, static_cast<uint32_t>(nodes.size()));
  if (Failure* failure = std::get_if<Failure>(&placed)) return std::move(*failure);
  const PlacedJob& job = std::get<PlacedJob>(placed);
  std::vector<Notice> shown = job.notices;
  if (spec.show_allocation)
    shown.push_back(
        {Notice::Level::kPlain, spec.show_json ? AllocationJson(nodes) : AllocationText(nodes)});
  std::map<NodeId, std::string> lines;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (job.map->CountOn(nodes[i].id) == 0) continue;
    auto text = RankLines(job, nodes[i], (*kinds)[spec.described[i].topology]);
    if (!text) {
      Failure failure;
      failure.kind = FailureKind::kNoResources;
      failure.node = nodes[i].name;
      failure.detail = text.error().text;
      return failure;
    }
    lines[nodes[i].id] = *std::move(text);
  }
  if (spec.show_map) shown.push_back({Notice::Level::kPlain, MapText("1", job, nodes, lines)});
  return shown;
}

}  // namespace rex
