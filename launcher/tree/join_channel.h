// The joining side of a bootstrap channel: greets, waits for the key, and hands the channel out
// for the link. Nothing beyond the key's line is read, so the link begins with its first byte.
//
// Loop thread only. Destroying it closes the channel.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/tree/join_lines.h"

namespace rex {

class JoinChannel {
 public:
  using OnTicket = std::function<void(JoinTicket ticket, UniqueFd in, UniqueFd out)>;
  // kClosed: the parent is gone; kTimeout; kProtocol: it is no parent.
  using OnFailed = std::function<void(const Error&)>;

  // `in`, `out`: pipes or sockets, possibly one socket dup'ed; become non-blocking. One of the
  // callbacks runs once, from the loop, and may destroy this.
  JoinChannel(EventLoop& loop, UniqueFd in, UniqueFd out, std::string_view version,
              std::chrono::milliseconds bound, OnTicket on_ticket, OnFailed on_failed);
  ~JoinChannel();
  JoinChannel(const JoinChannel&) = delete;
  JoinChannel& operator=(const JoinChannel&) = delete;

 private:
  void Greet();
  void OnReadable();
  void Finish();
  void Fail(Error error);

  UniqueFd in_;
  UniqueFd out_;
  std::string greeting_;  // not yet written
  OnTicket on_ticket_;
  OnFailed on_failed_;
  std::array<char, kKeyLineBytes> line_{};  // wiped
  size_t have_ = 0;
  bool done_ = false;
  ReadWatcher read_watcher_;
  WriteWatcher write_watcher_;
  Timer bound_;
};

}  // namespace rex
