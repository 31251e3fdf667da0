// A real rexd-pmix with the test as its keeper and agent.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "pmix-server/client/host_client.h"

namespace rex::pmix {

class StartedHost {
 public:
  StartedHost() = default;
  ~StartedHost() { Kill(); }
  StartedHost(const StartedHost&) = delete;
  StartedHost& operator=(const StartedHost&) = delete;

  // False: it could not be started. `session_dir` exists.
  bool Start(EventLoop& loop, const std::string& session_dir,
             const std::vector<std::string>& options, HostClient::OnMessage on_message);
  void Send(const HostMessage& message) { client_->Send(message); }
  void SendUplink(UseUplink uplink, UniqueFd connection) {
    client_->SendUplink(std::move(uplink), std::move(connection));
  }
  bool running() const { return pid_ > 0; }
  bool closed() const { return closed_; }  // it has ended, or closed its end
  pid_t pid() const { return pid_; }
  // Closes the agent's end and waits for the host's, at most 5 s. Its wait status; -1: it had to be
  // killed.
  int Stop();
  void Kill();
  void Reap(int* wait_status);  // after it has ended by itself

 private:
  pid_t pid_ = -1;
  bool closed_ = false;
  std::unique_ptr<HostClient> client_;
};

}  // namespace rex::pmix
