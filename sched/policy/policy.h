// What a user may ask about where ranks go: mapping (to which objects of which nodes), ranking
// (which of them gets which number) and binding (on which processors it may run). Plain data, and
// whole: what was not asked for is kUnset until ResolvePolicies (placement.h) has settled it.
// docs/design/sched.md has the meaning of each as a formula.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rex {

// Kinds of hardware objects, from large to small, as mpirun orders them.
enum class HwObject : uint8_t { kNuma, kSocket, kL3Cache, kL2Cache, kL1Cache, kCore, kHwthread };
inline constexpr size_t kHwObjects = 7;

enum class MapBy : uint8_t { kUnset, kSlot, kNode, kObject, kPpr, kSeq, kDist, kRankfile, kLoad };
enum class RankBy : uint8_t { kUnset, kSlot, kNode, kObject };
// Over the objects of a node, then the next node; over those of all nodes; or one object after the
// other.
enum class RankOrder : uint8_t { kAcross, kSpan, kFill };
enum class BindTo : uint8_t { kUnset, kNone, kObject, kCpuList };

// A part of ppr:N:object: so many ranks on each of these objects, or on each node.
struct PprPart {
  uint32_t count = 1;
  bool per_node = false;
  HwObject object = HwObject::kNuma;  // unless per_node
  bool operator==(const PprPart&) const = default;
};

struct PlacePolicy {
  MapBy map = MapBy::kUnset;
  HwObject map_object = HwObject::kNuma;  // with kObject
  std::vector<PprPart> ppr;               // with kPpr: at least one
  bool map_is_default = false;            // only modifiers were given: ranks and binding as without
  bool span = false;
  std::string device;  // with kDist

  RankBy rank = RankBy::kUnset;
  HwObject rank_object = HwObject::kNuma;  // with kObject
  RankOrder rank_order = RankOrder::kAcross;

  BindTo bind = BindTo::kUnset;
  HwObject bind_object = HwObject::kCore;  // with kObject
  bool bind_is_default = false;            // nobody asked: where it can't be done it is left out
  bool overload = false;                   // several ranks may share the last free processor
  bool ordered = false;                    // with kCpuList: a processor of the list for each rank
  std::string cpu_list;                    // "0,2-5": the job's cpus by their numbers; empty: all

  uint32_t cpus_per_rank = 0;  // PE=n; 0: not asked for
  bool hwthread_cpus = false;  // a cpu is a hardware thread, not a core

  bool operator==(const PlacePolicy&) const = default;
};

inline constexpr uint32_t kMaxCpusPerRank = 1 << 15;

}  // namespace rex
