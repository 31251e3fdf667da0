#include "sched/placement/lease_plan.h"

#include <algorithm>
#include <optional>

namespace rex {

namespace {

// Two jobs that choose at once may each hold what the other needs: who finds too few looks again.
constexpr int kLooks = 3;

bool NamesHardware(const PlacePolicy& policy) {
  if (policy.map == MapBy::kDist || policy.map == MapBy::kRankfile) return true;
  if (policy.map == MapBy::kObject) return !policy.map_is_default;
  return policy.map == MapBy::kPpr &&
         std::any_of(policy.ppr.begin(), policy.ppr.end(),
                     [](const PprPart& part) { return !part.per_node; });
}

bool AsksForNone(const NodeApp& app) {
  return app.ranks.empty() || (app.policy->bind == BindTo::kNone && app.slot_lists.empty());
}

bool LeavesCoresToUs(const NodeApp& app) {
  return app.policy->bind_is_default && app.slot_lists.empty() && !NamesHardware(*app.policy);
}

void Set(uint32_t cpu, CpuWords* words) {
  if (cpu / 64 >= words->size()) words->resize(cpu / 64 + 1);
  (*words)[cpu / 64] |= uint64_t{1} << (cpu % 64);
}

bool Has(const CpuWords& words, uint32_t cpu) {
  return cpu / 64 < words.size() && (words[cpu / 64] >> (cpu % 64) & 1) != 0;
}

class Leaser {
 public:
  Leaser(const Hardware& hardware, const std::vector<NodeApp>& apps,
         const std::vector<CoreNumber>& numbers, const LeaseCalls& calls)
      : hardware_(hardware),
        apps_(apps),
        numbers_(numbers),
        calls_(calls),
        cores_(MapObjects(hardware, HwObject::kCore)),
        taken_(cores_.size(), false),
        mine_(cores_.size(), false) {
    REX_CHECK(numbers_.size() == cores_.size());
    policies_.reserve(apps.size());
    for (const NodeApp& app : apps) {
      threads_ |= app.policy->hwthread_cpus;
      policies_.push_back(*app.policy);
      policies_.back().overload = false;  // --oversubscribe is about the job's own ranks
    }
  }

  LeasedPlan Run(NodePlan plain) {
    LeasedPlan leased{.digest = Digest(plain)};
    if (plain.default_left_out || !ChoosesCores(apps_)) {
      TakeWhatIsFree(plain);
      leased.plan = std::move(plain);
      return leased;
    }
    for (int look = 0; look < kLooks; ++look) {
      LookAround();
      if (auto plan = Settle(plain)) {
        leased.plan = *std::move(plan);
        return leased;
      }
      for (size_t core = 0; core < cores_.size(); ++core) GiveBack(core);
    }
    leased.left_out = true;
    leased.held_by_others = static_cast<uint32_t>(std::count(taken_.begin(), taken_.end(), true));
    for (NodeRank& rank : plain.ranks) rank.cpus.clear();
    leased.plan = std::move(plain);
    return leased;
  }

 private:
  void LookAround() {
    for (size_t core = 0; core < cores_.size(); ++core) taken_[core] = calls_.held(numbers_[core]);
  }

  bool Take(size_t core) {
    if (!mine_[core]) mine_[core] = calls_.take(numbers_[core]);
    return mine_[core];
  }

  void GiveBack(size_t core) {
    if (mine_[core]) calls_.give_back(numbers_[core]);
    mine_[core] = false;
  }

  void TakeWhatIsFree(const NodePlan& plan) {
    for (const size_t core : WantedBy(plan)) (void)Take(core);
  }

  // Plans until every core that the plan wants is ours; each round knows one more that is not to be
  // had. None: there are too few.
  std::optional<NodePlan> Settle(const NodePlan& plain) {
    for (;;) {
      std::optional<NodePlan> plan = PlanAround(plain);
      if (!plan) return std::nullopt;
      const std::vector<size_t> wanted = WantedBy(*plan);
      bool all = true;
      for (const size_t core : wanted) {
        if (Take(core)) continue;
        taken_[core] = true;
        all = false;
      }
      if (!all) continue;
      for (size_t core = 0; core < cores_.size(); ++core) {
        if (std::find(wanted.begin(), wanted.end(), core) == wanted.end()) GiveBack(core);
      }
      return plan;
    }
  }

  std::optional<NodePlan> PlanAround(const NodePlan& plain) const {
    if (std::find(taken_.begin(), taken_.end(), true) == taken_.end()) return plain;
    std::vector<NodeApp> apps = apps_;
    for (size_t i = 0; i < apps.size(); ++i) apps[i].policy = &policies_[i];
    auto planned = PlanNode(hardware_, apps, TakenCpus());
    const bool fits = planned && !planned->default_left_out;
    NodePlan plan = fits ? *std::move(planned) : plain;
    if (!fits && !PickCores(&plan)) return std::nullopt;
    if (!LeaveTaken(&plan)) return std::nullopt;
    return plan;
  }

  // As many as count: a core is one processor, or each of its threads is.
  std::vector<uint32_t> TakenCpus() const {
    std::vector<uint32_t> cpus;
    for (size_t core = 0; core < cores_.size(); ++core) {
      const uint32_t count = threads_ ? cores_[core].count : 1;
      for (uint32_t i = 0; taken_[core] && i < count; ++i) cpus.push_back(cores_[core].first + i);
    }
    return cpus;
  }

