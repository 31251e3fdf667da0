#include "librexspawn/output_writer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace rex {

namespace {

// Signals are the program's business; SIGPIPE must not end it for what its copies write.
void BlockSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

void WriteAllOf(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {  // the program made it so
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;  // nobody reads it any more
    }
  }
}

}  // namespace

OutputWriter::~OutputWriter() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void OutputWriter::Write(bool to_stderr, std::string bytes) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  queue_.push_back({to_stderr, std::move(bytes)});
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  changed_.notify_one();
}

void OutputWriter::Run() {
  BlockSignals();
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Piece piece = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    WriteAllOf(piece.to_stderr ? STDERR_FILENO : STDOUT_FILENO, piece.bytes);
    on_written_(piece.bytes.size());
  }
}

}  // namespace rex
