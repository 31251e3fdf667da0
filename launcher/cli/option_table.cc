#include "launcher/cli/option_table.h"

#include <algorithm>

namespace rex {

namespace {

constexpr size_t kHelpColumn = 29;  // where the explanations start
constexpr size_t kHelpWidth = 100;

using enum OptionId;
constexpr OptionScope kApp = OptionScope::kApp;
constexpr OptionScope kJob = OptionScope::kJob;

// Built on first use: --version and most launches need it once.
const std::vector<Option>& Table() {
  static const std::vector<Option> table = {
      {kRanks,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kRankCount,
       1,
       {"n", "np", "c"},
       "N",
       "Start N ranks of this program. Without it: one per slot of the nodes that are named, or "
       "one "
       "per core that rexlaunch may use{cores}. Needed for each program when there are several."},
      {kPerNode,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kRankCount,
       1,
       {"N", "npernode"},
       "N",
       "Start N ranks of this program on each node; with -n: at most so many on a node."},
      {kOnePerNode,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"pernode"},
       "",
       "The same as -N 1."},
      {kExport,
       kApp,
       OptionTopic::kGeneral,
       OptionValue::kText,
       1,
       {"x"},
       "NAME[=VALUE]",
       "Give the ranks this environment variable, with VALUE or with the value it has here. The "
       "environment goes to the ranks anyway, minus PMIX_*, PMI_*, OMPI_COMM_WORLD_* and the like "
       "of a surrounding job and minus REX_*; see --export."},
      {kPath,
       kApp,
       OptionTopic::kGeneral,
       OptionValue::kText,
       1,
       {"path"},
       "DIRS",
       "Search these directories, separated by colons, for the program before those of PATH."},
      {kWdir,
       kApp,
       OptionTopic::kGeneral,
       OptionValue::kText,
       1,
       {"wdir", "wd", "chdir"},
       "DIR",
       "Start the ranks in this directory. Without it: the current one."},
      {kHost,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"H", "host"},
       "NAME[:SLOTS],...",
       "Run on these nodes: names, addresses (IPv6 with slots as [ADDRESS]:SLOTS), aliases of the "
       "ssh configuration, USER@NAME. Each has one slot for each mention, or SLOTS, or with :* one "
       "for each of its cores. Inside an allocation: only these of its nodes, with no more slots "
       "than it gives. ^NAME leaves a node out; +nNUMBER is the NUMBERth node of the allocation or "
       "hostfile, from 0; +e is all of its nodes without ranks of the programs before, +e:COUNT "
       "that many."},
      {kHostfile,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"hostfile", "machinefile"},
       "FILE",
       "The same from a file: a name per line, with slots=N (without: its cores), max_slots=N, "
       "username=NAME and port=N; ^NAME leaves a node out. Several files count as one. Inside an "
       "allocation: only these of its nodes, with the allocation's slots."},
      {kDefaultHostfile,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"default-hostfile"},
       "FILE|none",
       "The hostfile for programs without --hostfile outside of any allocation. Default: the Open "
       "MPI parameter orte_default_hostfile, /etc/openmpi/openmpi-default-hostfile, "
       "~/.config/rex/nodes, /etc/rex/nodes: the first that names a node."},
      {kAllocation,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kChoice,
       1,
       {"allocation"},
       "auto|none|slurm|pbs|lsf|gridengine|flux|pals",
       "Whose allocation gives the nodes: the one in which rexlaunch runs (auto), none, or only "
       "this resource manager's. Default: auto, less what the Open MPI parameter ras leaves out."},
      {kMaxVmSize,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"max-vm-size"},
       "N",
       "Use the first N nodes at most."},
      {kMca,
       kApp,
       OptionTopic::kGeneral,
       OptionValue::kText,
       2,
       {"mca"},
       "KEY VALUE",
       "Set the Open MPI parameter KEY for the ranks of this program, by OMPI_MCA_KEY=VALUE."},
      {kGlobalMca,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kText,
       2,
       {"gmca"},
       "KEY VALUE",
       "The same for the ranks of all programs."},
      {kTune,
       kApp,
       OptionTopic::kGeneral,
       OptionValue::kText,
       1,
       {"tune", "am"},
       "FILE,...",
       "Read parameters from these files: lines KEY = VALUE, or -mca KEY VALUE and -x NAME=VALUE. "
       "The command line comes before them."},
      {kAppFile,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kText,
       1,
       {"app"},
       "FILE",
       "Read the programs from FILE, one per line with its options; what stands after this option "
       "is not used."},
      {kSessionDir,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"set-cwd-to-session-dir"},
       "",
       "Start the ranks in a directory of the job, which is removed at its end."},
      {kOversubscribe,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"oversubscribe"},
       "",
       "More ranks than slots are wanted, also where --host or a hostfile say how many slots there "
       "are; and more than cores: say nothing about it."},
      {kNoOversubscribe,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"nooversubscribe"},
       "",
       "Refuse more ranks than slots, also where the slots are only the cores of this machine."},
      {kMapBy,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"map-by"},
       "slot|node|core|l3cache|socket|numa|hwthread|seq|ppr:N:OBJECT[:MODIFIER,...]",
       "To what ranks are mapped: slot (fill one node after the other), node (deal them "
       "out), seq (host by host, as --host or the hostfile lists them), core, l1cache, "
       "l2cache, l3cache, socket, package, numa, hwthread (fill one node after the other, in "
       "turn over its objects), board (the node), dist (near the device of --mca "
       "rmaps_dist_device), rankfile, or ppr:N:OBJECT (N ranks on each). MODIFIER: PE=N (so "
       "many cores for each rank), SPAN (over the objects of all nodes), OVERSUBSCRIBE, "
       "NOOVERSUBSCRIBE, NOLOCAL, HWTCPUS (as --use-hwthread-cpus). Default: core for one or "
       "two ranks, else numa; with --virtual-nodes N without SLOTS: node. What the first "
       "program says counts for all that say nothing."},
      {kByCore,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"bycore"},
       "",
       "The older spelling of --map-by core."},
      {kBySlot,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"byslot"},
       "",
       "The older spelling of --map-by slot."},
      {kByNode,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"bynode"},
       "",
       "The older spelling of --map-by node."},
      {kPpr,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"ppr"},
       "N:OBJECT",
       "The older spelling of --map-by ppr:N:OBJECT."},
      {kPerSocket,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"npersocket"},
       "N",
       "The older spelling of --map-by ppr:N:socket."},
      {kRankBy,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"rank-by"},
       "slot|node|core|l3cache|socket|numa|hwthread[:SPAN|:FILL]",
       "In which order ranks are numbered: slot, node, or in turn over objects as for --map- "
       "by; SPAN: over those of all nodes; FILL: one object after the other. Default: the "
       "object of --map-by, else slot."},
      {kNoLocal,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"nolocal"},
       "",
       "Start no ranks on this machine, also when --host or --hostfile name it."},
      {kVirtualNodes,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"virtual-nodes"},
       "N[:SLOTS]",
       "Instead of --host: act as if this machine were N nodes, node1 to nodeN, each with "
       "processes "
       "of rex of its own. Needs neither ssh nor root. Without -n: SLOTS ranks on each, or one. "
       "Without SLOTS any number of ranks is dealt out over them."},
      {kSsh,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"ssh"},
       "COMMAND",
       "Reach other nodes by this command instead of ssh; quotes as in a shell, for example --ssh "
       "'ssh -F myconfig'. It is given options of ssh, the host and the command to run there. "
       "Default: the Open MPI parameters plm_rsh_agent and plm_rsh_args, or ssh."},
      {kPrefix,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"prefix"},
       "DIR",
       "Where rex is installed on the other nodes: DIR/libexec/rex/rexd is started there. Default: "
       "where this rexlaunch is installed."},
      {kTree,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kChoice,
       1,
       {"tree"},
       "auto|flat|two-level",
       "How other nodes are started and joined: all from this machine, or some that start the "
       "others. Default: auto, which is flat up to 64 nodes."},
      {kShipAgent,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kChoice,
       1,
       {"ship-agent"},
       "auto|always|never",
       "Nodes without rex are sent it, over ssh, for as long as the job lasts: when it is missing "
       "there; on every node, also in an allocation of Slurm's, where ssh is then used; never. "
       "Default: auto."},
      {kStartTimeout,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kSeconds,
       1,
       {"start-timeout"},
       "SECONDS",
       "A node that has not started after this time ends the job, with exit code 120. Whole "
       "seconds "
       "from 1 to 86400, rounded up. Default: 30."},
      {kAllowMissingNodes,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kNone,
       0,
       {"allow-missing-nodes"},
       "",
       "Leave out nodes that can't be started, with a line for each, and run the job on the "
       "others. "
       "Without -n it has as many ranks as those have slots; with more ranks than slots, or "
       "without "
       "any node, it is refused."},
      {kNodeTimeout,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kSeconds,
       1,
       {"node-timeout"},
       "SECONDS",
       "A node that says nothing for this time is lost, which ends the job with exit code 119. "
       "Whole "
       "seconds from 1 to 86400, rounded up. Default: 120."},
      {kMaxModex,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kBytes,
       1,
       {"max-modex"},
       "BYTES",
       "A fence that collects more data than this from all ranks fails. K, M and G behind the "
       "number "
       "mean 2^10, 2^20 and 2^30. Default: 1G."},
      {kExportMode,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kChoice,
       1,
       {"export"},
       "all|mpirun|none",
       "What of the environment here goes to the ranks when there are other nodes: all but what "
       "belongs to this host or login (SSH_*, XDG_*, DBUS_*, DISPLAY and the like); only OMPI_* "
       "and "
       "PMIX_MCA_*, as mpirun; nothing. With the last two, ranks have their node's own environment "
       "below that. -x comes on top. Default: all."},
      {kBindTo,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"bind-to"},
       "none|core|hwthread|l3cache|socket|numa|cpu-list[:QUALIFIER,...]",
       "What each rank is bound to: none, core, hwthread, l1cache, l2cache, l3cache, socket, "
       "package, numa, board (as none) or cpu-list. QUALIFIER: overload-allowed (more ranks "
       "than cores there), if-supported (changes nothing), ordered (with cpu-list: one cpu "
       "for each rank). Default: the object of --map-by, else core for one or two ranks and "
       "numa for more; none when there are more ranks than slots, and with --virtual-nodes."},
      {kBindToCore,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"bind-to-core"},
       "",
       "The older spelling of --bind-to core."},
      {kBindToSocket,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"bind-to-socket"},
       "",
       "The older spelling of --bind-to socket."},
      {kCpuSet,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"cpu-set", "cpu-list"},
       "LIST",
       "Bind every rank to these cores of its node, numbered from 0, for example 0,2-5; with "
       "--bind-to cpu-list:ordered each to one cpu of them."},
      {kCpusPerRank,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"cpus-per-rank", "cpus-per-proc"},
       "N",
       "Bind each rank to N cores: the older spelling of the modifier PE=N."},
      {kHwthreadCpus,
       kApp,
       OptionTopic::kPlacement,
       OptionValue::kNone,
       0,
       {"use-hwthread-cpus"},
       "",
       "Count hardware threads instead of cores: for slots that nobody named, for PE=N and "
       "for --cpu-set."},
      {kRankfile,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"rankfile", "rf"},
       "FILE",
       "Place and bind each rank as FILE says: lines rank N=HOST slot=CPUS, where CPUS is "
       "cores (1 or 0-3), those of a socket (0:1-2, 0:*), or several with a semicolon "
       "between. Without --host and --hostfile its hosts are the nodes."},
      {kNodesJson,
       kJob,
       OptionTopic::kPlacement,
       OptionValue::kText,
       1,
       {"nodes-json"},
       "FILE",
       "With --do-not-launch: place on the nodes that FILE describes, a JSON list of objects "
       "with hostname, slots and topology (in the synthetic syntax of hwloc, XML, or the "
       "name of an XML file)."},
      {kStdin,
       kJob,
       OptionTopic::kInput,
       OptionValue::kText,
       1,
       {"stdin"},
       "RANK|all|none",
       "Which rank gets rexlaunch's standard input. Default: 0."},
      {kStdout,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kChoice,
       1,
       {"stdout"},
       "pty|pipe",
       "What the ranks' standard output is: a terminal in raw mode, so that lines come as they are "
       "written, or a pipe, which C programs fill in blocks. Default: pty."},
      {kTagOutput,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kNone,
       0,
       {"tag-output"},
       "",
       "Start each line of output with [1,RANK]<stdout>: or [1,RANK]<stderr>:."},
      {kOutput,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kText,
       1,
       {"output"},
       "tag,timestamp,merge,file=F,dir=D",
       "Any of: start each line with its rank; with the time; put stderr with stdout; copy each "
       "rank's output into F.RANK; into D/1/rank.RANK/stdout and stderr. F:nocopy or D:nocopy: "
       "only there."},
      {kTimestampOutput,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kNone,
       0,
       {"timestamp-output"},
       "",
       "The same as --output timestamp."},
      {kOutputFilename,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kText,
       1,
       {"output-filename"},
       "DIR[:nocopy]",
       "The same as --output dir=DIR."},
      {kMergeStderr,
       kJob,
       OptionTopic::kOutput,
       OptionValue::kNone,
       0,
       {"merge-stderr-to-stdout"},
       "",
       "The same as --output merge."},
      {kGrace,
       kJob,
       OptionTopic::kEnd,
       OptionValue::kSeconds,
       1,
       {"grace"},
       "SECONDS",
       "Time between the TERM and the KILL signal when the job is ended early. Default: 2."},
      {kTimeout,
       kJob,
       OptionTopic::kEnd,
       OptionValue::kSeconds,
       1,
       {"timeout"},
       "SECONDS",
       "End the job after this time, with exit code 110, or 117 when ranks were missing in "
       "MPI_Init, "
       "or 118 when none had run yet. Default: the environment variable "
       "MPIEXEC_TIMEOUT, or no limit."},
      {kReportAfter,
       kJob,
       OptionTopic::kEnd,
       OptionValue::kSeconds,
       1,
       {"report-after"},
       "SECONDS",
       "Say for which nodes or ranks the job still waits after this time, and at twice, four times "
       "... as long: nodes that have not come, ranks that are not born or have not called MPI_Init "
       "while others wait there. 0: never. Default: 30 when standard error is a terminal, else "
       "never."},
      {kReportState,
       kJob,
       OptionTopic::kEnd,
       OptionValue::kNone,
       0,
       {"report-state-on-timeout"},
       "",
       "Show what each rank was doing when the time was over."},
      {kStackTraces,
       kJob,
       OptionTopic::kEnd,
       OptionValue::kNone,
       0,
       {"get-stack-traces"},
       "",
       "Show the ranks' stack traces when the time was over (with gdb, which must be installed)."},
      {kDisplay,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"display"},
       "map,allocation,bindings,topo",
       "Show what was planned: which rank runs where, the slots, what ranks are bound to, the "
       "hardware."},
      {kDisplayMap,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-map"},
       "",
       "The same as --display map."},
      {kDisplayAllocation,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-allocation"},
       "",
       "The same as --display allocation."},
      {kDisplayTopo,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-topo"},
       "",
       "The same as --display topo."},
      {kReportBindings,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"report-bindings"},
       "",
       "The same as --display bindings."},
      {kCheck,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kNone,
       0,
       {"check"},
       "",
       "Run nothing; look at the nodes that a run would use, all of them: do they start, are they "
       "different machines, can they connect back, do versions, clocks and slots fit, is there "
       "room? A line for each problem, with what to do, then a summary. A program is not needed. "
       "Exit code 0, or 116 when there are problems."},
      {kJson,
       kJob,
       OptionTopic::kNodes,
       OptionValue::kNone,
       0,
       {"json"},
       "",
       "With --check: the whole result as JSON; --check=json is the same."},
      {kDoNotLaunch,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"do-not-launch"},
       "",
       "Plan and show, but start nothing."},
      {kReportPid,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"report-pid"},
       "FILE|-|+",
       "Write rexlaunch's process id to FILE, to standard output (-) or standard error (+)."},
      {kTimerSlack,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kMilliseconds,
       1,
       {"timer-slack"},
       "MS",
       "When there are more ranks than cores, let the kernel prolong the ranks' short sleeps by up "
       "to MS milliseconds, which saves most of the cost of waiting. 0: never. Default: 5."},
      {kTemplate,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kChoice,
       1,
       {"template"},
       "auto|none",
       "How ranks are born: forked from a template, which is the program loaded once, wherever no "
       "program can tell the difference (auto), or each by exec (none). --verbose says which it "
       "was. Default: auto."},
      {kTimeline,
       kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"timeline"},
       "FILE|-",
       "Write the times of the launch's phases to FILE, in Chrome's trace format "
       "(chrome://tracing, "
       "ui.perfetto.dev); '-' prints a table on standard error at the end."},
      {kQuiet,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"q", "quiet"},
       "",
       "Leave out what is only information. Warnings and failures are still told."},
      {kVerbose,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"v", "verbose"},
       "",
       "Say what rex decides: components left out, where ranks are, how they were started."},
      {kAllowRoot,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"allow-run-as-root"},
       "",
       "Run as root on purpose: do not say that the ranks have all of root's rights. "
       "OMPI_ALLOW_RUN_AS_ROOT=1 in the environment does the same."},
      {kVersion,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"V", "version"},
       "",
       "Print the version, and end."},
      {kHelp,
       kJob,
       OptionTopic::kGeneral,
       OptionValue::kNone,
       0,
       {"h", "help"},
       "",
       "Print this text, or the options of one topic, and end: general, placement, nodes, input, "
       "output, end, display."},
  };
  return table;
}

