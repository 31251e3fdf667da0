// One connection at the head: a rexlaunch with its jobs, or a rexctl. Loop thread only.
// docs/protocol.md has the order of the messages.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/base/frame_channel.h"
#include "launcher/job/jobs.h"

namespace rex {

class LaunchClient {
 public:
  // All are set. None may destroy this before it returns.
  struct Handlers {
    std::function<Status(JobSpec)> on_launch;
    // What rexlaunch does not say, or says while it has no jobs. Errors as any nonsense.
    std::function<Status(LaunchMessage kind, const std::string& payload)> on_other;
    std::function<void(const Error&)> on_nonsense;  // in a message; nothing was done
    std::function<void(const Error&)> on_gone;      // last; the connection is closed
  };
  // Says Hello.
  LaunchClient(EventLoop& loop, UniqueFd socket, Handlers handlers);

  // Its jobs, which are told to Start by the caller. `on_ended` is the last that they do; it must
  // not destroy this before it returns.
  Jobs& MakeJobs(DvmJobs& dvm, std::function<void(JobEnded)> on_ended);
  Jobs* jobs() { return jobs_.get(); }
  // Nothing is told to, or done for, jobs that have ended.
  void DropJobs() { jobs_.reset(); }

  // Nothing happens once the other side has gone.
  template <typename T>
  void Send(LaunchMessage kind, const T& message) {
    if (!gone_) SendControl(*channel_, kind, message);
  }
  // Behind all output, in its class: the last thing rexlaunch hears.
  void SendEnded(const JobEnded& ended);
  void Flush(std::chrono::milliseconds bound);
  bool gone() const { return gone_; }
  bool hello_seen() const { return hello_seen_; }

 private:
  void OnMessage(uint8_t kind, const std::string& payload);
  Status Dispatch(LaunchMessage kind, const std::string& payload);
  Status OnHello(const std::string& payload);
  Status ToJobs(LaunchMessage kind, const std::string& payload);
  void OnClosed(const Error& error);

  Handlers handlers_;
  std::unique_ptr<FrameChannel> channel_;
  std::unique_ptr<Jobs> jobs_;
  bool hello_seen_ = false;
  bool launched_ = false;
  bool gone_ = false;
};

}  // namespace rex
