#include "launcher/cli/stdin_source.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "launcher/cli/detached_thread.h"
#include "launcher/wire/messages.h"

namespace rex {

namespace {

// How often a terminal is looked at while we may not read: `fg` of a job that runs in the
// background sends no signal.
constexpr std::chrono::milliseconds kLookAgain{300};

bool InForeground(int tty) {
  const pid_t group = ::tcgetpgrp(tty);
  return group < 0 || group == ::getpgrp();  // < 0: not our controlling terminal, no job control
}

}  // namespace

// The thread keeps the reader alive; after Close() it reports to nobody.
class StdinSource::Reader : public std::enable_shared_from_this<Reader> {
 public:
  Reader(EventLoop& loop, int fd, Handlers handlers)
      : loop_(loop), fd_(fd), tty_(::isatty(fd) != 0), handlers_(std::move(handlers)) {}

  bool AddCredit(uint64_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      credit_ += bytes;
    }
    if (!started_ && !tty_ && IsAtEnd()) return true;
    started_ = started_ || StartDetachedThread([self = shared_from_this()] { self->Run(); });
    wake_.notify_one();
    return started_;
  }

  void Nudge() { wake_.notify_one(); }

  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_.notify_one();
  }

 private:
  void Run() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);  // signals are the loop's thread's business
    while (const size_t allowed = WaitForCredit()) {
      if (tty_ && !WaitForTerminal()) continue;
      std::string bytes(allowed, '\0');
      const ssize_t n = ::read(fd_, bytes.data(), bytes.size());
      if (n < 0 && TryAgain(errno)) continue;
      bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
      const bool end = bytes.empty();
      Report(std::move(bytes));
      if (end) return;
    }
  }

  // Reads what can be had without waiting: for what is at its end, /dev/null most often, no thread
  // is worth while. Loop thread; only before there is a reader.
  bool IsAtEnd() {
    if (at_end_) return true;
    std::string bytes(WaitForCredit(), '\0');
    iovec to{bytes.data(), bytes.size()};
    const ssize_t n = ::preadv2(fd_, &to, 1, -1, RWF_NOWAIT);  // not for every kind of file
    if (n < 0) return false;
    at_end_ = n == 0;
    bytes.resize(static_cast<size_t>(n));
    Report(std::move(bytes));
    return at_end_;
  }

  // Bytes that may be read now; 0: closed.
  size_t WaitForCredit() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return closed_ || credit_ > 0; });
    return closed_ ? 0 : static_cast<size_t>(std::min<uint64_t>(credit_, kMaxStdioPayloadBytes));
  }

  // True when the terminal has something for us and we may take it; false: look again.
  bool WaitForTerminal() {
    if (!InForeground(fd_)) {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kLookAgain);
      return false;
    }
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, -1) > 0 && InForeground(fd_);  // it may have changed meanwhile
  }

  // With SIGTTIN blocked a read from the background fails with EIO: tty_ioctl(4), credentials(7).
  bool TryAgain(int err) const {
    if (err == EINTR) return true;
    if (err == EIO) return tty_ && !InForeground(fd_);
    if (err != EAGAIN && err != EWOULDBLOCK) return false;
    pollfd p{fd_, POLLIN, 0};  // somebody else made the shared descriptor non-blocking
    ::poll(&p, 1, -1);
    return true;
  }

  // Hands bytes, or the end when there are none, to the loop.
  void Report(std::string bytes) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    credit_ -= bytes.size();
    loop_.Post([self = shared_from_this(), bytes = std::move(bytes)]() mutable {
      if (self->closed_) return;
      if (bytes.empty()) return self->handlers_.on_end();
      self->handlers_.on_bytes(std::move(bytes));
    });
  }

  EventLoop& loop_;
  const int fd_;
  const bool tty_;
  const Handlers handlers_;
  bool started_ = false;
  bool at_end_ = false;  // without ever having been started
  std::mutex mutex_;
  std::condition_variable wake_;
  uint64_t credit_ = 0;  // guarded by mutex_
  bool closed_ = false;  // written on the loop's thread under mutex_
};

StdinSource::StdinSource(EventLoop& loop, int fd, Handlers handlers)
    : reader_(std::make_shared<Reader>(loop, fd, std::move(handlers))) {}

StdinSource::~StdinSource() { reader_->Close(); }

bool StdinSource::AddCredit(uint64_t bytes) { return reader_->AddCredit(bytes); }

void StdinSource::Nudge() { reader_->Nudge(); }

}  // namespace rex
