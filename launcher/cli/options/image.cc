// How programs come to nodes that lack them.
#include "launcher/cli/options/topics.h"

namespace rex {

using enum OptionId;

std::vector<Option> ImageOptions() {
  return {
      {kStage,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kChoice,
       1,
       {"stage"},
       "auto|always|never",
       "Send the programs, and the libraries that they load, to nodes: to those where a file is "
       "missing, or is not the one of this machine; all of them, so that every node runs the very "
       "files of this machine; never, so that each node has to find them itself. With auto, what "
       "a node's distribution has installed (below /usr, but not /usr/local) is the node's own, "
       "and one that lacks such a program says so. Plug-ins that a program was seen to open in an "
       "earlier run come with it, and so does the interpreter of a script that is not the "
       "distribution's. Default: auto."},
      {kPreloadFiles,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kText,
       1,
       {"preload-files"},
       "FILE[,FILE...]",
       "Send these, too; all nodes have them by their last names in the job's own directory, where "
       "ranks start with --set-cwd-to-session-dir, and beside the program under their own paths: "
       "plug-ins that it opens by a path from where it lies itself are found."},
      {kCreation,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kChoice,
       1,
       {"creation"},
       "group|multiple|single",
       "How programs go to nodes that lack them: once, from node to node, so that the time hardly "
       "grows with their number; from here to each of them; or from here once for every rank, "
       "which "
       "keeps nothing, uses nothing that was kept, and execs each rank by itself. The last two are "
       "for comparison. Default: group."},
      {kImageTransport,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kChoice,
       1,
       {"image-transport"},
       "auto|tree|multicast",
       "With --creation=group: from node to node; or by one multicast stream (UDP) to all nodes at "
       "once, if the network is found to carry it to them, and else from node to node, with a line "
       "that says so. Auto tries multicast from 64 nodes on. Default: auto."},
      {kStore,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kText,
       1,
       {"store"},
       "memory|disk|DIR",
       "Where nodes keep what they were sent, for later launches: in /dev/shm; in $TMPDIR, or "
       "/var/tmp; in a directory. Each user has a directory rexstore-UID there. Default: memory, "
       "or disk where /dev/shm can't hold programs."},
      {kStoreSize,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kBytes,
       1,
       {"store-size"},
       "BYTES",
       "The most that is kept there; what was used longest ago goes first. K, M and G behind the "
       "number mean 2^10, 2^20 and 2^30. Default: half of the file system."},
      {kImageHold,
       OptionScope::kJob,
       OptionTopic::kImage,
       OptionValue::kSeconds,
       1,
       {"image-hold"},
       "SECONDS",
       "What comes to a node of a program before the order to launch it is kept for that time, "
       "then dropped, which ends the job. Whole seconds from 1 to 86400, rounded up. Default: 10."},
  };
}

}  // namespace rex
