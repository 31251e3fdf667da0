#include "launcher/base/frame_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <span>

#include "launcher/base/fd_passing.h"

namespace rex {

namespace {
constexpr size_t kFirstReadBytes = 4 << 10;  // most turns bring one short message
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kGatherBytes = 4 << 10;  // so much is written at once, if it is many frames
constexpr int kReadsPerTurn = 16;         // then other watchers get their turn
constexpr size_t kMostFds = 4;            // that wait for their message
}  // namespace

FrameChannel::FrameChannel(EventLoop& loop, UniqueFd socket, size_t max_message_bytes,
                           Handlers handlers)
    : loop_(loop),
      socket_(std::move(socket)),
      handlers_(std::move(handlers)),
      reader_(max_message_bytes) {
  REX_CHECK(SetNonBlocking(socket_.get()).has_value());
  read_watcher_ = std::make_unique<ReadWatcher>(loop_, socket_.get(), [this] { OnReadable(); });
  write_watcher_ = std::make_unique<WriteWatcher>(loop_, socket_.get(), [this] { OnWritable(); });
}

FrameChannel::~FrameChannel() { *open_ = false; }

void FrameChannel::Send(uint8_t kind, FrameClass frame_class, std::string payload) {
  SendLater(kind, frame_class, std::move(payload));
  Push();
}

void FrameChannel::SendLater(uint8_t kind, FrameClass frame_class, std::string payload) {
  if (!closed_) queue_.Push(kind, frame_class, std::move(payload));
}

void FrameChannel::Push() {
  if (!closed_ && !blocked_) WriteSome();  // a failure shows as end of file on the read side
}

void FrameChannel::SendWithFd(uint8_t kind, FrameClass frame_class, std::string payload,
                              UniqueFd fd) {
  if (closed_) return;
  fds_out_.push_back(std::move(fd));
  Send(kind, frame_class, std::move(payload));
}

UniqueFd FrameChannel::TakeFd() {
  if (fds_in_.empty()) return {};
  UniqueFd fd = std::move(fds_in_.front());
  fds_in_.pop_front();
  return fd;
}

void FrameChannel::EnableReading(bool on) {
  if (!closed_) read_watcher_->Enable(on);
}

bool FrameChannel::NextChunk() {
  if (queue_.empty()) return false;
  chunk_.clear();
  chunk_sent_ = 0;
  // While descriptors wait, each frame gets one: so none comes later than its message.
  const size_t gather = fds_out_.empty() ? kGatherBytes : 1;
  while (!queue_.empty() && chunk_.size() < gather) queue_.TakeFrame(kMaxFrameBytes, chunk_);
  return true;
}

void FrameChannel::SetBlocked(bool blocked) {
  blocked_ = blocked;
  write_watcher_->Enable(blocked);
}

ssize_t FrameChannel::WriteOnce() {
  iovec bytes{chunk_.data() + chunk_sent_, chunk_.size() - chunk_sent_};
  if (chunk_sent_ > 0 || fds_out_.empty()) {
    return ::send(socket_.get(), bytes.iov_base, bytes.iov_len, MSG_NOSIGNAL);
  }
  const int fd = fds_out_.front().get();
  const ssize_t n = SendBytesAndFds(socket_.get(), bytes, {&fd, 1});
  if (n > 0) fds_out_.pop_front();
  return n;
}

ssize_t FrameChannel::ReadOnce(char* to, size_t most) {
  if (!takes_fds_) return ::recv(socket_.get(), to, most, 0);
  UniqueFd fd;
  const ssize_t n = ReceiveBytesAndFd(socket_.get(), {to, most}, &fd);
  if (fd && fds_in_.size() < kMostFds) fds_in_.push_back(std::move(fd));
  return n;
}

bool FrameChannel::WriteSome() {
  while (chunk_sent_ < chunk_.size() || NextChunk()) {
    const ssize_t n = WriteOnce();
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      SetBlocked(true);
      return true;
    }
    if (n < 0) {  // the peer is gone: drop the output, reading tells the owner
      SetBlocked(false);
      chunk_.clear();
      chunk_sent_ = 0;
      queue_.Clear();
      fds_out_.clear();
      return false;
    }
    chunk_sent_ += static_cast<size_t>(n);
  }
  SetBlocked(false);
  return true;
}

void FrameChannel::OnWritable() {
  const auto open = open_;
  if (WriteSome() && *open && queue_.empty() && handlers_.on_drained) handlers_.on_drained();
}

void FrameChannel::OnReadable() {
  const auto open = open_;
  std::array<char, kFirstReadBytes> few;
  std::unique_ptr<char[]> many;
  std::span<char> bytes = few;
  for (int turn = 0; turn < kReadsPerTurn && *open && read_watcher_->enabled(); ++turn) {
    const ssize_t n = ReadOnce(bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0) return Close(Error::FromErrno(errno, "read from peer"));
    if (n == 0) return Close(Error{Errc::kClosed, "the peer closed the connection"});
    const auto on_message = handlers_.on_message;  // survives our destruction
    const Status fed = reader_.Feed({bytes.data(), static_cast<size_t>(n)}, on_message, *open);
    if (*open && !fed) return Close(fed.error());
    // That was all; what comes now wakes us again.
    if (static_cast<size_t>(n) < bytes.size()) return;
    if (!many) many = std::make_unique_for_overwrite<char[]>(kReadBytes);
    bytes = {many.get(), kReadBytes};
  }
}

void FrameChannel::Close(const Error& error) {
  closed_ = true;
  *open_ = false;
  read_watcher_->Enable(false);
  write_watcher_->Enable(false);
  const auto on_closed = handlers_.on_closed;
  on_closed(error);
}

void FrameChannel::Flush(std::chrono::milliseconds bound) {
  const auto deadline = loop_.clock().Now() + bound;
  while (!closed_ && (chunk_sent_ < chunk_.size() || !queue_.empty()) && WriteSome()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - loop_.clock().Now());
    if (left.count() <= 0) return;
    if (chunk_sent_ == chunk_.size() && queue_.empty()) return;
    pollfd p{socket_.get(), POLLOUT, 0};
    ::poll(&p, 1, static_cast<int>(left.count()));
  }
}

}  // namespace rex
