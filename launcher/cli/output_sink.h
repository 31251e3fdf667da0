// Writes the job's output, and rexlaunch's own lines, to rexlaunch's stdout and stderr.
//
// These descriptors are shared with other processes, so O_NONBLOCK must not be set on them, and
// a write that poll(2) promised may block all the same (somebody else filled the pipe). So a
// thread does the writing and may block for as long as the reader stalls, while the loop goes on
// handling signals. One thread for each file: stdout and stderr that are the same terminal, pipe
// or file share one, which keeps the order in which things came. Memory is bounded by the credit
// the caller gives out: `on_written` returns it when the bytes are out.
//
// A stream that cannot be written any more (its reader is gone, the disk is full) is reported once
// and thrown away from then on; so is, once, that bytes of the caller's credit were lost by that.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/wire/messages.h"

namespace rex {

class OutputSink {
 public:
  struct Handlers {                                         // all on the loop's thread
    std::function<void(size_t credit)> on_written;          // for credit > 0; thrown away: too
    std::function<void(OutputStream, int err)> on_lost;     // once for each stream; errno(3)
    std::function<void(OutputStream, int err)> on_dropped;  // likewise, when bytes with credit were
    std::function<void()> on_idle;                          // nothing is left to write
  };
  // `stdout_fd` and `stderr_fd` are borrowed for as long as the process lives: a writer that
  // blocks cannot be joined. Loop thread only.
  OutputSink(EventLoop& loop, int stdout_fd, int stderr_fd, Handlers handlers);
  ~OutputSink();
  OutputSink(const OutputSink&) = delete;
  OutputSink& operator=(const OutputSink&) = delete;

  // Queues `bytes`; `credit` is given back by on_written.
  void Write(OutputStream stream, std::string bytes, size_t credit);
  bool idle() const { return unfinished_ == 0; }

 private:
  class Writer;
  void OnDone(OutputStream stream, size_t pieces, size_t credit, int err);
  void Drop(OutputStream stream, size_t credit);
  static size_t IndexOf(OutputStream stream) { return stream == OutputStream::kStdout ? 0 : 1; }

  EventLoop& loop_;
  Handlers handlers_;
  std::array<int, 2> fds_;
  std::array<std::shared_ptr<Writer>, 2> writers_;  // the same one twice for one file
  std::array<int, 2> lost_{};                       // errno(3) once a stream is lost
  std::array<bool, 2> dropped_{};
  size_t unfinished_ = 0;  // pieces handed to writers and not reported yet
};

}  // namespace rex