// `text` in lines of at most `width` bytes, broken at spaces.
std::vector<std::string> Wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    size_t cut = text.rfind(' ', width);
    if (cut == std::string_view::npos || cut == 0) cut = width;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(text[cut] == ' ' ? cut + 1 : cut);
  }
  if (!text.empty()) lines.emplace_back(text);
  return lines;
}

std::string OptionHelp(const Option& option, const std::string& cores) {
  std::string head = "  ";
  for (size_t i = 0; i < option.spellings.size(); ++i) {
    head += (i == 0 ? "" : ", ") + WithDashes(option.spellings[i]);
  }
  if (option.arity > 0) head += " " + std::string(option.values);

  std::string out = head;
  bool fresh = false;  // the explanation starts on a line of its own
  if (head.size() + 2 > kHelpColumn) {
    out += "\n";
    fresh = true;
  }
  for (const std::string& line : Wrap(OptionText(option, cores), kHelpWidth - kHelpColumn)) {
    const size_t used = fresh ? 0 : head.size();
    out += std::string(kHelpColumn - used, ' ') + line + "\n";
    fresh = true;
  }
  return out;
}

bool Spells(const Option& option, std::string_view name) {
  return std::find(option.spellings.begin(), option.spellings.end(), name) !=
         option.spellings.end();
}

}  // namespace

