#include "launcher/link/byte_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include "launcher/base/check.h"

namespace rex {

namespace {
bool IsSocket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

ByteStream::Read Outcome(ssize_t n) {
  if (n > 0) return {static_cast<size_t>(n), false, 0};
  if (n == 0) return {0, true, 0};
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return later ? ByteStream::Read{} : ByteStream::Read{0, true, errno};
}
}  // namespace

ByteStream::ByteStream(EventLoop& loop, UniqueFd in, UniqueFd out, Handlers handlers)
    : in_(std::move(in)),
      out_(std::move(out)),
      out_is_socket_(IsSocket(this->out())),
      handlers_(std::move(handlers)),
      read_watcher_(loop, in_.get(), [this] { OnReadable(); }),
      write_watcher_(loop, this->out(), [this] { OnWritable(); }) {
  REX_CHECK(SetNonBlocking(in_.get()).has_value());
  REX_CHECK(SetNonBlocking(this->out()).has_value());
}

// The handlers are copied first: they may destroy this.
void ByteStream::OnReadable() {
  const auto on_readable = handlers_.on_readable;
  on_readable();
}

void ByteStream::OnWritable() {
  const auto on_writable = handlers_.on_writable;
  on_writable();
}

ByteStream::Read ByteStream::ReadSome(char* to, size_t most) {
  Read read = Outcome(::read(in_.get(), to, most));
  // A failed write has taken the socket's error with it, and it says more than an end of file.
  if (read.end && write_error_ != 0 && write_error_ != EPIPE) read.error = write_error_;
  return read;
}

ByteStream::Read ByteStream::Peek() {
  char byte = 0;
  return Outcome(::recv(in_.get(), &byte, sizeof byte, MSG_PEEK));
}

ssize_t ByteStream::WriteOnce() {
  const char* from = output_.data() + sent_;
  const size_t bytes = output_.size() - sent_;
  return out_is_socket_ ? ::send(out(), from, bytes, MSG_NOSIGNAL) : ::write(out(), from, bytes);
}

ByteStream::Written ByteStream::Write() {
  while (!wrote_all()) {
    const ssize_t n = WriteOnce();
    if (n >= 0) {
      sent_ += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    const bool blocked = errno == EAGAIN || errno == EWOULDBLOCK;
    if (!blocked) write_error_ = errno;
    write_watcher_.Enable(blocked);
    return blocked ? Written::kBlocked : Written::kFailed;
  }
  output_.clear();
  sent_ = 0;
  write_watcher_.Enable(false);
  return Written::kAll;
}

UniqueFd ByteStream::TakeSocket() {
  read_watcher_.Enable(false);
  write_watcher_.Enable(false);
  return std::move(in_);
}

}  // namespace rex
