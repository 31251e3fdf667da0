#include "sched/load/pressure_trigger.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstring>

namespace rex {

Result<std::unique_ptr<PressureTrigger>> PressureTrigger::Open(EventLoop& loop,
                                                               const std::string& file,
                                                               Handlers handlers) {
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return Error::FromErrno(errno, "open '" + file + "'");
  const size_t size = std::strlen(kWords) + 1;  // with its NUL
  if (::write(fd.get(), kWords, size) != static_cast<ssize_t>(size)) {
    return Error::FromErrno(errno, "set a trigger in '" + file + "'");
  }
  return Watch(loop, std::move(fd), std::move(handlers));
}

Result<std::unique_ptr<PressureTrigger>> PressureTrigger::Watch(EventLoop& loop, UniqueFd fd,
                                                                Handlers handlers) {
  std::unique_ptr<PressureTrigger> trigger(new PressureTrigger(std::move(handlers)));
  trigger->fd_ = std::move(fd);
  trigger->epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!trigger->epoll_) return Error::FromErrno(errno, "make an epoll descriptor");
  epoll_event event{};
  event.events = EPOLLPRI | EPOLLET;  // told once, as the condition may stay
  if (::epoll_ctl(trigger->epoll_.get(), EPOLL_CTL_ADD, trigger->fd_.get(), &event) != 0) {
    return Error::FromErrno(errno, "watch a pressure trigger");
  }
  trigger->watcher_ = std::make_unique<ReadWatcher>(loop, trigger->epoll_.get(),
                                                    [self = trigger.get()] { self->OnReady(); });
  return trigger;
}

void PressureTrigger::OnReady() {
  // A trigger's event is used up by whoever polls first, which the loop has done: here there may be
  // nothing left.
  epoll_event event{};
  const int events = ::epoll_wait(epoll_.get(), &event, 1, 0);
  if (events != 1 || (event.events & (EPOLLERR | EPOLLHUP)) == 0) return handlers_.on_pressure();
  watcher_->Enable(false);
  const auto lost = std::move(handlers_.on_lost);  // it may destroy this
  lost();
}

}  // namespace rex
