#include "launcher/job/job_display.h"

namespace rex {

std::string AllocationText(const std::vector<JobNode>& nodes) {
  std::string text = "\n======================   ALLOCATED NODES   ======================\n";
  for (const JobNode& node : nodes) {
    text += "\t" + node.name + ": slots=" + std::to_string(node.slots) +
            " max_slots=" + std::to_string(node.max_slots) +
            " slots_inuse=0 state=" + (node.missing ? "DOWN" : "UP") + "\n";
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
