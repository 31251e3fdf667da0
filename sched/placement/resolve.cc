#include "sched/placement/resolve.h"

#include <string>

#include "sched/policy/policy_words.h"

namespace rex {

namespace {

constexpr uint64_t kFewRanks = 2;  // so many are bound to cores by default, more to NUMA nodes

Error Bad(const PlacePolicy& policy, const std::string& what) {
  return Error{Errc::kInvalid, "PE=" + std::to_string(policy.cpus_per_rank) + what};
}

HwObject SmallObject(const PlacePolicy& policy) {
  return policy.hwthread_cpus ? HwObject::kHwthread : HwObject::kCore;
}

bool MapIsGiven(const PlacePolicy& policy) {
  return policy.map != MapBy::kUnset && !policy.map_is_default;
}

Status CheckPeBinding(const PlacePolicy& policy) {
  const HwObject small = SmallObject(policy);
  const std::string cpu(ObjectName(small));
  const bool fits = policy.bind == BindTo::kUnset || policy.bind == BindTo::kNone ||
                    (policy.bind == BindTo::kObject && policy.bind_object == small);
  if (fits && policy.cpu_list.empty()) return Ok{};
  return Bad(policy, " binds each rank to so many " + cpu + "s, which does not go together with " +
                         (policy.cpu_list.empty() ? "--bind-to " + BindName(policy)
                                                  : std::string("--cpu-set or --cpu-list")) +
                         "; leave one of them out");
}

Status CheckPeMapping(const PlacePolicy& policy) {
  const bool too_small = policy.map == MapBy::kObject &&
                         (policy.map_object == HwObject::kHwthread ||
                          (policy.map_object == HwObject::kCore && !policy.hwthread_cpus));
  if (!too_small) return Ok{};
  const std::string pe = std::to_string(policy.cpus_per_rank);
  const std::string object(ObjectName(policy.map_object));
  return Bad(policy, ": one " + object + " does not have " + pe + " " +
                         std::string(ObjectName(SmallObject(policy))) +
                         "s; map by something larger, for example --map-by socket:PE=" + pe);
}

// Ranks of several processors are bound to just those.
Status ResolvePe(PlacePolicy* policy) {
  if (policy->cpus_per_rank == 0) return Ok{};
  if (Status status = CheckPeBinding(*policy); !status) return status;
  if (policy->bind == BindTo::kUnset) {
    policy->bind = BindTo::kObject;
    policy->bind_object = SmallObject(*policy);
  }
  if (policy->cpus_per_rank == 1) return Ok{};
  if (MapIsGiven(*policy)) return CheckPeMapping(*policy);
  if (policy->map == MapBy::kUnset) {
    policy->map = MapBy::kObject;
    policy->map_object = HwObject::kNuma;
    policy->map_is_default = true;
  }
  return Ok{};
}

void ResolveRanking(PlacePolicy* policy) {
  if (policy->rank != RankBy::kUnset) return;
  policy->rank = RankBy::kSlot;
  if (!MapIsGiven(*policy)) return;
  if (policy->map == MapBy::kNode) policy->rank = RankBy::kNode;
  if (policy->map == MapBy::kObject) {
    policy->rank = RankBy::kObject;
    policy->rank_object = policy->map_object;
  }
}

}  // namespace

Status ResolveMapping(PlacePolicy* policy, uint64_t ranks) {
  if (Status status = ResolvePe(policy); !status) return status;
  if (policy->map == MapBy::kUnset) {
    policy->map = MapBy::kObject;
    policy->map_object = ranks <= kFewRanks ? SmallObject(*policy) : HwObject::kNuma;
    policy->map_is_default = true;
  }
  ResolveRanking(policy);
  return Ok{};
}

void ResolveBinding(PlacePolicy* policy, uint64_t ranks, bool oversubscribed, bool may_share) {
  // A list of processors wins over all else, as with mpirun.
  if (!policy->cpu_list.empty()) policy->bind = BindTo::kCpuList;
  if (policy->bind != BindTo::kUnset) return;
  policy->bind_is_default = true;
  policy->bind = oversubscribed ? BindTo::kNone : BindTo::kObject;
  policy->overload = policy->overload || may_share;
  if (policy->map == MapBy::kObject && MapIsGiven(*policy)) {
    policy->bind_object = policy->map_object;
  } else {
    policy->bind_object = ranks <= kFewRanks ? SmallObject(*policy) : HwObject::kNuma;
  }
}

}  // namespace rex