  // Several cores for each rank need not be mpirun's, which are neighbours from a multiple on, when
  // others hold some between them: neighbours where there are enough, else the first that are free.
  bool PickCores(NodePlan* plan) const {
    std::vector<bool> used = taken_;
    for (NodeRank& rank : plan->ranks) {
      const PlacePolicy& policy = policies_[rank.app];
      if (policy.bind == BindTo::kNone) continue;
      if (policy.cpus_per_rank < 2 || policy.hwthread_cpus) return false;
      const auto picked = PickFree(used, policy.cpus_per_rank);
      if (picked.empty()) return false;
      rank.cpus.clear();
      for (const size_t core : picked) {
        used[core] = true;
        AddCore(core, &rank.cpus);
      }
    }
    return true;
  }

  static std::vector<size_t> PickFree(const std::vector<bool>& used, uint32_t count) {
    std::vector<size_t> run;
    std::vector<size_t> any;
    for (size_t core = 0; core < used.size(); ++core) {
      if (used[core]) {
        run.clear();
        continue;
      }
      run.push_back(core);
      if (any.size() < count) any.push_back(core);
      if (run.size() == count) return run;
    }
    return any.size() == count ? any : std::vector<size_t>{};
  }

  void AddCore(size_t core, CpuWords* words) const {
    for (uint32_t i = cores_[core].first; i < cores_[core].end(); ++i) {
      Set(hardware_.cpus[i], words);
    }
  }

  // Ranks that are bound to more than a core stay off those of others. False: nothing is left.
  bool LeaveTaken(NodePlan* plan) const {
    CpuWords taken;
    for (size_t core = 0; core < cores_.size(); ++core) {
      if (taken_[core]) AddCore(core, &taken);
    }
    for (NodeRank& rank : plan->ranks) {
      if (rank.cpus.empty()) continue;
      bool any = false;
      for (size_t i = 0; i < rank.cpus.size(); ++i) {
        if (i < taken.size()) rank.cpus[i] &= ~taken[i];
        any = any || rank.cpus[i] != 0;
      }
      if (!any) return false;
    }
    return true;
  }

  bool Meets(size_t core, const CpuWords& words) const {
    for (uint32_t i = cores_[core].first; i < cores_[core].end(); ++i) {
      if (Has(words, hardware_.cpus[i])) return true;
    }
    return false;
  }

  // How many of the cores that it is bound to a rank keeps for itself.
  size_t CountFor(const NodeRank& rank) const {
    const PlacePolicy& policy = policies_[rank.app];
    const bool named = policy.bind == BindTo::kCpuList || !apps_[rank.app].slot_lists.empty();
    return named ? cores_.size() : std::max(policy.cpus_per_rank, 1U);
  }

  // Two threads of a core may be two ranks'.
  bool SharesCores(const NodeRank& rank) const {
    const PlacePolicy& policy = policies_[rank.app];
    return policy.bind == BindTo::kCpuList || !apps_[rank.app].slot_lists.empty() ||
           policy.bind_object == HwObject::kHwthread;
  }

  std::vector<size_t> WantedBy(const NodePlan& plan) const {
    std::vector<bool> wanted(cores_.size(), false);
    for (const NodeRank& rank : plan.ranks) {
      size_t left = rank.cpus.empty() ? 0 : CountFor(rank);
      for (size_t core = 0; core < cores_.size() && left > 0; ++core) {
        if (!Meets(core, rank.cpus) || (wanted[core] && !SharesCores(rank))) continue;
        wanted[core] = true;
        --left;
      }
    }
    std::vector<size_t> cores;
    for (size_t core = 0; core < cores_.size(); ++core) {
      if (wanted[core]) cores.push_back(core);
    }
    return cores;
  }

  const Hardware& hardware_;
  const std::vector<NodeApp>& apps_;
  const std::vector<CoreNumber>& numbers_;
  const LeaseCalls& calls_;
  const std::vector<CpuSpan> cores_;
  std::vector<PlacePolicy> policies_;  // of the apps, without overload
  bool threads_ = false;               // hardware threads count as processors
  std::vector<bool> taken_;            // by others, by core
  std::vector<bool> mine_;
};

}  // namespace

std::vector<CoreNumber> CoreNumbersOf(const Topology& topology, const Hardware& hardware) {
  std::vector<CoreNumber> numbers = CoreNumbersOf(hardware);
  for (CoreNumber& number : numbers) {
    hwloc_obj_t object = hwloc_get_pu_obj_by_os_index(topology.get(), number);
    while (object != nullptr && object->type != HWLOC_OBJ_CORE) object = object->parent;
    if (object == nullptr) continue;
    const int lowest = hwloc_bitmap_first(object->complete_cpuset);
    if (lowest >= 0) number = static_cast<CoreNumber>(lowest);
  }
  return numbers;
}

std::vector<CoreNumber> CoreNumbersOf(const Hardware& hardware) {
  std::vector<CoreNumber> numbers;
  for (const CpuSpan& core : MapObjects(hardware, HwObject::kCore)) {
    numbers.push_back(hardware.cpus[core.first]);
  }
  return numbers;
}

bool ChoosesCores(const std::vector<NodeApp>& apps) {
  bool any = false;
  for (const NodeApp& app : apps) {
    if (AsksForNone(app)) continue;
    if (!LeavesCoresToUs(app)) return false;
    any = true;
  }
  return any;
}

Result<LeasedPlan> PlanOnFreeCores(const Hardware& hardware, const std::vector<NodeApp>& apps,
                                   const std::vector<CoreNumber>& numbers,
                                   const LeaseCalls& calls) {
  auto plain = PlanNode(hardware, apps);
  if (!plain) return plain.error();
  return Leaser(hardware, apps, numbers, calls).Run(*std::move(plain));
}

}  // namespace rex
