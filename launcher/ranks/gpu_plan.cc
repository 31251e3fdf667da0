#include "launcher/ranks/gpu_plan.h"

#include <algorithm>
#include <optional>

#include "launcher/ranks/env_list.h"
#include "sched/placement/gpus.h"

namespace rex {

namespace {

struct ListOfGpus {
  std::string variable;  // that named them; empty: none did
  std::string value;
};

// What a batch system, an administrator or the user left of the node's GPUs.
ListOfGpus ListIn(const std::vector<std::string>& env, GpuVendor vendor) {
  for (const std::string_view name : GpuListVariables(vendor)) {
    if (const auto value = ValueOf(env, name)) return {std::string(name), std::string(*value)};
  }
  return {};
}

size_t AppIndexOf(const PartPlan& plan, Rank rank) {
  return static_cast<size_t>(&plan.AppOf(rank) - plan.apps.data());
}

std::vector<GpuWant> WantsOf(const JobSpec& spec, const PartPlan& plan) {
  std::vector<GpuWant> wants;
  for (size_t local = 0; local < plan.ranks.size(); ++local) {
    GpuWant want;
    want.count = spec.apps[AppIndexOf(plan, plan.ranks[local])].gpus_per_rank;
    if (!plan.bindings.empty()) want.cpus = plan.bindings[local];
    wants.push_back(std::move(want));
  }
  return wants;
}

Error TooFew(Error error, const ListOfGpus& list) {
  if (!list.variable.empty()) error.text += " (" + list.variable + "=" + list.value + ")";
  error.text += "; start fewer ranks on it (-N), or lower --gpus-per-rank";
  return error;
}

void SetAppVariables(GpuVendor vendor, AppPlan* app) {
  std::erase_if(app->env, [vendor](const std::string& entry) {
    const auto names = GpuListVariables(vendor);
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return entry.starts_with(std::string(name) + "=");
    });
  });
  const std::vector<std::string> order = GpuOrderVariables(vendor);
  app->env = MergeEnvironments({&order, &app->env});
}

std::string TextOf(const std::vector<Gpu>& gpus) {
  std::string text;
  for (const Gpu& gpu : gpus) {
    text += (text.empty() ? "" : ", ") + gpu.id;
    if (!gpu.address.empty()) text += " (" + gpu.address + ")";
  }
  return text;
}

}  // namespace

Status PlanGpus(const JobSpec& spec, const Topology* topology, PartPlan* plan) {
  const std::vector<GpuWant> wants = WantsOf(spec, *plan);
  const auto first =
      std::find_if(wants.begin(), wants.end(), [](const GpuWant& want) { return want.count > 0; });
  if (first == wants.end()) return Ok{};
  std::vector<Gpu> gpus = topology == nullptr ? std::vector<Gpu>{} : GpusOf(*topology);
  ListOfGpus list;
  if (!gpus.empty()) {
    const Rank rank = plan->ranks[static_cast<size_t>(first - wants.begin())];
    list = ListIn(plan->AppOf(rank).env, gpus[0].vendor);
    if (!list.variable.empty()) gpus = VisibleGpus(gpus, list.value);
  }
  const auto assigned = AssignGpus(gpus, wants);
  if (!assigned) return TooFew(assigned.error(), list);
  for (size_t local = 0; local < wants.size(); ++local) {
    std::vector<Gpu> mine;
    for (const uint32_t i : (*assigned)[local]) mine.push_back(gpus[i]);
    plan->gpus.push_back(TextOf(mine));
    plan->gpu_env.push_back(mine.empty() ? std::vector<std::string>{} : GpuVariables(mine));
  }
  for (size_t app = 0; app < plan->apps.size(); ++app) {
    if (spec.apps[app].gpus_per_rank > 0) SetAppVariables(gpus[0].vendor, &plan->apps[app]);
  }
  return Ok{};
}

}  // namespace rex
