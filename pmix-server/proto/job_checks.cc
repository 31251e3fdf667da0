#include "pmix-server/proto/job_checks.h"

#include <algorithm>

namespace rex::pmix {

namespace {

Error Bad(const std::string& what) { return Error{Errc::kProtocol, "RegisterJob: " + what}; }

// Apps hold their ranks in order: the first app starts at 0, each next where the last one ended.
rex::Status CheckApps(const RegisterJob& job) {
  if (job.apps.empty() || job.apps.size() > kMaxJobApps) return Bad("number of apps");
  uint64_t next = 0;
  for (const auto& app : job.apps) {
    if (app.ranks == 0) return Bad("an app without ranks");
    if (app.first_rank != next) return Bad("apps do not follow each other");
    if (app.argv.empty() || app.argv[0].empty()) return Bad("an app without a program");
    next += app.ranks;
    if (next > kMaxJobRanks) return Bad("too many ranks");
  }
  return Ok{};
}

// False: the run is empty, goes beyond the last rank, or names one that has a place already.
bool Place(const RankRun& run, std::vector<bool>& placed) {
  if (run.count == 0 || run.stride == 0) return false;
  if (run.first + (uint64_t{run.count} - 1) * run.stride >= placed.size()) return false;
  for (uint32_t i = 0; i < run.count; ++i) {
    const size_t rank = run.first + size_t{i} * run.stride;
    if (placed[rank]) return false;
    placed[rank] = true;
  }
  return true;
}

rex::Status CheckNodes(const RegisterJob& job) {
  if (job.nodes.empty() || job.nodes.size() > kMaxJobNodes) return Bad("number of nodes");
  if (job.local_node >= job.nodes.size()) return Bad("local_node out of range");
  const uint64_t total = JobRanks(job);
  std::vector<bool> placed(total);
  uint64_t left = total;
  for (const auto& node : job.nodes) {
    if (node.name.empty() || node.name.size() > 255) return Bad("length of a node's name");
    for (const RankRun& run : node.runs) {
      if (!Place(run, placed)) return Bad("nodes do not share out the ranks");
      left -= run.count;
    }
  }
  if (left != 0) return Bad("nodes have fewer ranks than apps");
  return Ok{};
}

}  // namespace

uint32_t JobRanks(const RegisterJob& job) {
  uint32_t total = 0;
  for (const auto& app : job.apps) total += app.ranks;
  return total;
}

std::vector<uint32_t> RanksOfNode(const RegisterJob::Node& node) {
  std::vector<uint32_t> ranks;
  for (const RankRun& run : node.runs) {
    for (uint32_t i = 0; i < run.count; ++i) ranks.push_back(run.first + i * run.stride);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

rex::Status CheckRegisterJob(const RegisterJob& job) {
  if (auto s = CheckApps(job); !s) return s;
  if (auto s = CheckNodes(job); !s) return s;
  if (job.job_dir.empty() || job.job_dir[0] != '/') return Bad("job_dir is not absolute");
  const size_t local = RanksOfNode(job.nodes[job.local_node]).size();
  if (!job.cpusets.empty() && job.cpusets.size() != local) return Bad("number of cpusets");
  return Ok{};
}

}  // namespace rex::pmix
