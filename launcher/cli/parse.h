// From the words of a command line to what they ask for. Pure: no I/O, no globals; the environment,
// and how to read a file that an option names, are passed in.
//
// Grammar, as mpirun's: APP [: APP]..., APP = [OPTION [VALUE]...]... PROGRAM [ARGUMENT]...
// Options have one dash or two and are never abbreviated; `--` ends an app's options; the first
// word that is no option is the program, and all that follows up to a lone ':' is the program's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launcher/base/result.h"
#include "launcher/cli/allocation/allocation.h"
#include "launcher/cli/described_cluster.h"
#include "launcher/cli/environment.h"
#include "launcher/cli/file_reader.h"
#include "launcher/cli/option_values.h"
#include "launcher/cli/rank_file.h"
#include "launcher/values/host_list.h"
#include "sched/policy/policy.h"

namespace rex {

struct AppLine {
  std::optional<uint32_t> ranks;     // 1..kMaxRanks
  std::optional<uint32_t> per_node;  // -N
  std::string wdir;                  // as typed; empty: none given
  std::string search_path;           // --path
  std::vector<HostEntry> hosts;      // --host, in order
  std::vector<HostEntry> hostfile;   // --hostfile, in order
  // The same, mention by mention, for --map-by seq.
  std::vector<RankPlace> host_sequence;
  std::vector<RankPlace> file_sequence;
  PlacePolicy place;  // what the first program has is also the others', unless they say otherwise
  uint32_t gpus_per_rank = 0;
  std::vector<EnvSetting> settings;
  std::vector<std::string> argv;  // at least one word, the first not empty
};

struct CommandLine {
  std::vector<AppLine> apps;         // at least one, unless help or version is set
  std::vector<EnvSetting> settings;  // for all apps
  // Of Open MPI's own parameter files, for FindParameter: below all others. Not set by the parser.
  std::vector<EnvSetting> file_settings;
  int32_t stdin_rank = 0;  // or kStdinAll, kStdinNone
  bool stdout_pipe = false;
  bool oversubscribe = false;
  bool report_state = false;
  OutputChoice output;
  DisplayChoice display;
  bool nooversubscribe = false;
  std::vector<RankPlace> rankfile;  // --rankfile, by rank; empty: not given
  DescribedCluster cluster;         // --nodes-json
  uint32_t max_load = kNoMaxLoad;   // --max-load, in hundredths
  std::chrono::seconds wait{0};     // --wait, --max-wait; 0: not given
  bool nolocal = false;
  std::optional<uint32_t> max_nodes;      // --max-vm-size: at least 1
  std::optional<ManagerChoice> managers;  // --allocation; nullopt: not given, or auto
  std::optional<std::string> leases;      // --leases, as JobSpec::leases; nullopt: not given
  std::string default_hostfile;           // as typed, or "none"; empty: not given
  VirtualChoice virtual_nodes;
  std::string dvm;               // a name, or "none"; empty: not given
  std::vector<std::string> ssh;  // the words of --ssh; empty: not given
  std::string prefix;            // absolute; empty: not given
  TreeRequest tree = TreeRequest::kAuto;
  ShipRequest ship = ShipRequest::kAuto;
  StageSpec stage;  // its preload_files as typed
  std::chrono::seconds start_timeout{30};
  std::chrono::seconds node_timeout{120};
  bool allow_missing_nodes = false;
  uint64_t max_modex_bytes = uint64_t{1} << 30;
  ExportMode export_mode = ExportMode::kAll;
  bool stack_traces = false;
  bool do_not_launch = false;
  bool check = false;  // no job: look at the nodes. There may be one program, "true", of nobody's
  bool json = false;   // with check, or with display.allocation
  bool check_openmpi = false;  // no job
  bool session_dir = false;    // ranks start in the job's own directory
  std::string report_pid;      // a file, "-" or "+"; empty: none
  bool quiet = false;
  bool verbose = false;
  bool allow_root = false;  // by option or environment: root means it
  bool version = false;
  bool help = false;
  std::string help_topic;  // empty: all
  std::chrono::milliseconds grace{2000};
  std::optional<std::chrono::milliseconds> report_after;  // 0: never
  std::chrono::milliseconds timeout{0};                   // 0: none
  std::chrono::microseconds timer_slack{5000};
  bool no_template = false;
  std::string timeline;               // a file, "-", or empty: none
  std::vector<std::string> warnings;  // lines for the user; the job goes on
};

// `words` is argv without argv[0]. Errors: kInvalid; the text is one line for the user that says
// what is wrong, in which word, and how to mend it.
// `read_file` gives the text of a file that an option names.
Result<CommandLine> ParseCommandLine(std::span<const std::string> words, const Environment& env,
                                     const FileReader& read_file);

}  // namespace rex
