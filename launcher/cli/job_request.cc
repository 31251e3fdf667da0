#include "launcher/cli/job_request.h"

#include <algorithm>

namespace rex {

namespace {

std::string AbsoluteDir(const std::string& dir, const std::string& cwd) {
  if (dir.empty() || dir[0] == '/') return dir;
  return cwd + (cwd.ends_with('/') ? "" : "/") + dir;
}

AppSpec MakeAppSpec(const AppLine& app, const CommandLine& line, const Surroundings& here) {
  AppSpec out;
  out.argv = app.argv;
  out.ranks = app.ranks.value_or(std::clamp<uint32_t>(here.cores, 1, kMaxRanks));
  out.wdir = AbsoluteDir(app.wdir, here.cwd);
  std::vector<EnvSetting> settings = line.settings;  // an app's own come after: the last wins
  settings.insert(settings.end(), app.settings.begin(), app.settings.end());
  out.env = AppEnvironment(settings, out.wdir);
  return out;
}

size_t Bytes(const std::vector<std::string>& strings) {
  size_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + 8;  // with its tag and length
  return bytes;
}

size_t MessageBytes(const JobSpec& job) {
  size_t bytes = 1024 + job.cwd.size() + Bytes(job.env);
  for (const AppSpec& app : job.apps) {
    bytes += 64 + app.wdir.size() + Bytes(app.argv) + Bytes(app.env);
  }
  return bytes;
}

}  // namespace

Result<JobSpec> MakeJobSpec(const CommandLine& line, const Surroundings& here,
                            const Environment& env) {
  JobSpec job;
  for (const AppLine& app : line.apps) job.apps.push_back(MakeAppSpec(app, line, here));
  job.env = RankEnvironment(env, here.cwd);
  job.cwd = here.cwd;
  job.stdin_rank = line.stdin_rank;
  job.stdout_pipe = line.stdout_pipe;
  job.grace = line.grace;
  job.timeout = line.timeout;
  job.report_state = line.report_state;
  job.oversubscribe = line.oversubscribe;
  job.verbose = line.verbose;
  job.umask = here.umask;
  job.open_files = std::max<uint64_t>(here.open_files, 1);
  job.open_files_hard = std::max(here.open_files_hard, job.open_files);
  job.timer_slack = line.timer_slack;

  const uint32_t total = job.TotalRanks();
  if (job.stdin_rank >= static_cast<int64_t>(total)) {
    return Error{Errc::kInvalid, "option '--stdin': there is no rank " +
                                     std::to_string(job.stdin_rank) + "; the job has ranks 0 to " +
                                     std::to_string(total - 1)};
  }
  if (MessageBytes(job) > kMaxLaunchMessageBytes) {
    return Error{Errc::kInvalid, "the environment and the command line are larger than " +
                                     std::to_string(kMaxLaunchMessageBytes >> 20) +
                                     " MiB together; unset large variables or use fewer arguments"};
  }
  return job;
}

}  // namespace rex
