#include "launcher/cli/job_request.h"

#include <algorithm>

namespace rex {

namespace {

std::string AbsoluteDir(const std::string& dir, const std::string& cwd) {
  if (dir.empty() || dir[0] == '/') return dir;
  return cwd + (cwd.ends_with('/') ? "" : "/") + dir;
}

// Slots of this machine that an app's --host and hostfiles name; 0: none were named.
Result<uint32_t> NamedSlots(const AppLine& app, const Surroundings& here) {
  uint64_t slots = 0;
  for (const HostEntry& host : app.hosts) {
    if (!here.is_this_machine(host.name)) {
      return Error{Errc::kInvalid, "host '" + host.name +
                                       "' is not this machine, and rexlaunch starts ranks on this "
                                       "machine only so far; leave it out"};
    }
    slots += host.all_cores ? here.cores : host.slots;
  }
  return static_cast<uint32_t>(std::min<uint64_t>(slots, kMaxRanks));
}

// How many ranks an app has: -n, else -N, else its slots, else the cores.
Result<uint32_t> RanksOf(const AppLine& app, uint32_t slots, const Surroundings& here) {
  if (app.ranks && app.per_node && *app.ranks > *app.per_node) {
    return Error{Errc::kInvalid, "-n " + std::to_string(*app.ranks) + " and -N " +
                                     std::to_string(*app.per_node) +
                                     " do not go together on one node; raise -N or lower -n"};
  }
  if (app.ranks) return *app.ranks;
  if (app.per_node) return *app.per_node;
  return std::clamp<uint32_t>(slots > 0 ? slots : here.cores, 1, kMaxRanks);
}

Result<AppSpec> MakeAppSpec(const AppLine& app, const CommandLine& line, const Surroundings& here,
                            uint32_t slots) {
  AppSpec out;
  const auto ranks = RanksOf(app, slots, here);
  if (!ranks) return ranks.error();
  out.argv = app.argv;
  out.ranks = *ranks;
  out.wdir = AbsoluteDir(app.wdir, here.cwd);
  out.search_path = app.search_path;
  std::vector<EnvSetting> settings = line.settings;  // an app's own come after: the last wins
  settings.insert(settings.end(), app.settings.begin(), app.settings.end());
  out.env = AppEnvironment(settings, out.wdir);
  return out;
}

// The displays, bindings and limits of the whole job.
void TakeJobOptions(const CommandLine& line, JobSpec& job) {
  job.stdin_rank = line.stdin_rank;
  job.stdout_pipe = line.stdout_pipe;
  job.grace = line.grace;
  job.timeout = line.timeout;
  job.report_state = line.report_state || line.stack_traces;
  job.stack_traces = line.stack_traces;
  job.oversubscribe = line.oversubscribe;
  job.refuse_oversubscribe = line.nooversubscribe;
  job.verbose = line.verbose;
  job.timer_slack = line.timer_slack;
  job.no_template = line.no_template;
  job.bind = line.bind.policy;
  job.bind_overload = line.bind.overload;
  job.show_map = line.display.map;
  job.show_allocation = line.display.allocation;
  job.show_bindings = line.display.bindings;
  job.show_topology = line.display.topology;
  job.do_not_launch = line.do_not_launch;
  job.cwd_in_session = line.session_dir;
}

size_t Bytes(const std::vector<std::string>& strings) {
  size_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + 8;  // with its tag and length
  return bytes;
}

size_t MessageBytes(const JobSpec& job) {
  size_t bytes = 1024 + job.cwd.size() + Bytes(job.env);
  for (const AppSpec& app : job.apps) {
    bytes += 64 + app.wdir.size() + app.search_path.size() + Bytes(app.argv) + Bytes(app.env);
  }
  return bytes;
}

}  // namespace

Result<JobSpec> MakeJobSpec(const CommandLine& line, const Surroundings& here,
                            const Environment& env) {
  JobSpec job;
  for (const AppLine& app : line.apps) {
    const auto slots = NamedSlots(app, here);
    if (!slots) return slots.error();
    job.slots = std::max(job.slots, *slots);
    auto spec = MakeAppSpec(app, line, here, *slots);
    if (!spec) return spec.error();
    job.apps.push_back(*std::move(spec));
  }
  TakeJobOptions(line, job);
  if (FindVariable(env, "REX_OVERSUBSCRIBE") == "1" && !line.nooversubscribe) {
    job.oversubscribe = true;
  }
  job.env = RankEnvironment(env, here.cwd);
  job.cwd = here.cwd;
  job.umask = here.umask;
  job.open_files = std::max<uint64_t>(here.open_files, 1);
  job.open_files_hard = std::max(here.open_files_hard, job.open_files);

  const uint32_t total = job.TotalRanks();
  if (total > kMaxRanks) {
    return Error{Errc::kInvalid, "the programs have " + std::to_string(total) +
                                     " ranks together; a job has at most " +
                                     std::to_string(kMaxRanks)};
  }
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
