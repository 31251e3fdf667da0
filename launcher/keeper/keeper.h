// The keeper: owner of a DVM's directories on a node and of its jobs' leases of cores, parent of
// its agent and host, last reaper.
//
// Started by rexlaunch it keeps the head; started on another node (or a virtual one) by the agent
// above it in the tree, it keeps an agent that joins. Then the channel that came as stdin and
// stdout is handed to the agent, and its hang-up is to the keeper what rexlaunch's death is
// otherwise.
//
// Life: Start() makes the directories and starts host and agent; Run() waits until the agent has
// ended, or until rexlaunch has died and the agent did not end in time; then everything below is
// killed and reaped, the directories are removed. One thread, poll(2), signals by signalfd(2).
// The keeper of a DVM that stays (docs/design/dvm.md) is started by rexctl, whose end is no news.
// It and all that it starts write their log into its directory, and what was last said there is for
// rexctl, should the DVM end before that does.
//
// A keeper that is itself killed is the agent's to notice, and the next keeper's: stale
// directories of the same user are removed, by a child so that no launch waits for it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/fd.h"
#include "launcher/base/private_dir.h"
#include "launcher/lease/lease_message.h"

namespace rex {

struct KeeperOptions {
  UniqueFd launch;    // rexlaunch - agent; handed through
  UniqueFd lifeline;  // rexlaunch - keeper
  // Instead of the two above, for an agent that joins: the channel to its parent, handed through.
  UniqueFd channel_in;
  UniqueFd channel_out;
  std::string node_name;      // as the parent calls this node
  bool slurm_node = false;    // started by srun, which named the node
  bool virtual_node = false;  // the name is invented: there are others on this machine
  // Rex was sent to this node and runs from here: ours to remove. A fifo in it is open for as long
  // as the keeper lives; whoever waits for its end removes the directory when the keeper is killed.
  std::string ship_dir;
  UniqueFd ship_watch;
  std::string dvm_link;  // a DVM that stays is found by this; empty: it is for one rexlaunch
  bool verbose = false;
  std::string one_job_ranks;  // for the host, as it came; empty: more than one job will come
  std::chrono::microseconds begin{0};  // CLOCK_MONOTONIC at the start of main
};

class Keeper {
 public:
  explicit Keeper(KeeperOptions options)
      : options_(std::move(options)), joins_(static_cast<bool>(options_.channel_in)) {}

  // Directories, host, agent. Signals must be blocked (BlockSignals) before. On an error what was
  // started is ended and removed again. Errors: kResource, kPermission, kNotFound.
  Status Start();

  // Waits for the end, cleans up. True: the agent ended with exit code 0.
  bool Run();

  // Where a failure of Start() is said.
  int complain_fd() const;

 private:
  using Time = std::chrono::microseconds;

  Status MakeDirs();
  // Memory-backed where there is such a thing: libpmix writes many small files.
  const std::string& MemoryDir() const;
  Status StartHost(int host_socket, uint32_t generation);
  void ReplaceHost(const KeptLeases::HostWanted& wanted);
  Status StartAgent(int agent_host_socket);
  std::vector<std::string> AgentArguments(int keeper_fd, int host_fd) const;
  void StartRemover();
  Status OpenLog();
  void TellLog();
  Time Now() const;
  int PollTimeout() const;
  void Wait();
  void OnSignals();
  void Reap();
  void OnAgentEnd(int code, int status);
  void OnLifeline();
  void OnLiveness();
  void OnChannel();
  void HangUpChannel();
  void SetDeadline(std::chrono::milliseconds delay);
  void Tell(const std::string& line);
  void EndAll();
  void AwaitKnown();
  void AwaitKeepersBelow();
  void RemoveDirs();

  KeeperOptions options_;
  const bool joins_;
  UniqueFd channel_;       // joins_: the agent's, watched for its hang-up and never read
  UniqueFd signals_;       // signalfd
  UniqueFd liveness_;      // agent
  UniqueFd own_stderr_;    // where a DVM that stays has a log in its place
  std::set<pid_t> hosts_;  // not yet reaped: the one at work, and its successor or predecessor
  pid_t agent_ = 0;
  pid_t remover_ = 0;
  bool agent_ended_ = false;
  bool agent_ok_ = false;
  bool ending_ = false;           // we kill what is left: its end is no news
  int stop_requests_ = 0;         // TERM, INT, HUP received
  std::optional<Time> deadline_;  // kill everything then
  std::string temp_parent_;
  std::optional<PrivateDir> temp_dir_;
  std::optional<PrivateDir> shm_dir_;
  KeptLeases leases_;  // given back by the kernel when this process ends: its ranks are gone then
};

// Blocks the signals that Keeper reads from its signalfd, and ignores SIGPIPE.
void BlockKeeperSignals();

}  // namespace rex
