#include "launcher/staging/cast_receiver.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "launcher/staging/cast_socket.h"

namespace rex {

namespace {
constexpr size_t kBatch = 16;  // messages by one call
constexpr int kBatchesPerTurn = 4;
// The kernel joins datagrams that came together to one message (UDP_GRO), which it has a word
// about.
constexpr size_t kMostMessage = 64 << 10;
using Control = std::array<char, CMSG_SPACE(sizeof(int))>;
// What came is less than this: those behind it are waited for, so that they come with one call.
constexpr size_t kLittle = 32 << 10;
constexpr std::chrono::microseconds kLongestPause{2000};
constexpr double kBytesPerSecond = 125e6;  // of a fast sender
constexpr double kOverhead = 3;            // of buffers by what they hold

// How long datagrams may be left in a socket with this buffer.
std::chrono::microseconds PauseFor(int buffer_bytes) {
  const double seconds = buffer_bytes / 2 / kOverhead / kBytesPerSecond;
  return std::min(kLongestPause, std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
}

// Bytes of each datagram in the message but the last.
size_t PartBytes(msghdr* message, size_t bytes) {
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_UDP || header->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(header), sizeof size);
    if (size > 0) return static_cast<size_t>(size);
  }
  return std::max<size_t>(bytes, 1);
}
}  // namespace

// Where messages are received.
struct CastReceiver::Batch {
  std::array<std::array<char, kMostMessage>, kBatch> bytes;
  std::array<Control, kBatch> controls;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> messages;

  void Prepare() {
    for (size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {bytes[i].data(), bytes[i].size()};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = controls[i].data();
      messages[i].msg_hdr.msg_controllen = controls[i].size();
    }
  }
};

Result<std::unique_ptr<CastReceiver>> CastReceiver::Open(EventLoop& loop, const ImageCast& cast,
                                                         const Geometry& geometry, bool one_machine,
                                                         uint32_t lose, Handlers handlers) {
  auto socket = OpenCastReceiver(cast, CastInterfaces(one_machine));
  if (!socket) return socket.error();
  return std::unique_ptr<CastReceiver>(
      new CastReceiver(loop, cast, geometry, lose, std::move(*socket), std::move(handlers)));
}

CastReceiver::CastReceiver(EventLoop& loop, const ImageCast& cast, const Geometry& geometry,
                           uint32_t lose, UniqueFd socket, Handlers handlers)
    : cast_(cast),
      lose_(lose),
      puzzle_(PiecesOf(geometry, cast.coming)),
      handlers_(std::move(handlers)),
      socket_(std::move(socket)),
      batch_(std::make_unique_for_overwrite<Batch>()),
      pause_(loop, [this] { watcher_.Enable(true); }),
      watcher_(loop, socket_.get(), [this] { OnReadable(); }) {
  const int on = 1;
  (void)::setsockopt(socket_.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
  int buffer = 0;
  socklen_t size = sizeof buffer;
  (void)::getsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, &size);
  pause_for_ = PauseFor(buffer);
}

CastReceiver::~CastReceiver() { *alive_ = false; }

void CastReceiver::OnReadable() {
  const std::shared_ptr<bool> alive = alive_;
  size_t bytes = 0;
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    batch_->Prepare();
    const int count = ::recvmmsg(socket_.get(), batch_->messages.data(), kBatch, 0, nullptr);
    for (size_t i = 0; static_cast<int>(i) < count; ++i) {
      bytes += batch_->messages[i].msg_len;
      OnMessage(i);
      if (!*alive) return;
    }
    if (count == static_cast<int>(kBatch)) continue;
    if (bytes < kLittle) Pause();
    return;
  }
}

void CastReceiver::Pause() {
  watcher_.Enable(false);
  pause_.Set(pause_for_);
}

void CastReceiver::OnMessage(size_t index) {
  const std::shared_ptr<bool> alive = alive_;
  mmsghdr& message = batch_->messages[index];
  std::string_view rest(batch_->bytes[index].data(), message.msg_len);
  const size_t part = PartBytes(&message.msg_hdr, rest.size());
  while (!rest.empty() && *alive) {
    OnDatagram(rest.substr(0, part));
    rest.remove_prefix(std::min(part, rest.size()));
  }
}

// Spread over the whole stream, the same in every run.
bool CastReceiver::Loses() {
  ++seen_;
  return lose_ > 0 && (seen_ * 2654435761U >> 16) % 100 < lose_;
}

void CastReceiver::OnDatagram(std::string_view text) {
  const auto datagram = DecodeDatagram(cast_.transfer, text);
  if (!datagram || Loses()) return;
  switch (datagram->kind) {
    case DatagramKind::kProbe: {
      const uint64_t bit = uint64_t{1} << datagram->number % 64;
      if ((probes_ & bit) != 0) return;
      probes_ |= bit;
      return handlers_.on_probe(datagram->number);
    }
    case DatagramKind::kFragment: {
      auto record = puzzle_.Add(datagram->index, datagram->number, datagram->bytes);
      if (record) handlers_.on_record(std::make_shared<const std::string>(*std::move(record)));
      return;
    }
    case DatagramKind::kMark:
      return OnMark(*datagram);
  }
}

void CastReceiver::OnMark(const Datagram& mark) {
  puzzle_.DropBefore(mark.index);
  handlers_.on_gaps({cast_.job, mark.index, mark.round, puzzle_.Gaps(mark.index)});
}

}  // namespace rex
