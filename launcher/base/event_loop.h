// The event loop of a daemon, over libevent: one thread owns a daemon's state and this loop.
//
// Everything here is for the loop's own thread, except Post(). Callbacks do one bounded step and
// never block. A watcher may be destroyed at any time, also from inside its own callback.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/base/fd.h"

struct event;
struct event_base;

namespace rex {

class EventLoop {
 public:
  EventLoop();
  // On a base that somebody else runs (borrowed; lives longer) on a thread of theirs, which is then
  // the loop's thread. May be made on another one if the base has locks. Never Run().
  explicit EventLoop(event_base* borrowed);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until Stop(). Returns at once when Stop() was called before.
  void Run();
  // Runs at most one round of ready events; waits for the first. For tests.
  void RunOnce();
  void Stop();

  // Runs `task` on the loop's thread, soon, in the order of posting. Any thread may call it.
  void Post(std::function<void()> task);

  event_base* base() const { return base_; }
  const Clock& clock() const { return clock_; }

 private:
  struct BaseFree {
    void operator()(event_base* base) const;
  };
  struct EventFree {
    void operator()(event* e) const;
  };
  void MakeEvents();
  static void OnWake(int fd, short what, void* self) noexcept;
  static void OnPosted(int fd, short what, void* self) noexcept;
  bool InLoop() const {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  void RunPosted();

  MonotonicClock clock_;
  std::unique_ptr<event_base, BaseFree> own_base_;  // empty: borrowed
  event_base* base_ = nullptr;
  std::atomic<std::thread::id> thread_;  // the loop's, once it runs
  UniqueFd wake_;                        // eventfd
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;       // guarded by mutex_
  std::unique_ptr<event, EventFree> wake_event_;    // others post
  std::unique_ptr<event, EventFree> posted_event_;  // the loop's thread posts: no system call
  bool stopped_ = false;
};

// Common part of the watchers: owns the libevent event; the callback outlives a firing in which
// the watcher is destroyed.
class Watcher {
 public:
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 protected:
  explicit Watcher(std::function<void()> on_fire)
      : on_fire_(std::make_shared<std::function<void()>>(std::move(on_fire))) {}
  ~Watcher();
  void Create(EventLoop& loop, int fd_or_signal, short what);
  event* get() const { return event_; }

 private:
  static void OnEvent(int fd, short what, void* self) noexcept;
  std::shared_ptr<std::function<void()>> on_fire_;
  event* event_ = nullptr;
};

// Calls back while `fd` (borrowed; must outlive this) is readable or at its end. Starts enabled.
class ReadWatcher : public Watcher {
 public:
  ReadWatcher(EventLoop& loop, int fd, std::function<void()> on_ready);
  void Enable(bool on);  // no effect when already so
  bool enabled() const { return enabled_; }

 private:
  bool enabled_ = false;
};

// Calls back while `fd` (borrowed; must outlive this) is writable. Starts disabled.
class WriteWatcher : public Watcher {
 public:
  WriteWatcher(EventLoop& loop, int fd, std::function<void()> on_ready);
  void Enable(bool on);

 private:
  bool enabled_ = false;
};

// Fires once after `delay` unless cancelled or set anew.
class Timer : public Watcher {
 public:
  Timer(EventLoop& loop, std::function<void()> on_fire);
  void Set(std::chrono::microseconds delay);
  void Cancel();
  bool pending() const;
};

// Calls back on the loop for each delivery of `signo` (several may be folded into one, signal(7)).
class SignalWatcher : public Watcher {
 public:
  SignalWatcher(EventLoop& loop, int signo, std::function<void()> on_signal);
};

}  // namespace rex
