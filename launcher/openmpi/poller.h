// Descriptors and one alarm behind a single descriptor, for a library in somebody else's event
// loop. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "launcher/base/fd.h"

namespace rex::openmpi {

using Time = std::chrono::steady_clock::time_point;

class Poller {
 public:
  static Result<Poller> Make();

  int fd() const { return epoll_.get(); }  // readable when Run() has something to do

  // Calls `on_ready` from Run() while `fd` (borrowed: Forget() it before it is closed) is readable.
  // False when the kernel refuses.
  bool Watch(int fd, std::function<void()> on_ready);
  void Forget(int fd);
  // Makes fd() readable at `when`; none: never.
  void SetAlarm(std::optional<Time> when);
  // Calls what is ready. Callbacks may watch and forget anything.
  void Run();

 private:
  Poller(UniqueFd epoll, UniqueFd alarm) : epoll_(std::move(epoll)), alarm_(std::move(alarm)) {}

  UniqueFd epoll_;
  UniqueFd alarm_;
  std::map<int, std::function<void()>> watched_;
};

}  // namespace rex::openmpi