std::span<const Option> OptionTable() { return Table(); }

const Option* FindOption(std::string_view name) {
  for (const Option& option : Table()) {
    if (Spells(option, name)) return &option;
  }
  return nullptr;
}

std::string WithDashes(std::string_view spelling) {
  return (spelling.size() <= 2 ? "-" : "--") + std::string(spelling);
}

std::string OptionText(const Option& option, std::string_view cores) {
  constexpr std::string_view kPlaceholder = "{cores}";
  std::string text(option.help);
  const size_t at = text.find(kPlaceholder);
  if (at != std::string::npos) text.replace(at, kPlaceholder.size(), cores);
  return text;
}

namespace {
// What stands for {cores} on this machine.
std::string HereText(uint32_t cores) { return ", here " + std::to_string(cores); }
}  // namespace

std::optional<std::string> TopicHelp(std::string_view topic, uint32_t default_ranks) {
  const auto* name = std::find(std::begin(kTopicNames), std::end(kTopicNames), topic);
  if (name == std::end(kTopicNames)) return std::nullopt;
  std::string out;
  for (const Option& option : Table()) {
    const bool wanted =
        static_cast<size_t>(option.topic) == static_cast<size_t>(name - std::begin(kTopicNames));
    if (wanted) out += OptionHelp(option, HereText(default_ranks));
  }
  return out;
}

