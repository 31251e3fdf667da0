// Messages that wait to be sent: a queue for each class, cut into frames, most urgent class first.
// Pure. Messages of one class keep their order; a more urgent one goes in between frames.
#pragma once

#include <deque>
#include <optional>

#include "launcher/base/frame.h"

namespace rex {

class FrameQueue {
 public:
  void Push(uint8_t kind, FrameClass frame_class, std::string payload);
  // The header of the frame that TakeFrame would take. nullopt: nothing is queued.
  std::optional<FrameHeader> NextFrame(size_t most_payload_bytes) const;
  // Appends the next frame, with at most that much of payload, to `out`. The queue is not empty.
  void TakeFrame(size_t most_payload_bytes, std::string& out);
  void Clear();

  // Payload not yet taken, and a header for each message.
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

 private:
  struct Outgoing {
    uint8_t kind;
    std::string payload;
    size_t taken = 0;  // payload bytes already cut into frames
  };
  std::array<std::deque<Outgoing>, kFrameClasses> queues_;
  size_t bytes_ = 0;
};

}  // namespace rex
