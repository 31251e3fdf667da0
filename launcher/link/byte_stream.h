// The descriptors of one stream of a link, non-blocking, with their watchers and what is still to
// be written. Knows nothing of what the bytes mean.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"

namespace rex {

class ByteStream {
 public:
  struct Handlers {
    std::function<void()> on_readable;
    std::function<void()> on_writable;  // only when a Write had to stop
  };
  struct Read {
    size_t bytes = 0;  // 0 and no end: nothing there now
    bool end = false;
    int error = 0;  // errno(3) of the end; 0: end of file
  };
  enum class Written : uint8_t { kAll, kBlocked, kFailed };

  // `out` may be none: `in` is a socket then and serves both ways. Reads from the start.
  ByteStream(EventLoop& loop, UniqueFd in, UniqueFd out, Handlers handlers);
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }
  void EnableReading(bool on) { read_watcher_.Enable(on); }
  Read ReadSome(char* to, size_t most);
  // Is there something to read, without taking it? Sockets only.
  Read Peek();

  // To be appended to; Write() tries to get rid of it.
  std::string& output() { return output_; }
  Written Write();
  bool wrote_all() const { return sent_ == output_.size(); }
  int write_error() const { return write_error_; }

  int in() const { return in_.get(); }
  int out() const { return out_ ? out_.get() : in_.get(); }
  // Gives `in` away; nothing may be read or written any more.
  UniqueFd TakeSocket();

 private:
  ssize_t WriteOnce();
  void OnReadable();
  void OnWritable();

  UniqueFd in_;
  UniqueFd out_;
  bool out_is_socket_ = false;
  Handlers handlers_;
  std::string output_;
  size_t sent_ = 0;  // of output_
  int write_error_ = 0;
  ReadWatcher read_watcher_;
  WriteWatcher write_watcher_;
};

}  // namespace rex
