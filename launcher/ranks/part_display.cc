#include "launcher/ranks/part_display.h"

#include <hwloc.h>

#include <array>
#include <string_view>

#include "sched/placement/binding.h"
#include "sched/topology/topology.h"

namespace rex {

namespace {

// The binding of a rank in words; without a topology nothing can be bound.
std::string BindingOf(const PartPlan& plan, const NodeFacts& node, size_t local) {
  if (!node.topology) return "not bound (or bound to all available processors)";
  const CpuWords none;
  return DescribeBinding(*node.topology, plan.bindings.empty() ? none : plan.bindings.at(local));
}

// "bound to X: Y" as the map shows it, "X:Y"; "N/A" without a binding, "UNBOUND" for one to all.
std::string InMap(const PartPlan& plan, size_t local, std::string text) {
  constexpr std::string_view kBound = "bound to ";
  const bool none = plan.bindings.empty() || plan.bindings.at(local).empty();
  if (!text.starts_with(kBound)) return none ? "N/A" : "UNBOUND";
  text.erase(0, kBound.size());
  if (const size_t at = text.find(": "); at != std::string::npos) text.erase(at + 1, 1);
  return text;
}

std::string GpusOf(const PartPlan& plan, size_t local) {
  if (plan.gpus.empty() || plan.gpus[local].empty()) return "";
  return "; GPUs " + plan.gpus[local];
}

void AddObject(hwloc_obj_t object, int depth, std::string* out) {
  std::array<char, 128> type{};
  std::array<char, 256> attributes{};
  hwloc_obj_type_snprintf(type.data(), type.size(), object, 0);
  hwloc_obj_attr_snprintf(attributes.data(), attributes.size(), object, " ", 0);
  *out += std::string(static_cast<size_t>(depth) * 2, ' ') + type.data();
  if (object->logical_index != HWLOC_UNKNOWN_INDEX) {
    *out += " L#" + std::to_string(object->logical_index);
  }
  if (object->os_index != HWLOC_UNKNOWN_INDEX) *out += " P#" + std::to_string(object->os_index);
  if (attributes[0] != '\0') *out += std::string(" (") + attributes.data() + ")";
  *out += '\n';
  for (hwloc_obj_t child = object->first_child; child != nullptr; child = child->next_sibling) {
    AddObject(child, depth + 1, out);
  }
}

}  // namespace

std::string MapText(const PartPlan& plan, const NodeFacts& node) {
  std::string text;
  for (size_t local = 0; local < plan.ranks.size(); ++local) {
    const Rank rank = plan.ranks[local];
    const auto app = &plan.AppOf(rank) - plan.apps.data();
    text += " \tProcess jobid: " + plan.name_space + " App: " + std::to_string(app) +
            " Process rank: " + std::to_string(rank) +
            " Bound: " + InMap(plan, local, BindingOf(plan, node, local)) + GpusOf(plan, local) +
            "\n";
  }
  return text;
}

std::string TopologyText(const NodeFacts& node) {
  std::string text = "Topology of node " + node.name + ":\n";
  if (!node.topology) return text + "  unknown\n";
  AddObject(hwloc_get_root_obj(node.topology->get()), 1, &text);
  return text;
}

std::string BindingLine(const PartPlan& plan, const NodeFacts& node, size_t local, int64_t pid) {
  const std::string binding = BindingOf(plan, node, local);
  return "[" + node.name + ":" + std::to_string(pid) + "] MCW rank " +
         std::to_string(plan.ranks[local]) + (binding.starts_with("bound") ? " " : " is ") +
         binding + GpusOf(plan, local) + "\n";
}

}  // namespace rex