std::string HelpText(uint32_t default_ranks) {
  const std::string cores = HereText(default_ranks);
  std::string out =
      "Usage: rexlaunch [OPTION]... PROGRAM [ARGUMENT]... [: [OPTION]... PROGRAM "
      "[ARGUMENT]...]...\n"
      "Starts a parallel program, or several as one job, and ends with the job's exit code.\n\n"
      "Options come before the program. Each may be written with one dash or two, and those with "
      "one\n"
      "value also as --OPTION=VALUE. The first group counts for the program it stands before, the\n"
      "second for the whole job.\n";
  for (const OptionScope scope : {kApp, kJob}) {
    out += scope == kApp ? "\nFor a program:\n" : "\nFor the job:\n";
    for (const Option& option : Table()) {
      if (option.scope == scope) out += OptionHelp(option, cores);
    }
  }
  out +=
      "\nSignals: INT (^C), TERM and HUP end the job; a second one ends it at once. TSTP (^Z), "
      "CONT,\n"
      "USR1, USR2, ALRM and ABRT go to the ranks.\n"
      "Exit code: 0, or that of the lowest rank that failed; 128+N for signal N; the code given "
      "to\n"
      "MPI_Abort; 2 bad command line; 110 timeout (117 with ranks missing in\n"
      "MPI_Init, 118 before any rank ran); 119 a node was lost; 120 a node could not be started;\n"
      "121 no such directory; 122 out of resources; 123 a process of rex failed; 126 program "
      "cannot "
      "be\n"
      "executed; 127 program not found; 141 nobody reads the output.\n"
      "Times may have a decimal fraction.\n";
  return out;
}

}  // namespace rex
