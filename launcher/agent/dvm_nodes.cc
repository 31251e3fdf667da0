#include "launcher/agent/dvm_nodes.h"

#include <algorithm>

#include "launcher/base/text.h"

namespace rex {

namespace {

void AddOthers(const char* lead, const std::vector<std::string>& names, Failure* failure) {
  failure->others = static_cast<uint32_t>(names.size());
  if (!names.empty()) failure->detail += std::string("\n") + lead + Listed(names);
}

// ssh often names itself: "ssh: Could not resolve hostname …".
std::string PhaseAndCause(const StartFailure& failure) {
  const std::string phase = failure.phase + ": ";
  return failure.cause.starts_with(phase) ? failure.cause : phase + failure.cause;
}

// A node that failed by itself before those that failed with it, then in the user's order.
std::pair<bool, NodeId> Order(const StartFailure& failure) {
  return {failure.phase == StartPhaseName(StartPhase::kParent), failure.node};
}

}  // namespace

NodeNumbers NumberNodes(const DvmSpec& spec, const std::string& here) {
  NodeNumbers numbers{{}, {here}};
  for (const NodeRequest& node : spec.nodes) {
    if (node.here) {
      numbers.ids.push_back(kHeadNode);
      numbers.names[0] = node.name;
      continue;
    }
    numbers.ids.push_back(NodeId{static_cast<uint32_t>(numbers.names.size())});
    numbers.names.push_back(node.name);
  }
  return numbers;
}

Failure StartFailureOf(const std::vector<StartFailure>& failures) {
  std::vector<const StartFailure*> by_id;
  for (const StartFailure& failure : failures) by_id.push_back(&failure);
  std::sort(by_id.begin(), by_id.end(), [](auto* a, auto* b) { return Order(*a) < Order(*b); });
  const StartFailure& first = *by_id.front();
  Failure failure;
  failure.kind = FailureKind::kNodeStart;
  failure.node = first.name;
  failure.detail = PhaseAndCause(first);
  failure.remedy = first.remedy;
  std::vector<std::string> others;
  for (size_t i = 1; i < by_id.size(); ++i) others.push_back(by_id[i]->name);
  AddOthers("also: ", others, &failure);
  return failure;
}

std::string LeftOutText(const StartFailure& failure) {
  return "node " + failure.name + " is left out: " + PhaseAndCause(failure);
}

bool HasNodes(const DvmSpec& spec, const std::map<NodeId, AgentFacts>& facts) {
  const auto here = [](const NodeRequest& node) { return node.here; };
  return !facts.empty() || std::any_of(spec.nodes.begin(), spec.nodes.end(), here);
}

Failure LossOf(const std::vector<std::string>& names, const std::string& why) {
  Failure failure;
  failure.kind = FailureKind::kNodeLost;
  failure.node = names.front();
  failure.detail = why;
  failure.remedy = RemedyForLoss(why);
  AddOthers("with it: ", {names.begin() + 1, names.end()}, &failure);
  return failure;
}

std::shared_ptr<const Hardware> HardwareKinds::Get(const std::string& text, uint32_t cores) {
  auto& kind = kinds_[{text, cores}];
  if (kind) return kind;
  auto hardware = DecodeHardware(text);
  const bool fits = hardware && hardware->Cores() == cores;
  kind = std::make_shared<const Hardware>(fits ? *std::move(hardware) : PlainHardware(cores));
  return kind;
}

void FillLoads(const LoadTable& loads, Clock::Time now, std::vector<JobNode>* nodes) {
  for (JobNode& node : *nodes) {
    const KnownLoad known = loads.Of(node.id);
    if (!known.told) continue;
    node.load = known.load;
    node.load_age = std::chrono::duration_cast<std::chrono::milliseconds>(now - *known.told);
  }
}

std::vector<JobNode> JobNodesOf(const DvmSpec& spec, const NodeNumbers& numbers,
                                const JobNode& here, const std::map<NodeId, AgentFacts>& facts,
                                uint32_t slots) {
  if (spec.nodes.empty()) {
    JobNode alone = here;
    if (slots > 0) alone.slots_from_cores = false;
    alone.counted = slots == 0;
    alone.slots = slots > 0 ? slots : alone.cores;
    alone.max_slots = spec.max_slots;
    return {alone};
  }
  std::vector<JobNode> nodes;
  HardwareKinds kinds;
  for (size_t i = 0; i < numbers.ids.size(); ++i) {
    const NodeRequest& asked = spec.nodes[i];
    JobNode node;
    node.id = numbers.ids[i];
    node.name = asked.name;
    node.missing = !asked.here && !facts.contains(node.id);
    if (asked.here || node.missing) {
      node.cores = here.cores;
      node.hardware = here.hardware;
    } else {
      const AgentFacts& told = facts.at(node.id);
      node.cores = std::max(told.cores, 1U);
      node.hardware = kinds.Get(told.hardware, node.cores);
    }
    node.slots = asked.slots > 0 ? asked.slots : node.cores;
    node.counted = asked.slots == 0;
    // A hostfile's cores limit, as with mpirun; those of invented nodes do not.
    node.slots_from_cores = asked.slots == 0 && spec.bootstrap == Bootstrap::kVirtual;
    node.max_slots = asked.max_slots;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace rex
