// How nodes are reached and kept, and what goes to them.
#include "launcher/cli/options/topics.h"

namespace rex {

using enum OptionId;

std::vector<Option> NodeOptions() {
  return {
      {kVirtualNodes,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"virtual-nodes"},
       "N[:SLOTS]",
       "Instead of --host: act as if this machine were N nodes, node1 to nodeN, each with "
       "processes "
       "of rex of its own. Needs neither ssh nor root. Without -n: SLOTS ranks on each, or one. "
       "Without SLOTS any number of ranks is dealt out over them."},
      {kDvm,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"dvm"},
       "NAME|none",
       "Run the job in the DVM of that name, which rexctl has started, or fail; none: in no such "
       "DVM. Default: the environment variable REX_DVM; else in the DVM default, if one runs "
       "that covers the job."},
      {kSsh,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"ssh"},
       "COMMAND",
       "Reach other nodes by this command instead of ssh; quotes as in a shell, for example --ssh "
       "'ssh -F myconfig'. It is given options of ssh, the host and the command to run there. "
       "Default: the Open MPI parameters plm_rsh_agent and plm_rsh_args, or ssh."},
      {kPrefix,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kText,
       1,
       {"prefix"},
       "DIR",
       "Where rex is installed on the other nodes: DIR/libexec/rex/rexd is started there. Default: "
       "where this rexlaunch is installed."},
      {kTree,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kChoice,
       1,
       {"tree"},
       "auto|flat|two-level",
       "How other nodes are started and joined: all from this machine, or some that start the "
       "others. Default: auto, which is flat up to 64 nodes."},
      {kShipAgent,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kChoice,
       1,
       {"ship-agent"},
       "auto|always|never",
       "Nodes without rex are sent it, over ssh, for as long as the job lasts: when it is missing "
       "there; on every node, also in an allocation of Slurm's, where ssh is then used; never. "
       "Default: auto."},
      {kStartTimeout,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kSeconds,
       1,
       {"start-timeout"},
       "SECONDS",
       "A node that has not started after this time ends the job, with exit code 120. Whole "
       "seconds "
       "from 1 to 86400, rounded up. Default: 30."},
      {kAllowMissingNodes,
       OptionScope::kJob,
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
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kSeconds,
       1,
       {"node-timeout"},
       "SECONDS",
       "A node that says nothing for this time is lost, which ends the job with exit code 119. "
       "Whole "
       "seconds from 1 to 86400, rounded up. Default: 120."},
      {kMaxModex,
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kBytes,
       1,
       {"max-modex"},
       "BYTES",
       "A fence that collects more data than this from all ranks fails. K, M and G behind the "
       "number "
       "mean 2^10, 2^20 and 2^30. Default: 1G."},
      {kExportMode,
       OptionScope::kJob,
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
      {kCheck,
       OptionScope::kJob,
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
       OptionScope::kJob,
       OptionTopic::kNodes,
       OptionValue::kNone,
       0,
       {"json"},
       "",
       "With --check: the whole result as JSON; --check=json is the same. With --display "
       "allocation: "
       "that as JSON."},
  };
}

}  // namespace rex
