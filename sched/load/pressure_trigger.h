// The kernel tells when threads waited for cores: a PSI trigger, where this user may set one.
// Loop thread only. Source: the kernel's Documentation/accounting/psi.rst.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/base/fd.h"
#include "launcher/base/result.h"

namespace rex {

class PressureTrigger {
 public:
  struct Handlers {
    std::function<void()> on_pressure;
    std::function<void()> on_lost;  // there will be no more; may destroy the trigger
  };
  // 5% of two seconds: ordinary users' windows are multiples of two seconds.
  static constexpr const char* kWords = "some 100000 2000000";
  static constexpr const char* kFile = "/proc/pressure/cpu";

  // Errors: there is no such file, this user may not set a trigger, the kernel knows none.
  static Result<std::unique_ptr<PressureTrigger>> Open(EventLoop& loop, const std::string& file,
                                                       Handlers handlers);
  // `fd`: whatever has exceptional conditions (POLLPRI) when there is pressure.
  static Result<std::unique_ptr<PressureTrigger>> Watch(EventLoop& loop, UniqueFd fd,
                                                        Handlers handlers);

 private:
  explicit PressureTrigger(Handlers handlers) : handlers_(std::move(handlers)) {}
  void OnReady();

  Handlers handlers_;
  UniqueFd fd_;
  UniqueFd epoll_;  // libevent does not watch for exceptional conditions: this one is readable then
  std::unique_ptr<ReadWatcher> watcher_;
};

}  // namespace rex
