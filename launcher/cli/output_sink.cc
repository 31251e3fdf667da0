#include "launcher/cli/output_sink.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "launcher/cli/detached_thread.h"
namespace rex {

namespace {

constexpr size_t kMergeBytes = 64 << 10;  // small pieces are written together up to this

// Writes everything, for as long as it takes. Returns 0 or errno.
int WriteBlocking(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return errno;
    pollfd p{fd, POLLOUT, 0};  // somebody else made the shared descriptor non-blocking
    ::poll(&p, 1, -1);
  }
  return 0;
}

// Signals are the loop's thread's business, except TTOU: a terminal that stops background writers
// (stty tostop) shall stop rexlaunch as it would any program.
void BlockSignals() {
  sigset_t set;
  ::sigfillset(&set);
  ::sigdelset(&set, SIGTTOU);
  ::pthread_sigmask(SIG_SETMASK, &set, nullptr);
}

bool SameFile(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

// A queue and the thread that empties it, made with the first piece. The thread keeps the writer
// alive; after Close() it reports to nobody.
class OutputSink::Writer : public std::enable_shared_from_this<Writer> {
 public:
  Writer(EventLoop& loop, OutputSink* sink) : loop_(&loop), sink_(sink) {}

  void Push(OutputStream stream, int fd, std::string bytes, size_t credit) {
    {
      const std::lock_guard lock(mutex_);
      if (!queue_.empty() && queue_.back().stream == stream &&
          queue_.back().bytes.size() < kMergeBytes) {
        Piece& last = queue_.back();
        last.bytes += bytes;
        last.credit += credit;
        ++last.count;
      } else {
        queue_.push_back({stream, fd, std::move(bytes), credit, 1});
      }
    }
    started_ = started_ || StartDetachedThread([self = shared_from_this()] { self->Run(); });
    // No thread to be had (the limit of processes): better to block here than to lose output.
    if (!started_) WriteAllQueued();
    wake_.notify_one();
  }

  void Close() {
    const std::lock_guard lock(mutex_);
    sink_ = nullptr;
    wake_.notify_one();
  }

 private:
  struct Piece {
    OutputStream stream;
    int fd;
    std::string bytes;
    size_t credit;
    size_t count;  // of Write() calls in it
  };

  void Run() {
    BlockSignals();
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return sink_ == nullptr || !queue_.empty(); });
        if (sink_ == nullptr) return;
      }
      WriteAllQueued();
    }
  }

  // By the thread once there is one, else by the loop's thread; never by both.
  void WriteAllQueued() {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (sink_ == nullptr || queue_.empty()) return;
      const Piece piece = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      bool& gone = lost_[IndexOf(piece.stream)];
      const int err = gone ? 0 : WriteBlocking(piece.fd, piece.bytes);
      gone = gone || err != 0;
      Report(piece, err);
    }
  }

  void Report(const Piece& piece, int err) {
    const std::lock_guard lock(mutex_);
    if (sink_ == nullptr) return;
    // Close() takes the lock, so the loop lives while this is posted; and when the task runs, on
    // the loop's thread, it looks again.
    loop_->Post([self = shared_from_this(), stream = piece.stream, count = piece.count,
                 credit = piece.credit, err] {
      if (self->sink_ != nullptr) self->sink_->OnDone(stream, count, credit, err);
    });
  }

  EventLoop* const loop_;
  OutputSink* sink_;  // written on the loop's thread under mutex_; nullptr: closed
  bool started_ = false;
  std::array<bool, 2> lost_{};  // touched by whoever writes
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Piece> queue_;  // guarded by mutex_
};

OutputSink::OutputSink(EventLoop& loop, int stdout_fd, int stderr_fd, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), fds_{stdout_fd, stderr_fd} {
  writers_[0] = std::make_shared<Writer>(loop_, this);
  writers_[1] =
      SameFile(stdout_fd, stderr_fd) ? writers_[0] : std::make_shared<Writer>(loop_, this);
}

OutputSink::~OutputSink() {
  for (const auto& writer : writers_) writer->Close();
}

void OutputSink::Write(OutputStream stream, std::string bytes, size_t credit) {
  const size_t index = IndexOf(stream);
  if (lost_[index] != 0) return Drop(stream, credit);
  ++unfinished_;
  writers_[index]->Push(stream, fds_[index], std::move(bytes), credit);
}

void OutputSink::OnDone(OutputStream stream, size_t pieces, size_t credit, int err) {
  REX_CHECK(pieces <= unfinished_);
  unfinished_ -= pieces;
  if (err != 0) {
    lost_[IndexOf(stream)] = err;
    handlers_.on_lost(stream, err);
  }
  if (lost_[IndexOf(stream)] != 0) {
    Drop(stream, credit);
  } else if (credit > 0) {
    handlers_.on_written(credit);
  }
  if (idle()) handlers_.on_idle();
}

void OutputSink::Drop(OutputStream stream, size_t credit) {
  if (credit == 0) return;
  const size_t index = IndexOf(stream);
  if (!dropped_[index]) {
    dropped_[index] = true;
    handlers_.on_dropped(stream, lost_[index]);
  }
  handlers_.on_written(credit);
}

}  // namespace rex
