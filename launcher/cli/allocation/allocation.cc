#include "launcher/cli/allocation/allocation.h"

#include <array>

#include "launcher/cli/allocation/managers.h"

namespace rex {

namespace {

struct ManagerRow {
  Manager manager;
  std::string_view word;
  std::string_view name;
  FoundAllocation (*find)(const Outside&);
};

constexpr std::array<ManagerRow, kManagers> kRows = {{
    {Manager::kFlux, "flux", "Flux", &FindFlux},
    {Manager::kSlurm, "slurm", "Slurm", &FindSlurm},
    {Manager::kPals, "pals", "PALS", &FindPals},
    {Manager::kPbs, "pbs", "PBS", &FindPbs},
    {Manager::kLsf, "lsf", "LSF", &FindLsf},
    {Manager::kGridEngine, "gridengine", "Grid Engine", &FindGridEngine},
}};

const ManagerRow& RowOf(Manager manager) { return kRows[static_cast<size_t>(manager)]; }

}  // namespace

std::string_view ManagerWord(Manager manager) { return RowOf(manager).word; }

std::string_view ManagerName(Manager manager) { return RowOf(manager).name; }

std::optional<Manager> FindManager(std::string_view word) {
  for (const ManagerRow& row : kRows) {
    if (row.word == word) return row.manager;
  }
  return std::nullopt;
}

std::string Describe(const Allocation& allocation) {
  std::string text(ManagerName(allocation.manager));
  if (!allocation.job.empty()) text += " job " + allocation.job;
  return text + " (" + allocation.source + ")";
}

FoundAllocation FindAllocation(const ManagerChoice& choice, const Outside& outside) {
  std::string looked_for;
  for (const ManagerRow& row : kRows) {
    if (!choice.Allows(row.manager)) continue;
    auto found = row.find(outside);
    if (!found || *found) return found;
    looked_for = row.name;
  }
  if (!choice.required) return std::optional<Allocation>();
  return Error{Errc::kInvalid, "option '--allocation': this is not inside an allocation of " +
                                   looked_for + ": the variables that it sets are missing"};
}

}  // namespace rex
