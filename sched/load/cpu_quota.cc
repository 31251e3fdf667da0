#include "sched/load/cpu_quota.h"

#include <algorithm>
#include <charconv>

#include "launcher/base/fd.h"
#include "launcher/base/text.h"

namespace rex {

namespace {

constexpr size_t kMostBytes = 4096;
constexpr uint64_t kHundredths = 100;
constexpr size_t kMostLevels = 64;

std::string_view Trimmed(std::string_view text) {
  const size_t end = text.find_last_not_of(" \n");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

std::optional<uint64_t> NumberOf(std::string_view text) {
  text = Trimmed(text);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// At least a hundredth, so that a load stays a number.
std::optional<uint32_t> Share(std::optional<uint64_t> quota, std::optional<uint64_t> period) {
  constexpr uint64_t kMost = uint64_t{1} << 40;
  if (!quota || !period || *period == 0 || *quota > kMost) return std::nullopt;
  const uint64_t share = std::max<uint64_t>(*quota * kHundredths / *period, 1);
  return static_cast<uint32_t>(std::min<uint64_t>(share, UINT32_MAX));
}

bool HasWord(std::string_view list, std::string_view word) {
  const auto words = Split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Of "HIERARCHY:CONTROLLERS:PATH".
struct Membership {
  std::string_view path;
  bool version2 = false;
};
std::vector<Membership> MembershipsOf(std::string_view cgroup) {
  std::vector<Membership> found;
  for (const std::string_view line : Split(cgroup, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool version2 = line.substr(0, first) == "0" && controllers.empty();
    if (version2 || HasWord(controllers, "cpu"))
      found.push_back({line.substr(second + 1), version2});
  }
  return found;
}

struct Mount {
  std::string_view root;   // which directory of the hierarchy is shown
  std::string_view point;  // where
};
// The first of that version in mountinfo: "ID PARENT DEV ROOT POINT OPTIONS [...] - TYPE SOURCE
// OPTIONS".
std::optional<Mount> MountOf(std::string_view mountinfo, bool version2) {
  for (const std::string_view line : Split(mountinfo, '\n')) {
    const auto words = Split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const bool fits =
        version2 ? dash[1] == "cgroup2" : dash[1] == "cgroup" && HasWord(dash[3], "cpu");
    if (fits) return Mount{words[3], words[4]};
  }
  return std::nullopt;
}

void AddGroups(const Membership& member, const Mount& mount, std::vector<QuotaGroup>* groups) {
  std::string_view path = member.path;
  // What is above the mount's root (of a container, say) is not to be seen from here.
  if (mount.root != "/" && path.starts_with(mount.root)) path.remove_prefix(mount.root.size());
  while (path.ends_with('/')) path.remove_suffix(1);
  for (size_t level = 0; level < kMostLevels; ++level) {
    groups->push_back({std::string(mount.point) + std::string(path), member.version2});
    if (path.empty()) return;
    path = path.substr(0, std::min(path.rfind('/'), path.size()));
  }
}

std::optional<uint32_t> QuotaOf(const QuotaGroup& group) {
  if (group.version2) {
    const auto text = ReadFile(group.directory + "/cpu.max", kMostBytes);
    return text ? ParseCpuMax(*text) : std::nullopt;
  }
  const auto quota = ReadFile(group.directory + "/cpu.cfs_quota_us", kMostBytes);
  const auto period = ReadFile(group.directory + "/cpu.cfs_period_us", kMostBytes);
  return quota && period ? ParseCfsQuota(*quota, *period) : std::nullopt;
}

}  // namespace

std::vector<QuotaGroup> QuotaGroups(std::string_view cgroup, std::string_view mountinfo) {
  std::vector<QuotaGroup> groups;
  for (const Membership& member : MembershipsOf(cgroup)) {
    if (const auto mount = MountOf(mountinfo, member.version2)) AddGroups(member, *mount, &groups);
  }
  return groups;
}

std::optional<uint32_t> ParseCpuMax(std::string_view text) {
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  return Share(NumberOf(text.substr(0, blank)), NumberOf(text.substr(blank + 1)));
}

std::optional<uint32_t> ParseCfsQuota(std::string_view quota, std::string_view period) {
  return Share(NumberOf(quota), NumberOf(period));  // "-1": none
}

std::optional<uint32_t> ReadQuota(const std::vector<QuotaGroup>& groups) {
  std::optional<uint32_t> least;
  for (const QuotaGroup& group : groups) {
    const auto quota = QuotaOf(group);
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

}  // namespace rex
