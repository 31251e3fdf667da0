#include "launcher/staging/piece_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace rex {

namespace {
constexpr int kSendBufferBytes = 128 << 10;  // what waits in the kernel delays control messages
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMostVectors = 16;
}  // namespace

PieceSender::PieceSender(EventLoop& loop, UniqueFd socket, Handlers handlers)
    : socket_(std::move(socket)),
      handlers_(std::move(handlers)),
      read_watcher_(loop, socket_.get(), [this] { OnReadable(); }),
      write_watcher_(loop, socket_.get(), [this] { OnWritable(); }) {
  (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes,
                     sizeof kSendBufferBytes);
}

void PieceSender::Send(Record record) {
  if (gone_) return;
  queued_ += record->size();
  records_.push_back(std::move(record));
  write_watcher_.Enable(true);
}

void PieceSender::OnWritable() {
  std::array<iovec, kMostVectors> vectors;
  size_t count = 0;
  for (; count < std::min(records_.size(), vectors.size()); ++count) {
    const std::string& record = *records_[count];
    const size_t skip = count == 0 ? offset_ : 0;
    vectors[count] = {const_cast<char*>(record.data()) + skip, record.size() - skip};
  }
  const ssize_t n = ::writev(socket_.get(), vectors.data(), static_cast<int>(count));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Fail(Error::FromErrno(errno, "send pieces"));
  queued_ -= static_cast<size_t>(n);
  sent_ += static_cast<uint64_t>(n);
  offset_ += static_cast<size_t>(n);
  while (!records_.empty() && offset_ >= records_.front()->size()) {
    offset_ -= records_.front()->size();
    records_.pop_front();
  }
  if (records_.empty()) write_watcher_.Enable(false);
  if (queued_ < kFollowerLowBytes && handlers_.on_low) handlers_.on_low();
}

// Nothing comes this way but the end.
void PieceSender::OnReadable() {
  std::array<char, 64> bytes;
  const ssize_t n = ::read(socket_.get(), bytes.data(), bytes.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) return Fail({Errc::kProtocol, "words where none are expected"});
  Fail(n < 0 ? Error::FromErrno(errno, "send pieces") : Error{Errc::kClosed, "it hung up"});
}

void PieceSender::Fail(const Error& why) {
  if (gone_) return;
  gone_ = true;
  read_watcher_.Enable(false);
  write_watcher_.Enable(false);
  records_.clear();
  queued_ = 0;
  if (const auto on_gone = handlers_.on_gone) on_gone(why);
}

PieceReceiver::PieceReceiver(EventLoop& loop, UniqueFd socket, Handlers handlers)
    : socket_(std::move(socket)),
      handlers_(std::move(handlers)),
      watcher_(loop, socket_.get(), [this] { OnReadable(); }) {}

void PieceReceiver::EnableReading(bool on) {
  if (!gone_) watcher_.Enable(on);
}

void PieceReceiver::OnReadable() {
  const size_t had = buffer_.size();
  buffer_.resize(had + kReadBytes);
  const ssize_t n = ::read(socket_.get(), buffer_.data() + had, kReadBytes);
  const int err = errno;
  buffer_.resize(had + (n > 0 ? static_cast<size_t>(n) : 0));
  if (n < 0 && (err == EAGAIN || err == EINTR)) return;
  if (n < 0) return Fail(Error::FromErrno(err, "receive pieces"));
  if (n == 0) return Fail({Errc::kClosed, "it hung up"});
  const std::weak_ptr<bool> alive = alive_;
  const Status taken = TakeRecords();
  if (!alive.expired() && !taken) Fail(taken.error());
}

Status PieceReceiver::TakeRecords() {
  const std::weak_ptr<bool> alive = alive_;
  size_t at = 0;
  while (buffer_.size() - at >= kPieceHeaderBytes) {
    const auto header = DecodePieceHeader(std::string_view(buffer_).substr(at));
    if (!header) return header.error();
    const size_t bytes = kPieceHeaderBytes + header->bytes;
    if (buffer_.size() - at < bytes) break;
    auto record = std::make_shared<const std::string>(buffer_, at, bytes);
    at += bytes;
    handlers_.on_record(std::move(record));
    if (alive.expired()) return Ok{};  // destroyed by the handler
  }
  buffer_.erase(0, at);
  return Ok{};
}

void PieceReceiver::Fail(const Error& why) {
  if (gone_) return;
  gone_ = true;
  watcher_.Enable(false);
  if (const auto on_gone = handlers_.on_gone) on_gone(why);
}

}  // namespace rex
