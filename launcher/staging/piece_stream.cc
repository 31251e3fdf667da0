#include "launcher/staging/piece_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace rex {

namespace {
constexpr int kSendBufferBytes = 128 << 10;  // what is on its way delays control messages
// What this socket has and did not give to the network yet delays nobody else's.
constexpr int kNotSentBytes = 2 * kSendBufferBytes;
constexpr size_t kMostVectors = 16;
// Segments take more room in a receive buffer than what they carry. Kernels before 5.7 do not wake
// a reader whose buffer is full of less than it waits for.
constexpr size_t kBufferByContent = 6;

void SetOption(const UniqueFd& socket, int level, int name, int value) {
  (void)::setsockopt(socket.get(), level, name, &value, sizeof value);
}
}  // namespace

PieceSender::PieceSender(EventLoop& loop, UniqueFd socket, Handlers handlers)
    : socket_(std::move(socket)),
      handlers_(std::move(handlers)),
      read_watcher_(loop, socket_.get(), [this] { OnReadable(); }),
      write_watcher_(loop, socket_.get(), [this] { OnWritable(); }) {
  SetOption(socket_, SOL_SOCKET, SO_SNDBUF, kSendBufferBytes);
  SetOption(socket_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kNotSentBytes);
}

void PieceSender::Send(Record record) {
  if (gone_ || ended_) return;
  const bool first = records_.empty();
  queued_ += record->size();
  records_.push_back(std::move(record));
  // Most often there is room for it, and nobody has to wait for that.
  if (first && Write() && records_.empty()) return;
  write_watcher_.Enable(true);
}

void PieceSender::End() {
  if (gone_ || ended_) return;
  Send(std::make_shared<const std::string>(EndRecord()));
  ended_ = true;
  if (records_.empty()) HangUp();
}

// The other end waits for whole pieces; now it has to look at what there is.
void PieceSender::HangUp() { (void)::shutdown(socket_.get(), SHUT_WR); }

// False: an error, in errno.
bool PieceSender::Write() {
  std::array<iovec, kMostVectors> vectors;
  size_t count = 0;
  for (; count < std::min(records_.size(), vectors.size()); ++count) {
    const std::string& record = *records_[count];
    const size_t skip = count == 0 ? offset_ : 0;
    vectors[count] = {const_cast<char*>(record.data()) + skip, record.size() - skip};
  }
  const ssize_t n = ::writev(socket_.get(), vectors.data(), static_cast<int>(count));
  if (n < 0) return false;
  queued_ -= static_cast<size_t>(n);
  sent_ += static_cast<uint64_t>(n);
  offset_ += static_cast<size_t>(n);
  while (!records_.empty() && offset_ >= records_.front()->size()) {
    offset_ -= records_.front()->size();
    records_.pop_front();
  }
  return true;
}

void PieceSender::OnWritable() {
  if (!Write()) {
    if (errno == EAGAIN || errno == EINTR) return;
    return Fail(Error::FromErrno(errno, "send pieces"));
  }
  if (records_.empty()) {
    write_watcher_.Enable(false);
    if (ended_) HangUp();
  }
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
      watcher_(loop, socket_.get(), [this] { OnReadable(); }) {
  int buffer = 0;
  socklen_t size = sizeof buffer;
  (void)::getsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, &size);
  most_low_water_ = static_cast<size_t>(buffer) / kBufferByContent;
  WaitForRest();
}

void PieceReceiver::EnableReading(bool on) {
  if (!gone_) watcher_.Enable(on);
}

// Not woken before the piece is whole: nothing else comes this way, and its sender hangs up behind
// the last one. A piece of small files waits for those behind it.
void PieceReceiver::WaitForRest() {
  size_t rest = kMaxSealedBytes - have_;
  if (have_ >= kPieceHeaderBytes) {
    const auto header = DecodePieceHeader(buffer_);  // else its pieces would have been refused
    if (header) rest = kPieceHeaderBytes + header->bytes - have_;
  }
  rest = std::clamp<size_t>(most_low_water_, 1, rest);
  if (rest == low_water_) return;
  low_water_ = rest;
  SetOption(socket_, SOL_SOCKET, SO_RCVLOWAT, static_cast<int>(rest));
}

// One piece a turn: what is ready besides has its turn, too.
void PieceReceiver::OnReadable() {
  buffer_.resize(kMaxSealedBytes);
  const ssize_t n = ::read(socket_.get(), buffer_.data() + have_, buffer_.size() - have_);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Fail(Error::FromErrno(errno, "receive pieces"));
  if (n == 0) return Fail({Errc::kClosed, "it hung up"});
  have_ += static_cast<size_t>(n);
  const std::weak_ptr<bool> alive = alive_;
  const Status taken = TakeRecords();
  if (alive.expired()) return;
  if (!taken) return Fail(taken.error());
  WaitForRest();
}

Status PieceReceiver::TakeRecords() {
  const std::weak_ptr<bool> alive = alive_;
  size_t at = 0;
  while (have_ - at >= kPieceHeaderBytes) {
    const auto header = DecodePieceHeader(std::string_view(buffer_).substr(at));
    if (!header) return header.error();
    const size_t bytes = kPieceHeaderBytes + header->bytes;
    if (have_ - at < bytes) break;
    const bool end = header->piece == kEndOfPieces;
    if (end) StopReading();
    Record record = TakeRecord(at, bytes);
    at = have_ == 0 ? 0 : at + bytes;
    handlers_.on_record(std::move(record));
    if (end || alive.expired()) return Ok{};
  }
  if (at > 0) buffer_.erase(0, at);
  have_ -= at;
  return Ok{};
}

// One that fills the buffer goes with it.
Record PieceReceiver::TakeRecord(size_t at, size_t bytes) {
  if (bytes < buffer_.size()) return std::make_shared<const std::string>(buffer_, at, bytes);
  have_ = 0;
  return std::make_shared<const std::string>(std::exchange(buffer_, {}));
}

void PieceReceiver::StopReading() {
  gone_ = true;
  watcher_.Enable(false);
}

void PieceReceiver::Fail(const Error& why) {
  if (gone_) return;
  StopReading();
  if (const auto on_gone = handlers_.on_gone) on_gone(why);
}

}  // namespace rex
