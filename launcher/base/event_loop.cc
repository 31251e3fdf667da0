#include "launcher/base/event_loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace rex {

void EventLoop::BaseFree::operator()(event_base* base) const { event_base_free(base); }
void EventLoop::EventFree::operator()(event* e) const { event_free(e); }

EventLoop::EventLoop() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  event_config* config = event_config_new();
  REX_CHECK(config != nullptr);
  // Signals are few and the loop has one thread: no locks wanted. Precise: libevent's other clock
  // may be a tick behind, and timers then fire before their time.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
  own_base_.reset(event_base_new_with_config(config));
  event_config_free(config);
  base_ = own_base_.get();
  MakeEvents();
}

EventLoop::EventLoop(event_base* borrowed)
    : base_(borrowed), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MakeEvents();
}

void EventLoop::MakeEvents() {
  REX_CHECK(static_cast<bool>(wake_) && base_ != nullptr);
  wake_event_.reset(event_new(base_, wake_.get(), EV_READ | EV_PERSIST, &OnWake, this));
  REX_CHECK(wake_event_ != nullptr && event_add(wake_event_.get(), nullptr) == 0);
  posted_event_.reset(event_new(base_, -1, 0, &OnPosted, this));
  REX_CHECK(posted_event_ != nullptr);
}

EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  thread_ = std::this_thread::get_id();
  if (!stopped_) event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
}

void EventLoop::RunOnce() {
  thread_ = std::this_thread::get_id();
  event_base_loop(base_, EVLOOP_ONCE);
}

void EventLoop::Stop() {
  stopped_ = true;
  event_base_loopbreak(base_);
}

void EventLoop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  if (InLoop()) return event_active(posted_event_.get(), 0, 0);
  const uint64_t one = 1;
  // Can only fail when the counter is full, and then the loop is awake anyway.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::OnWake(int fd, short /*what*/, void* self) noexcept {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(fd, &count, sizeof count);
  static_cast<EventLoop*>(self)->RunPosted();
}

void EventLoop::OnPosted(int /*fd*/, short /*what*/, void* self) noexcept {
  static_cast<EventLoop*>(self)->RunPosted();
}

void EventLoop::RunPosted() {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

Watcher::~Watcher() {
  if (event_ != nullptr) event_free(event_);
}

void Watcher::Create(EventLoop& loop, int fd_or_signal, short what) {
  event_ = event_new(loop.base(), fd_or_signal, what, &OnEvent, this);
  REX_CHECK(event_ != nullptr);
}

void Watcher::OnEvent(int /*fd*/, short /*what*/, void* self) noexcept {
  const auto keep = static_cast<Watcher*>(self)->on_fire_;  // survives the watcher's destruction
  (*keep)();
}

ReadWatcher::ReadWatcher(EventLoop& loop, int fd, std::function<void()> on_ready)
    : Watcher(std::move(on_ready)) {
  Create(loop, fd, EV_READ | EV_PERSIST);
  Enable(true);
}

void ReadWatcher::Enable(bool on) {
  if (on == enabled_) return;
  enabled_ = on;
  REX_CHECK((on ? event_add(get(), nullptr) : event_del(get())) == 0);
}

WriteWatcher::WriteWatcher(EventLoop& loop, int fd, std::function<void()> on_ready)
    : Watcher(std::move(on_ready)) {
  Create(loop, fd, EV_WRITE | EV_PERSIST);
}

void WriteWatcher::Enable(bool on) {
  if (on == enabled_) return;
  enabled_ = on;
  REX_CHECK((on ? event_add(get(), nullptr) : event_del(get())) == 0);
}

Timer::Timer(EventLoop& loop, std::function<void()> on_fire) : Watcher(std::move(on_fire)) {
  Create(loop, -1, 0);
}

void Timer::Set(std::chrono::microseconds delay) {
  if (delay.count() < 0) delay = std::chrono::microseconds(0);
  timeval tv{};
  tv.tv_sec = delay.count() / 1000000;
  tv.tv_usec = delay.count() % 1000000;
  REX_CHECK(event_add(get(), &tv) == 0);
}

void Timer::Cancel() { event_del(get()); }

bool Timer::pending() const { return event_pending(get(), EV_TIMEOUT, nullptr) != 0; }

SignalWatcher::SignalWatcher(EventLoop& loop, int signo, std::function<void()> on_signal)
    : Watcher(std::move(on_signal)) {
  Create(loop, signo, EV_SIGNAL | EV_PERSIST);
  REX_CHECK(event_add(get(), nullptr) == 0);
}

}  // namespace rex
