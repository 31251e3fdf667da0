// The agent of a node, here also the head: wires the connections (rexlaunch, keeper, host, spawner)
// to one job. Loop thread only. docs/design/one-machine.md has the table of connections.
#pragma once

#include <memory>
#include <string>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/base/frame_channel.h"
#include "launcher/job/job.h"
#include "pmix-server/client/host_client.h"

namespace rex {

struct AgentOptions {
  UniqueFd launch_fd;  // to rexlaunch
  UniqueFd keeper_fd;  // liveness only
  UniqueFd host_fd;    // to rexd-pmix
  std::string session_dir;
  std::string shm_dir;
  uint64_t open_files = 1024;  // this process's limit
  Clock::Time keeper_begin{0};
  Clock::Time agent_begin{0};
};

class Agent {
 public:
  Agent(EventLoop& loop, AgentOptions options);
  // Starts the spawner and begins to listen. Errors: kResource, kNotFound (spawner).
  Status Start();
  // For main, after the loop has stopped.
  int exit_code() const { return exit_code_; }

 private:
  void OnLaunchMessage(uint8_t kind, std::string payload);
  Status Dispatch(LaunchMessage kind, std::string payload);
  Status OnHello(const std::string& payload);
  Status OnLaunchJob(const std::string& payload);
  void OnHostMessage(pmix::HostMessage message);
  void OnHostClosed(const Error& error);
  void OnClientGone(const Error& error);
  void OnKeeperGone();
  void OnTerminate();
  JobClient MakeClient();
  std::vector<ProcessInfo> KillLeftovers();
  // Refuses the job, or ends the agent when there is none.
  void EndWith(const Failure& failure, bool quick);
  void Finish(int exit_code);

  EventLoop& loop_;
  AgentOptions options_;
  ChildTable children_;
  std::unique_ptr<RankMaker> maker_;
  std::unique_ptr<FrameChannel> launch_;
  std::unique_ptr<pmix::HostClient> host_;
  std::unique_ptr<ReadWatcher> keeper_watcher_;
  SignalWatcher sigterm_;
  NodeFacts node_;
  std::unique_ptr<Job> job_;
  std::optional<pmix::HostReady> host_ready_;
  bool host_lost_ = false;
  bool hello_seen_ = false;
  bool keeper_lost_ = false;
  bool client_lost_ = false;
  int exit_code_ = 0;
};

// This node as jobs see it: name, slots, fabrics. Reads the topology (cached) and /sys.
NodeFacts ReadNodeFacts(const AgentOptions& options);

}  // namespace rex
