// What a node works out by itself of a job's placement: for each of its ranks the object it was
// mapped to, its number among the node's ranks, and the processors it is bound to. Pure, and the
// same on head and node: equal hardware, policies and counts give equal plans. docs/design/sched.md
// has the formulas; they are mpirun 4.1.4's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "sched/placement/binding.h"
#include "sched/placement/hardware.h"
#include "sched/policy/policy.h"

namespace rex {

// Where a rank was mapped to, before it has a number.
struct Locale {
  CpuSpan cpus;
  uint32_t index = 0;  // of the object among those of its kind; 0 for a whole node
};

// The objects of a kind that ranks can be counted on: as Hardware::Of, but processing units stand
// in for cores where none are shown, and a node without such objects is one.
std::vector<CpuSpan> MapObjects(const Hardware& hardware, HwObject object);
// How many processors (cores, or hardware threads with `threads`) are whole inside `span`.
uint32_t CpusIn(const Hardware& hardware, const CpuSpan& span, bool threads);
// The same of a set; at least 1: a part of a core is one.
uint32_t CpusIn(const Hardware& hardware, const CpuWords& cpus, bool threads);
// How many ranks of an app ppr:… puts on such a node.
uint32_t PprRoom(const Hardware& hardware, const PlacePolicy& policy);

// The places of an app's `count` ranks on a node where apps before it have `before` ranks.
std::vector<Locale> LocalesOf(const Hardware& hardware, const PlacePolicy& policy, uint32_t before,
                              uint32_t count);

// In which order an app's places on a node get their numbers: order[k] is the place with the k-th
// lowest rank. `passes`: how many of them each round over the node's objects numbers; over several
// nodes SPAN interleaves these rounds.
struct Numbering {
  std::vector<uint32_t> order;
  std::vector<uint32_t> passes;
};
Numbering NumberPlaces(const Hardware& hardware, const PlacePolicy& policy,
                       const std::vector<Locale>& locales);

// An app's ranks on this node.
struct NodeApp {
  const PlacePolicy* policy = nullptr;  // resolved; borrowed until return
  std::vector<uint32_t> ranks;          // ascending
  // For rank files and seq, by the order of `ranks`: "0:1-2", "" for none.
  std::vector<std::string> slot_lists;
};

struct NodeRank {
  uint32_t rank = 0;
  uint32_t app = 0;
  CpuWords cpus;  // empty: not bound
};
struct NodePlan {
  std::vector<NodeRank> ranks;  // ascending
  bool default_left_out =
      false;  // nobody had asked for a binding, and there were too few processors
};

// `taken`: indices into Hardware::cpus that others hold; they count as if a rank were bound there.
// Errors: kResource, a line for the user: no such object, too few processors, a processor of a list
// that is not there.
Result<NodePlan> PlanNode(const Hardware& hardware, const std::vector<NodeApp>& apps,
                          const std::vector<uint32_t>& taken = {});

// Equal plans have equal digests (FNV-1a, 64 bits): what a node tells and the head compares.
uint64_t Digest(const NodePlan& plan);

// Open MPI's slot lists (rank files): "1", "0-3", "1,4", "0:1", "1:0-2", "0:*", "s1", "0:0;1:2".
// Numbers are logical: of the job's cores, or hardware threads with `threads`; behind "S:" of the
// socket's. Errors: kInvalid: malformed, or there is no such socket or cpu.
Result<CpuWords> ParseSlotList(const Hardware& hardware, const std::string& text, bool threads);

// The processing units of --cpu-set, as indices into Hardware::cpus, ascending; all for an empty
// list. Errors: kInvalid: none of its cpus is there.
Result<std::vector<uint32_t>> CpusOfList(const Hardware& hardware, const PlacePolicy& policy);

}  // namespace rex
