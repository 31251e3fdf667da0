#include "launcher/cli/mpirun_options.h"

#include <algorithm>
#include <array>

namespace rex {

namespace {
using enum MpirunSupport;

constexpr std::string_view kDebuggers =
    "attach one to a rank: --report-state-on-timeout or -v show pids";

// Source of the names and arities: mpirun --help TOPIC of Open MPI 4.1.4, every topic.
constexpr std::array kOptions = std::to_array<MpirunOption>({
    {"cartofile", 1, kNever, "rex reads the topology from hwloc"},
    {"cf", 1, kNever, "rex reads the topology from hwloc"},
    {"continuous", 0, kNotYet, "a rank that fails ends the job"},
    {"d", 0, kNever, "use -v, or REX_LOG=debug in the environment"},
    {"debug", 0, kNotYet, kDebuggers},
    {"debug-daemons", 0, kNever, "use REX_LOG=debug in the environment"},
    {"debug-daemons-file", 0, kNever, "use REX_LOG=debug in the environment"},
    {"debug-devel", 0, kNever, "use -v, or REX_LOG=debug in the environment"},
    {"debugger", 1, kNotYet, kDebuggers},
    {"disable-recovery", 0, kIgnored, ""},
    {"display-devel-allocation", 0, kNotYet, "use --display allocation"},
    {"display-devel-map", 0, kNotYet, "use --display map"},
    {"display-diffable-map", 0, kNotYet, "use --display map"},
    {"do-not-resolve", 0, kIgnored, ""},
    {"enable-instant-on-support", 0, kIgnored, ""},
    {"enable-recovery", 0, kNotYet, "a rank that fails ends the job"},
    {"fwd-mpirun-port", 0, kIgnored, ""},
    {"hnp", 1, kNotYet, ""},
    {"index-argv-by-rank", 0, kNotYet, ""},
    {"launch-agent", 1, kNotYet,
     "--prefix says where rex is on the nodes, --ssh how they are reached"},
    {"leave-session-attached", 0, kIgnored, ""},
    {"max-restarts", 1, kNotYet, "a rank that fails ends the job"},
    {"noprefix", 0, kIgnored, ""},
    {"novm", 0, kIgnored, ""},
    {"ompi-server", 1, kNotYet, ""},
    {"output-proctable", 0, kNotYet, "-v shows each rank's node and pid"},
    {"personality", 1, kIgnored, ""},
    {"preload-binary", 0, kIgnored, ""},
    {"report-child-jobs-separately", 0, kIgnored, ""},
    {"report-events", 1, kNever, "use --timeline"},
    {"report-uri", 1, kNotYet, ""},
    {"s", 0, kIgnored, ""},
    {"show-progress", 0, kNotYet, "use --timeline"},
    {"tv", 0, kNotYet, kDebuggers},
    {"use-regexp", 0, kIgnored, ""},
    {"xml", 0, kNotYet, "use --output, or --timeline FILE for JSON"},
    {"xml-file", 1, kNotYet, "use --output, or --timeline FILE for JSON"},
    {"xterm", 1, kNotYet, ""},
});
}  // namespace

std::span<const MpirunOption> MpirunOptions() { return kOptions; }

const MpirunOption* FindMpirunOption(std::string_view name) {
  const auto* found = std::find_if(kOptions.begin(), kOptions.end(),
                                   [name](const MpirunOption& o) { return o.name == name; });
  return found == kOptions.end() ? nullptr : found;
}

}  // namespace rex
