#include "launcher/base/frame_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace rex {

namespace {
constexpr uint8_t kFlagMore = 1;
constexpr size_t kReadBytes = 64 << 10;
constexpr int kReadsPerTurn = 16;  // then other watchers get their turn
}  // namespace

std::array<char, kFrameHeaderBytes> EncodeFrameHeader(const FrameHeader& header) {
  REX_CHECK(header.bytes <= kMaxFrameBytes);
  std::array<char, kFrameHeaderBytes> out{};
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<char>(header.bytes >> (8 * i));
  out[4] = static_cast<char>(header.kind);
  out[5] = static_cast<char>(header.frame_class);
  out[6] = header.more ? kFlagMore : 0;
  return out;
}

Result<FrameHeader> DecodeFrameHeader(std::string_view bytes) {
  REX_CHECK(bytes.size() >= kFrameHeaderBytes);
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  FrameHeader header;
  for (size_t i = 0; i < 4; ++i) header.bytes |= static_cast<uint32_t>(byte(i)) << (8 * i);
  header.kind = byte(4);
  if (header.bytes > kMaxFrameBytes) {
    return Error{Errc::kProtocol, "frame of " + std::to_string(header.bytes) + " bytes"};
  }
  if (byte(5) >= kFrameClasses) return Error{Errc::kProtocol, "unknown frame class"};
  header.frame_class = static_cast<FrameClass>(byte(5));
  if ((byte(6) & ~kFlagMore) != 0 || byte(7) != 0) {
    return Error{Errc::kProtocol, "unknown frame flags"};
  }
  header.more = (byte(6) & kFlagMore) != 0;
  return header;
}

Status FrameReader::Feed(std::string_view bytes, const OnMessage& on_message,
                         const bool& keep_going) {
  buffer_.append(bytes);
  size_t used = 0;
  while (keep_going) {
    const std::string_view rest = std::string_view(buffer_).substr(used);
    if (rest.size() < kFrameHeaderBytes) break;
    const auto header = DecodeFrameHeader(rest);
    if (!header) return header.error();
    if (rest.size() < kFrameHeaderBytes + header->bytes) break;
    // The payload is copied first: the receiver may destroy this reader's owner.
    const Status taken =
        TakeFrame(*header, rest.substr(kFrameHeaderBytes, header->bytes), on_message);
    if (!taken) return taken;
    if (!keep_going) return Ok{};
    used += kFrameHeaderBytes + header->bytes;
  }
  if (keep_going) buffer_.erase(0, used);
  return Ok{};
}

Status FrameReader::TakeFrame(const FrameHeader& header, std::string_view payload,
                              const OnMessage& on_message) {
  Partial& partial = partial_[static_cast<size_t>(header.frame_class)];
  if (partial.open && partial.kind != header.kind) {
    return Error{Errc::kProtocol, "a message was broken off"};
  }
  if (partial.payload.size() + payload.size() > max_message_bytes_) {
    return Error{Errc::kProtocol,
                 "message larger than " + std::to_string(max_message_bytes_) + " bytes"};
  }
  partial.payload.append(payload);
  partial.open = header.more;
  partial.kind = header.kind;
  if (header.more) return Ok{};
  std::string whole;
  whole.swap(partial.payload);
  on_message(header.kind, header.frame_class, std::move(whole));
  return Ok{};
}

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
  if (closed_) return;
  const bool idle = queued_bytes_ == 0;
  queued_bytes_ += payload.size() + kFrameHeaderBytes;
  queues_[static_cast<size_t>(frame_class)].push_back({kind, std::move(payload)});
  if (idle) WriteSome();  // a failure shows as end of file on the read side
}

void FrameChannel::EnableReading(bool on) {
  if (!closed_) read_watcher_->Enable(on);
}

bool FrameChannel::NextFrame() {
  for (size_t c = 0; c < kFrameClasses; ++c) {
    if (queues_[c].empty()) continue;
    Outgoing& message = queues_[c].front();
    const size_t n = std::min(kMaxFrameBytes, message.payload.size() - message.sent);
    const bool more = message.sent + n < message.payload.size();
    const auto header = EncodeFrameHeader(
        {static_cast<uint32_t>(n), message.kind, static_cast<FrameClass>(c), more});
    chunk_.assign(header.data(), header.size());
    chunk_.append(message.payload, message.sent, n);
    chunk_sent_ = 0;
    message.sent += n;
    queued_bytes_ -= n;
    if (!more) {
      queued_bytes_ -= kFrameHeaderBytes;
      queues_[c].pop_front();
    }
    return true;
  }
  return false;
}

bool FrameChannel::WriteSome() {
  while (chunk_sent_ < chunk_.size() || NextFrame()) {
    const ssize_t n = ::send(socket_.get(), chunk_.data() + chunk_sent_,
                             chunk_.size() - chunk_sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      write_watcher_->Enable(true);
      return true;
    }
    if (n < 0) {  // the peer is gone: drop the output, reading tells the owner
      write_watcher_->Enable(false);
      chunk_.clear();
      chunk_sent_ = 0;
      for (auto& queue : queues_) queue.clear();
      queued_bytes_ = 0;
      return false;
    }
    chunk_sent_ += static_cast<size_t>(n);
  }
  write_watcher_->Enable(false);
  return true;
}

void FrameChannel::OnWritable() {
  const auto open = open_;
  if (WriteSome() && *open && queued_bytes_ == 0 && handlers_.on_drained) handlers_.on_drained();
}

void FrameChannel::OnReadable() {
  const auto open = open_;
  std::string bytes(kReadBytes, '\0');
  for (int turn = 0; turn < kReadsPerTurn && *open && read_watcher_->enabled(); ++turn) {
    const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0) return Close(Error::FromErrno(errno, "read from peer"));
    if (n == 0) return Close(Error{Errc::kClosed, "the peer closed the connection"});
    const auto on_message = handlers_.on_message;  // survives our destruction
    const Status fed =
        reader_.Feed(std::string_view(bytes.data(), static_cast<size_t>(n)), on_message, *open);
    if (*open && !fed) return Close(fed.error());
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
  while (!closed_ && (chunk_sent_ < chunk_.size() || queued_bytes_ > 0) && WriteSome()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - loop_.clock().Now());
    if (left.count() <= 0) return;
    if (chunk_sent_ == chunk_.size() && queued_bytes_ == 0) return;
    pollfd p{socket_.get(), POLLOUT, 0};
    ::poll(&p, 1, static_cast<int>(left.count()));
  }
}

}  // namespace rex
