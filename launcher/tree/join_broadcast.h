// The joining side of a start through srun: greets on stdout, waits for the credential on stdin,
// opens it, and connects to the parent over TCP. srun's stdin stays open behind it: its end says
// that the parent is gone.
//
// Loop thread only; opening the credential blocks it, as nothing else is to be done then.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/link/link_dialer.h"
#include "launcher/tree/tree_messages.h"

namespace rex {

class JoinBroadcast {
 public:
  struct Handlers {
    // What the credential says, and which of its nodes this is. Returns the link's parameters.
    std::function<LinkParams(ReceivedTicket ticket, const NodeSpec& self)> on_ticket;
    std::function<void(AuthenticatedStream)> on_stream;
    // Once; kClosed: the parent is gone, now or at any time later.
    std::function<void(const Error&)> on_failed;
  };

  // `name` is Slurm's for this node. Handlers are called from the loop; on_failed may destroy this.
  JoinBroadcast(EventLoop& loop, UniqueFd in, UniqueFd out, std::string name, std::string version,
                std::chrono::milliseconds bound, Handlers handlers);
  JoinBroadcast(const JoinBroadcast&) = delete;
  JoinBroadcast& operator=(const JoinBroadcast&) = delete;

 private:
  void OnReadable();
  Status TakeCredential();
  void Dial(const BroadcastTicket& ticket, LinkParams params);
  void Fail(Error error);

  EventLoop& loop_;
  UniqueFd in_;
  UniqueFd out_;
  const std::string name_;
  const std::string version_;
  Handlers handlers_;
  std::string credential_;
  bool opened_ = false;
  bool failed_ = false;
  std::unique_ptr<LinkDialer> dialer_;
  ReadWatcher read_watcher_;
  Timer bound_;
};

}  // namespace rex
