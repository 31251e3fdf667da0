// The head of a DVM that stays: listens, lets rexlaunch run jobs and rexctl ask and end, until it
// is told to end, nobody has used it for long, or it can't go on. Loop thread only.
// docs/design/dvm.md tells the story; dvm_state.h has the states.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/agent/dvm_state.h"
#include "launcher/agent/dvm_tools.h"
#include "launcher/agent/head_core.h"
#include "launcher/agent/launch_client.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

class DvmServer {
 public:
  // `starter_fd`: to the rexctl that starts it. `link`: the DVM's name, as a path.
  DvmServer(EventLoop& loop, UniqueFd starter_fd, std::string link, NodeOptions options);
  // Errors: as LocalNode::Start.
  Status Start();

  static constexpr size_t kMostSessions = 1000;
  static constexpr std::chrono::seconds kEndBound{60};  // of jobs that were told to end

 private:
  using SessionId = uint64_t;
  struct Session {
    std::unique_ptr<LaunchClient> client;
    int64_t pid = 0;     // of the process that connected
    bool ended = false;  // its jobs have; the client may still read
  };

  // Connections.
  void OnConnection();
  void Add(UniqueFd socket, int64_t pid);
  void OnGone(SessionId id);
  void Drop(SessionId id);
  LaunchClient& ClientOf(SessionId id) { return *sessions_.at(id).client; }
  Status OnOther(SessionId id, LaunchMessage kind, const std::string& payload);
  void OnNonsense(SessionId id, const Error& error);

  // Its own start.
  Status OnStartDvm(SessionId id, const StartDvm& order);
  Status Publish();
  void OnNodesUp();
  Status WriteRecord() const;
  void OnNodesLost(const Failure& failure);
  void FailStart(const Failure& failure);
  DvmRecord MakeRecord() const;
  std::vector<NodeRequest> NodesThere() const;

  // Jobs.
  Status OnLaunch(SessionId id, JobSpec spec);
  void Decline(SessionId id, const JobSpec& spec, const std::string& why, bool busy);
  void OnEnded(SessionId id, JobEnded ended);
  bool AnyJobs() const;
  int32_t OnTool(NodeId node, const pmix::ToolConnected& tool);

  // rexctl.
  void Answer(SessionId id, const AskDvm& ask);
  void SendRanks(LaunchClient& client) const;
  DvmStatus StatusNow() const;
  void Stop(SessionId id, const StopDvm& order);
  void Kill(SessionId id, const KillJob& order);

  // States.
  void On(DvmEvent event);
  void Enter(DvmState state);
  void EndJobs();
  // The DVM can't go on, or shall not.
  void End(Failure failure, bool quick);
  void Finish();

  HeadCore::Handlers MakeHandlers();

  EventLoop& loop_;
  const std::string link_;
  const std::string dir_;
  ChildTable children_;
  HeadCore core_;
  DvmTools tools_;
  SignalWatcher sigterm_;
  Timer idle_timer_;
  Timer end_timer_;
  UniqueFd starter_fd_;
  UniqueFd listener_;
  std::unique_ptr<ReadWatcher> listening_;
  Timer accept_again_;  // after there was no descriptor left
  std::map<SessionId, Session> sessions_;
  SessionId last_session_ = 0;
  SessionId starter_ = 0;  // 0: it has had its answer
  StartDvm order_;
  DvmState state_ = DvmState::kStarting;
  Failure why_;  // what jobs are told when the DVM ends
  bool quick_ = false;
  bool finished_ = false;
  bool linked_ = false;
  Clock::Time begin_{0};
  Clock::Time idle_since_{0};
  int64_t started_s_ = 0;
};

}  // namespace rex
