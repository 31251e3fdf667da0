// The tools of a DVM that stays: processes of its user that no job has and that ask for jobs
// (librexspawn's). Each is a session of its own, as a rexlaunch is, for as long as it is there: its
// connection stands, and its process has not ended. docs/design/dynamic.md. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/agent/head_core.h"
#include "launcher/job/jobs.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

class DvmTools {
 public:
  // Called when the last session of all may have gone. `core` outlives this.
  DvmTools(EventLoop& loop, HeadCore& core, std::function<void()> on_gone)
      : loop_(loop), core_(core), on_gone_(std::move(on_gone)) {}

  // `dvm`, `slots`: of the DVM. A status: kSuccess, and it is one from now on; kErrNotSupported: it
  // is of another version; kErrOutOfResource: there are too many.
  int32_t Add(NodeId node, const pmix::ToolConnected& tool, const DvmSpec& dvm, uint32_t slots);
  void Describe(std::vector<DvmJob>* jobs) const;
  void Clear() { tools_.clear(); }
  size_t size() const { return tools_.size(); }

  static constexpr size_t kMostTools = 1000;

 private:
  struct Session {
    std::unique_ptr<Jobs> jobs;
    UniqueFd process;  // a pidfd; none: not of our namespace of pids, the connection must do
    std::unique_ptr<ReadWatcher> end;
  };
  Jobs::Client ClientOf(const pmix::ProcId& tool);
  void Send(const pmix::ProcId& tool, int32_t code, const std::string& source,
            pmix::EventText text);
  void OnOutput(const pmix::ProcId& tool, const std::string& payload);
  void WatchProcess(Session& session, int64_t pid);
  void OnEnded(const std::string& name);

  EventLoop& loop_;
  HeadCore& core_;
  const std::function<void()> on_gone_;
  std::map<std::string, Session> tools_;  // by name
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace rex
