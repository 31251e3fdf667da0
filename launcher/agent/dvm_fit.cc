#include "launcher/agent/dvm_fit.h"

#include <algorithm>
#include <optional>

namespace rex {

namespace {

constexpr char kStartAnew[] = "; 'rexctl stop' and 'rexctl start' bring it back";

std::optional<std::string> WhyUnusable(const JobNode& node, const std::vector<NodeId>& lost) {
  if (node.missing) return "node " + node.name + " was left out when the DVM was started";
  if (std::find(lost.begin(), lost.end(), node.id) == lost.end()) return std::nullopt;
  return "node " + node.name + " of the DVM was lost" + kStartAnew;
}

// The slots that the job asks for, of a node that the DVM has.
JobNode Asked(const NodeRequest& request, JobNode node) {
  if (request.slots > 0) {
    node.slots = request.slots;
    node.slots_from_cores = false;
  }
  if (request.max_slots > 0) node.max_slots = request.max_slots;
  return node;
}

std::variant<std::vector<JobNode>, DvmMisfit> NamedNodes(const JobSpec& asked,
                                                         const std::vector<JobNode>& nodes,
                                                         const std::vector<NodeId>& lost) {
  std::vector<JobNode> chosen;
  for (const NodeRequest& request : asked.dvm.nodes) {
    const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const JobNode& node) {
      return request.here ? node.id == kHeadNode : node.name == request.name;
    });
    if (at == nodes.end()) return DvmMisfit{"node " + request.name + " is none of the DVM's"};
    if (const auto why = WhyUnusable(*at, lost)) return DvmMisfit{*why};
    chosen.push_back(Asked(request, *at));
  }
  return chosen;
}

// A job that names no nodes is this machine's alone.
std::variant<std::vector<JobNode>, DvmMisfit> ThisMachine(const JobSpec& asked,
                                                          const std::vector<JobNode>& nodes) {
  const auto at = std::find_if(nodes.begin(), nodes.end(),
                               [](const JobNode& node) { return node.id == kHeadNode; });
  if (at == nodes.end()) return DvmMisfit{"this machine is none of the DVM's nodes"};
  return std::vector<JobNode>{
      Asked({.name = at->name, .slots = asked.slots, .max_slots = asked.dvm.max_slots}, *at)};
}

bool IsShort(const std::variant<PlacedJob, Failure>& placed) {
  const auto* failure = std::get_if<Failure>(&placed);
  return failure != nullptr && failure->kind == FailureKind::kNoResources;
}

// Only others' ranks keep the job from its slots. Slots that nobody named refuse nobody.
bool IsBusy(const JobSpec& spec, std::vector<JobNode> nodes, uint32_t dvm_nodes) {
  const bool used =
      std::any_of(nodes.begin(), nodes.end(), [](const JobNode& node) { return node.used > 0; });
  if (!used || !IsShort(PlaceJob(spec, nodes, dvm_nodes))) return false;
  for (JobNode& node : nodes) node.used = 0;
  return !IsShort(PlaceJob(spec, nodes, dvm_nodes));
}

}  // namespace

std::variant<DvmFit, DvmMisfit> FitToDvm(const JobSpec& asked, const DvmSpec& dvm,
                                         const std::vector<JobNode>& nodes,
                                         const std::vector<NodeId>& lost, uint32_t dvm_nodes) {
  auto chosen =
      asked.dvm.nodes.empty() ? ThisMachine(asked, nodes) : NamedNodes(asked, nodes, lost);
  if (auto* misfit = std::get_if<DvmMisfit>(&chosen)) return std::move(*misfit);
  DvmFit fit{asked, std::get<std::vector<JobNode>>(std::move(chosen))};
  std::vector<NodeRequest> requested = std::move(fit.spec.dvm.nodes);
  fit.spec.dvm = dvm;
  fit.spec.dvm.nodes = std::move(requested);
  fit.spec.dvm.pool = asked.dvm.pool;
  if (IsBusy(fit.spec, fit.nodes, dvm_nodes)) {
    return DvmMisfit{"other jobs use the slots that are asked for", true};
  }
  return fit;
}

}  // namespace rex
