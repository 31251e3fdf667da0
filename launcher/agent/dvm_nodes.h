// What a DVM's head makes of what it hears of nodes: failures that belong together in one, the
// nodes as a job sees them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/job/job_placement.h"
#include "launcher/tree/tree_messages.h"
#include "launcher/tree/tree_options.h"
#include "launcher/wire/messages.h"
#include "sched/placement/load_table.h"

namespace rex {

// The nodes of `spec` by their ids; `names` by id, this machine's first.
struct NodeNumbers {
  std::vector<NodeId> ids;  // of DvmSpec::nodes
  std::vector<std::string> names;
};
NodeNumbers NumberNodes(const DvmSpec& spec, const std::string& here);

// `failures` is not empty: the lowest node's is told in full, the others by name.
Failure StartFailureOf(const std::vector<StartFailure>& failures);

// `names` of the nodes lost together, not empty; the first is the one that `why` is about.
Failure LossOf(const std::vector<std::string>& names, const std::string& why);

// Of a node that the job does without, in one line.
std::string LeftOutText(const StartFailure& failure);

// Some node is there: one that has answered, or this machine, if it was named.
bool HasNodes(const DvmSpec& spec, const std::map<NodeId, AgentFacts>& facts);

// Nodes by what they tell of their hardware: most are of a few kinds, which share one description.
class HardwareKinds {
 public:
  // What makes no sense, or does not have `cores` cores, counts as so many plain cores.
  std::shared_ptr<const Hardware> Get(const std::string& text, uint32_t cores);

 private:
  std::map<std::pair<std::string, uint32_t>, std::shared_ptr<const Hardware>> kinds_;
};

// What the nodes' agents told of themselves is known; this fills in their loads, those of nodes
// that have told one.
void FillLoads(const LoadTable& loads, Clock::Time now, std::vector<JobNode>* nodes);

// In the user's order. Without named nodes: this machine, with `slots` (0: its cores). Nodes that
// `facts` does not have are missing.
std::vector<JobNode> JobNodesOf(const DvmSpec& spec, const NodeNumbers& numbers,
                                const JobNode& here, const std::map<NodeId, AgentFacts>& facts,
                                uint32_t slots);

}  // namespace rex
