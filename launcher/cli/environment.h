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

// The environment for the ranks of all apps: ours minus the above and minus REX_*, PWD set to
// `cwd`. Entries that are no NAME=VALUE are left out.
Environment RankEnvironment(const Environment& ours, const std::string& cwd);

// What an app's ranks get on top: its settings in order (the last wins for one name), and PWD
// when `wdir` is not empty.
Environment AppEnvironment(const std::vector<EnvSetting>& settings, const std::string& wdir);

}  // namespace rex
