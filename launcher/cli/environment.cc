#include "launcher/cli/environment.h"

#include <algorithm>
#include <array>

namespace rex {

namespace {

// What Open MPI's launchers and PMI servers set for ranks. Found by comparing the environment
// inside and outside of `mpirun env` (Open MPI 4.1.4).
constexpr std::array<std::string_view, 4> kJobPrefixes = {"PMI_", "PMI2_", "OMPI_COMM_WORLD_",
                                                          "HYDI_"};
constexpr std::array<std::string_view, 9> kJobNames = {
    "OMPI_UNIVERSE_SIZE", "OMPI_APP_CTX_NUM_PROCS", "OMPI_FIRST_RANKS",
    "OMPI_NUM_APP_CTX",   "OMPI_FILE_LOCATION",     "OMPI_COMMAND",
    "OMPI_ARGV",          "MPI_LOCALRANKID",        "MPI_LOCALNRANKS"};
constexpr std::array<std::string_view, 2> kInsidePrefixes = {"OMPI_MCA_ess", "OMPI_MCA_orte_"};
constexpr std::array<std::string_view, 4> kInsideNames = {"OMPI_MCA_pmix", "OMPI_MCA_initial_wdir",
                                                          "OMPI_MCA_mpi_oversubscribe",
                                                          "OMPI_MCA_shmem_RUNTIME_QUERY_hint"};

constexpr std::array<std::string_view, 4> kHostPrefixes = {"SSH_", "XDG_", "DBUS_", "SYSTEMD_"};
// Displays, terminals and their multiplexers, the login shell's own, the service manager's.
constexpr std::array<std::string_view, 23> kHostNames = {"DISPLAY",
                                                         "WAYLAND_DISPLAY",
                                                         "XAUTHORITY",
                                                         "SESSION_MANAGER",
                                                         "WINDOWID",
                                                         "HOSTNAME",
                                                         "HOST",
                                                         "TTY",
                                                         "GPG_TTY",
                                                         "TMUX",
                                                         "TMUX_PANE",
                                                         "STY",
                                                         "WINDOW",
                                                         "SHLVL",
                                                         "_",
                                                         "OLDPWD",
                                                         "MAIL",
                                                         "INVOCATION_ID",
                                                         "JOURNAL_STREAM",
                                                         "NOTIFY_SOCKET",
                                                         "LISTEN_FDS",
                                                         "LISTEN_PID",
                                                         "MANAGERPID"};

template <size_t n>
bool AnyPrefix(std::string_view name, const std::array<std::string_view, n>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

template <size_t n>
bool AnyName(std::string_view name, const std::array<std::string_view, n>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<std::string_view> FindVariable(const Environment& env, std::string_view name) {
  for (const std::string_view entry : env) {
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name)) {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

bool InsideAnotherJob(const Environment& env) {
  return FindVariable(env, "PMIX_NAMESPACE") || FindVariable(env, "OMPI_COMM_WORLD_RANK");
}

bool BelongsToAnotherJob(std::string_view name, bool inside) {
  if (name.starts_with("PMIX_MCA_")) return inside;
  if (name.starts_with("PMIX_") || AnyPrefix(name, kJobPrefixes)) return true;
  if (AnyName(name, kJobNames)) return true;
  return inside && (AnyPrefix(name, kInsidePrefixes) || AnyName(name, kInsideNames));
}

bool BelongsToThisHost(std::string_view name) {
  return AnyPrefix(name, kHostPrefixes) || AnyName(name, kHostNames);
}

Environment RankEnvironment(const Environment& ours, const std::string& cwd) {
  const bool inside = InsideAnotherJob(ours);
  Environment out;
  out.reserve(ours.size() + 1);
  for (const std::string& entry : ours) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const std::string_view name = std::string_view(entry).substr(0, equals);
    if (name == "PWD" || name.starts_with("REX_") || BelongsToAnotherJob(name, inside)) continue;
    out.push_back(entry);
  }
  out.push_back("PWD=" + cwd);
  return out;
}

Environment RankEnvironmentElsewhere(const Environment& ours, const std::string& cwd,
                                     ExportMode mode) {
  Environment out = RankEnvironment(ours, cwd);
  std::erase_if(out, [mode](const std::string& entry) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    if (name == "PWD") return false;
    if (mode == ExportMode::kNone || BelongsToThisHost(name)) return true;
    const bool for_mpi = name.starts_with("OMPI_") || name.starts_with("PMIX_MCA_");
    return mode == ExportMode::kMpirun && !for_mpi;
  });
  return out;
}

Environment AppEnvironment(const std::vector<EnvSetting>& settings, const std::string& wdir) {
  Environment out;
  if (!wdir.empty()) out.push_back("PWD=" + wdir);
  for (const EnvSetting& setting : settings) {
    const std::string prefix = setting.name + "=";
    std::erase_if(out, [&](const std::string& entry) { return entry.starts_with(prefix); });
    out.push_back(prefix + setting.value);
  }
  return out;
}

}  // namespace rex
