// Reads rexlaunch's standard input for the job, never more than the head has given credit for.
//
// The descriptor may be a terminal, pipe, socket, file or device, is shared with other processes
// (no O_NONBLOCK), and some kinds cannot be polled: so a thread reads, and may block. It starts
// with the first credit, unless the input is found to be at its end without waiting: a job without
// standard input reads nothing. On a terminal it reads only
// while rexlaunch is in the foreground; otherwise the kernel would stop the whole process
// (SIGTTIN), and with it the job's output.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"

namespace rex {

class StdinSource {
 public:
  struct Handlers {                                   // on the loop's thread
    std::function<void(std::string bytes)> on_bytes;  // at most kMaxStdioPayloadBytes
    std::function<void()> on_end;                     // once; also after an error
  };
  // `fd` is borrowed for as long as the process lives: a reader that blocks cannot be joined.
  // Loop thread only.
  StdinSource(EventLoop& loop, int fd, Handlers handlers);
  ~StdinSource();  // nothing is called back afterwards
  StdinSource(const StdinSource&) = delete;
  StdinSource& operator=(const StdinSource&) = delete;

  // Allows `bytes` more to be read. False: the kernel refuses the thread that would (the limit of
  // processes); nothing will be read then unless a later call succeeds.
  bool AddCredit(uint64_t bytes);
  // Looks again whether we are in the foreground (after SIGCONT).
  void Nudge();

 private:
  class Reader;
  std::shared_ptr<Reader> reader_;
};

}  // namespace rex
