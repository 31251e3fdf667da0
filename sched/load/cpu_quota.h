// How much CPU time the cgroups of this process allow: cpu.max of version 2, cpu.cfs_quota_us of
// version 1, of the process's own group and all above it. Source: cgroups(7), the kernel's
// Documentation/admin-guide/cgroup-v2.rst, scheduler/sched-bwc.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rex {

// A group's directory.
struct QuotaGroup {
  std::string directory;
  bool version2 = false;
  bool operator==(const QuotaGroup&) const = default;
};

// From /proc/self/cgroup and /proc/self/mountinfo: where quotas may be, the own groups first. Pure.
std::vector<QuotaGroup> QuotaGroups(std::string_view cgroup, std::string_view mountinfo);

// "150000 100000" of cpu.max: hundredths of a core. nullopt: no quota ("max"), or not understood.
std::optional<uint32_t> ParseCpuMax(std::string_view text);
// Of cpu.cfs_quota_us and cpu.cfs_period_us.
std::optional<uint32_t> ParseCfsQuota(std::string_view quota, std::string_view period);

// The least quota of these groups, in hundredths of a core. nullopt: none.
std::optional<uint32_t> ReadQuota(const std::vector<QuotaGroup>& groups);

}  // namespace rex
