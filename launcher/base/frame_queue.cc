#include "launcher/base/frame_queue.h"

#include <algorithm>

namespace rex {

void FrameQueue::Push(uint8_t kind, FrameClass frame_class, std::string payload) {
  bytes_ += payload.size() + kFrameHeaderBytes;
  queues_[static_cast<size_t>(frame_class)].push_back({kind, std::move(payload)});
}

std::optional<FrameHeader> FrameQueue::NextFrame(size_t most_payload_bytes) const {
  for (size_t c = 0; c < kFrameClasses; ++c) {
    if (queues_[c].empty()) continue;
    const Outgoing& message = queues_[c].front();
    const size_t left = message.payload.size() - message.taken;
    const size_t n = std::min(most_payload_bytes, left);
    return FrameHeader{static_cast<uint32_t>(n), message.kind, static_cast<FrameClass>(c),
                       n < left};
  }
  return std::nullopt;
}

void FrameQueue::TakeFrame(size_t most_payload_bytes, std::string& out) {
  const auto header = NextFrame(most_payload_bytes);
  REX_CHECK(header.has_value());
  auto& queue = queues_[static_cast<size_t>(header->frame_class)];
  Outgoing& message = queue.front();
  const auto head = EncodeFrameHeader(*header);
  out.append(head.data(), head.size());
  out.append(message.payload, message.taken, header->bytes);
  message.taken += header->bytes;
  bytes_ -= header->bytes;
  if (header->more) return;
  bytes_ -= kFrameHeaderBytes;
  queue.pop_front();
}

void FrameQueue::Clear() {
  for (auto& queue : queues_) queue.clear();
  bytes_ = 0;
}

}  // namespace rex
