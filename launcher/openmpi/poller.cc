#include "launcher/openmpi/poller.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>

namespace rex::openmpi {

Result<Poller> Poller::Make() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Error::FromErrno(errno, "make an epoll descriptor");
  UniqueFd alarm(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!alarm) return Error::FromErrno(errno, "make a timer");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = alarm.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, alarm.get(), &event) != 0) {
    return Error::FromErrno(errno, "watch a timer");
  }
  return Poller(std::move(epoll), std::move(alarm));
}

bool Poller::Watch(int fd, std::function<void()> on_ready) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  watched_[fd] = std::move(on_ready);
  return true;
}

void Poller::Forget(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Poller::SetAlarm(std::optional<Time> when) {
  itimerspec alarm{};
  if (when) {
    using std::chrono::nanoseconds;
    const auto since_boot = std::chrono::duration_cast<nanoseconds>(when->time_since_epoch());
    alarm.it_value.tv_sec = since_boot.count() / std::nano::den;
    alarm.it_value.tv_nsec = since_boot.count() % std::nano::den;
    if (alarm.it_value.tv_sec == 0 && alarm.it_value.tv_nsec == 0) alarm.it_value.tv_nsec = 1;
  }
  ::timerfd_settime(alarm_.get(), TFD_TIMER_ABSTIME, &alarm, nullptr);
}

void Poller::Run() {
  std::array<epoll_event, 16> events{};
  const int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < n; ++i) {
    const int fd = events[static_cast<size_t>(i)].data.fd;
    if (fd == alarm_.get()) {
      uint64_t times = 0;
      static_cast<void>(::read(fd, &times, sizeof times));
      continue;
    }
    const auto at = watched_.find(fd);  // an earlier one may have forgotten it
    if (at == watched_.end()) continue;
    const std::function<void()> on_ready = at->second;
    on_ready();
  }
}

}  // namespace rex::openmpi
