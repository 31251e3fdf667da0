// One function for each resource manager, and what they share. Each returns nullopt when rexlaunch
// is not inside an allocation of its. Pure.
#pragma once

#include <unordered_map>

#include "launcher/cli/allocation/allocation.h"

namespace rex {

using FoundAllocation = Result<std::optional<Allocation>>;

FoundAllocation FindFlux(const Outside& outside);
FoundAllocation FindSlurm(const Outside& outside);
FoundAllocation FindPals(const Outside& outside);
FoundAllocation FindPbs(const Outside& outside);
FoundAllocation FindLsf(const Outside& outside);
FoundAllocation FindGridEngine(const Outside& outside);

// A variable that is set and not empty.
std::optional<std::string> Variable(const Environment& env, std::string_view name);
// The first of two, an old and a new spelling.
std::optional<std::string> Variable(const Environment& env, std::string_view name,
                                    std::string_view other);

// kInvalid: "SOURCE: TROUBLE; --allocation none ignores it".
Error BadAllocation(const std::string& source, const std::string& trouble);
// `manager` started rexlaunch several times at once.
Error StartedSeveralTimes(Manager manager, const std::string& how, const std::string& remedy);

// Words between spaces, tabs and ends of lines.
std::vector<std::string_view> WordsOf(std::string_view text);

// Nodes in order, each once: what comes again adds its slots.
class NodeTally {
 public:
  // Errors: kInvalid, a phrase: not a host's name, too many nodes.
  Status Add(std::string_view name, uint64_t slots);
  bool empty() const { return nodes_.empty(); }
  std::vector<AllocatedNode> Take() { return std::move(nodes_); }

 private:
  std::vector<AllocatedNode> nodes_;
  std::unordered_map<std::string, size_t> index_;
};

// A text with a node's name for each slot: PBS_NODEFILE, LSB_DJOB_HOSTFILE, PALS_HOSTFILE.
// `separators` stand between names. Errors: kInvalid, naming `source`.
Result<std::vector<AllocatedNode>> NodesOfMentions(std::string_view text, const std::string& source,
                                                   std::string_view separators);

}  // namespace rex
