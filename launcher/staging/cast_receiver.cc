#include "launcher/staging/cast_receiver.h"

#include <sys/socket.h>

#include <array>

#include "launcher/staging/cast_socket.h"

namespace rex {

namespace {
constexpr size_t kBatch = 32;
constexpr int kBatchesPerTurn = 8;
constexpr size_t kMostDatagram = kDatagramHeaderBytes + kFragmentBytes;
}  // namespace

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
      watcher_(loop, socket_.get(), [this] { OnReadable(); }) {}

void CastReceiver::OnReadable() {
  static thread_local std::array<std::array<char, kMostDatagram>, kBatch> buffers;
  const std::shared_ptr<bool> alive = alive_;
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> vectors;
    for (size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {buffers[i].data(), buffers[i].size()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = ::recvmmsg(socket_.get(), messages.data(), kBatch, 0, nullptr);
    for (int i = 0; i < count; ++i) {
      OnDatagram(
          {buffers[static_cast<size_t>(i)].data(), messages[static_cast<size_t>(i)].msg_len});
      if (!*alive) return;
    }
    if (count < static_cast<int>(kBatch)) return;
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
