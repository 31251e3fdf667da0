// The agent's end of the connection to its PMIx host: typed messages over a FrameChannel.
// Loop thread only. Knows nothing of libpmix.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/base/frame_channel.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

class HostClient {
 public:
  using OnMessage = std::function<void(HostMessage)>;
  using OnClosed = std::function<void(const Error&)>;

  // Takes `socket`. `on_closed` runs once when the host is gone or sends nonsense; nothing follows
  // it. Both callbacks may destroy this object.
  HostClient(EventLoop& loop, UniqueFd socket, OnMessage on_message, OnClosed on_closed);

  // No effect after the connection has closed.
  void Send(const HostMessage& message);
  void SendUplink(UseUplink uplink, UniqueFd connection);
  void SetHandlers(OnMessage on_message, OnClosed on_closed);
  bool closed() const { return closed_; }

 private:
  void OnFrame(uint8_t kind, const std::string& payload);
  void Close(const Error& error);

  OnMessage on_message_;
  OnClosed on_closed_;
  bool closed_ = false;
  std::unique_ptr<FrameChannel> channel_;
};

}  // namespace rex::pmix
