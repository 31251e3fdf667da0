// Which of rexlaunch's environment variables the ranks get. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rex {

using Environment = std::vector<std::string>;  // NAME=VALUE, as environ(7)

struct EnvSetting {
  std::string name;
  std::string value;
  bool operator==(const EnvSetting&) const = default;
};

// The value of `name`; the first wins when it is there twice, as with getenv(3).
std::optional<std::string_view> FindVariable(const Environment& env, std::string_view name);

// True when rexlaunch itself runs as a rank of some PMIx job, for instance from a script under
// mpirun or in a Slurm step.
bool InsideAnotherJob(const Environment& env);

// True for what a surrounding job tells its own ranks, and what would make ours take part in that
// job: PMIX_*, PMI_*, OMPI_COMM_WORLD_*, OMPI_UNIVERSE_SIZE and their relatives. Settings of the
// user (OMPI_MCA_btl, PMIX_MCA_gds, ...) are not among them; `inside`: see InsideAnotherJob, then
// those that Open MPI's launcher sets for its ranks are.
bool BelongsToAnotherJob(std::string_view name, bool inside);

// True for what belongs to a host or a login, and would be wrong on another node: SSH_*, XDG_*,
// DBUS_*, SYSTEMD_*, DISPLAY, HOSTNAME and their relatives. Not HOME, USER, PATH, LANG, TERM,
// TMPDIR.
bool BelongsToThisHost(std::string_view name);

// What of our environment the ranks get: --export.
enum class ExportMode : uint8_t {
  kAll,
  kMpirun,  // OMPI_* and PMIX_MCA_*
  kNone,
};

// The environment for the ranks of all apps of a job on this machine: ours minus what belongs to
// another job and minus REX_*, PWD set to `cwd`. Entries that are no NAME=VALUE are left out.
Environment RankEnvironment(const Environment& ours, const std::string& cwd);

// The same for a job that has other nodes: also minus what belongs to this host, and only what
// `mode` lets through.
Environment RankEnvironmentElsewhere(const Environment& ours, const std::string& cwd,
                                     ExportMode mode);

// What an app's ranks get on top: its settings in order (the last wins for one name), and PWD
// when `wdir` is not empty.
Environment AppEnvironment(const std::vector<EnvSetting>& settings, const std::string& wdir);

}  // namespace rex
