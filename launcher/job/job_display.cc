#include "launcher/job/job_display.h"

#include "launcher/observe/timeline.h"

namespace rex {

namespace {

// Behind what mpirun shows of a node.
std::string LoadParts(const JobNode& node) {
  if (!node.load) return "";
  const NodeLoad& load = *node.load;
  return " load=" + LoadText(LoadHundredths(load)) + " ranks=" + std::to_string(load.ranks) +
         " foreign=" + PlainText(load.foreign) + " cores=" + PlainText(load.capacity) +
         " age=" + std::to_string(node.load_age.count()) + "ms";
}

std::string LoadJson(const JobNode& node) {
  if (!node.load) return "null";
  const NodeLoad& load = *node.load;
  return "{\"per_core\":" + LoadText(LoadHundredths(load)) +
         ",\"ranks\":" + std::to_string(load.ranks) + ",\"foreign\":" + PlainText(load.foreign) +
         ",\"cores\":" + PlainText(load.capacity) +
         ",\"age_ms\":" + std::to_string(node.load_age.count()) + "}";
}

}  // namespace

std::string AllocationJson(const std::vector<JobNode>& nodes) {
  std::string text = "{\"nodes\":[";
  for (const JobNode& node : nodes) {
    text += std::string(&node == nodes.data() ? "\n" : ",\n") +
            "{\"name\":" + JsonString(node.name) +
            ",\"state\":" + (node.missing ? "\"down\"" : "\"up\"") +
            ",\"slots\":" + std::to_string(node.slots) +
            ",\"max_slots\":" + std::to_string(node.max_slots) +
            ",\"cores\":" + std::to_string(node.cores) + ",\"load\":" + LoadJson(node) + "}";
  }
  return text + "\n]}\n";
}

std::string AllocationText(const std::vector<JobNode>& nodes) {
  std::string text = "\n======================   ALLOCATED NODES   ======================\n";
  for (const JobNode& node : nodes) {
    text += "\t" + node.name + ": slots=" + std::to_string(node.slots) +
            " max_slots=" + std::to_string(node.max_slots) +
            " slots_inuse=0 state=" + (node.missing ? "DOWN" : "UP") + LoadParts(node) + "\n";
  }
  return text + "=================================================================\n";
}

std::string MapText(const std::string& name_space, const PlacedJob& job,
                    const std::vector<JobNode>& nodes, const std::map<NodeId, std::string>& ranks) {
  std::string text = " Data for JOB " + name_space + " offset 0 Total slots allocated " +
                     std::to_string(job.slots) +
                     "\n\n ========================   JOB MAP   ========================\n";
  for (const JobNode& node : nodes) {
    const auto lines = ranks.find(node.id);
    if (lines == ranks.end()) continue;
    text += "\n Data for node: " + node.name + "\tNum slots: " + std::to_string(node.slots) +
            "\tMax slots: " + std::to_string(node.max_slots) +
            "\tNum procs: " + std::to_string(job.map->CountOn(node.id)) + "\n" + lines->second;
  }
  return text + "\n =============================================================\n";
}

}  // namespace rex
