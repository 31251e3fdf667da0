// Passes rexlaunch's stdin to the ranks that get it: one, all or none. Loop thread only.
//
// Memory is bounded by the window given to rexlaunch: credit goes back as the slowest target takes
// bytes. A target that closed its stdin is dropped; without targets nothing is asked for any more.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/wire/messages.h"

namespace rex {

class StdinFeeder {
 public:
  static constexpr uint64_t kWindowBytes = 256 << 10;

  struct Source {
    std::function<void(uint64_t bytes)> give_credit;  // asks for that many more bytes
    std::function<void()> done;  // once: every target has closed its stdin before the end
  };
  StdinFeeder(EventLoop& loop, Source source);

  // Takes our non-blocking end of a rank's stdin pipe. All targets are added before Start().
  void AddTarget(UniqueFd fd);
  // Asks for the first window. Without targets: nothing. After OnEnd: gives them the end.
  void Start();
  // More than the credit that was given is the peer's mistake: kProtocol.
  Status OnBytes(std::string bytes);
  void OnEnd();

 private:
  struct Target {
    UniqueFd fd;
    uint64_t taken = 0;  // of all bytes ever received
    std::unique_ptr<WriteWatcher> watcher;
  };
  void Feed(Target& target);
  // Lets go of what every target has taken, and gives the credit back.
  void Release();

  EventLoop& loop_;
  Source source_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::string buffer_;     // bytes from `released_` on
  uint64_t released_ = 0;  // taken by every target
  uint64_t credit_ = 0;    // what rexlaunch may still send
  bool ended_ = false;
};

}  // namespace rex
