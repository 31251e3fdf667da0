// How much of the classes below control may be under way. Pure; counts bytes of frames, header and
// payload, since the link's start, across the move to TCP.
//
// The sender's window follows the time that acknowledgements take: what stands in a queue in front
// of a slow link, ours or one that several links share, is what a signal has to wait behind. It
// grows by what is acknowledged as long as that comes quickly, and shrinks by a quarter, once a
// window, when it comes more than kQueueBound later than the fastest one ever.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "launcher/base/clock.h"
#include "launcher/base/result.h"
#include "launcher/link/link.h"
#include "launcher/link/record.h"

namespace rex {

inline constexpr size_t kLeastWindowBytes = 8 << 10;
inline constexpr size_t kFirstWindowBytes = 32 << 10;
inline constexpr size_t kAckEveryBytes = kLeastWindowBytes / 2;
inline constexpr std::chrono::milliseconds kQueueBound{50};

class SendCredit {
 public:
  bool Allows(size_t frame_bytes) const { return sent_ - acknowledged_ + frame_bytes <= window_; }
  // A frame may be this large, header included: so a sender that has to wait has at least
  // kAckEveryBytes under way, and an acknowledgement comes.
  size_t MostFrameBytes() const { return std::min(kMostFrameBytes, window_ / 2); }
  void Sent(size_t frame_bytes, Clock::Time now);
  // The peer has taken `total` bytes. Errors: kProtocol (more than was sent, or less than before).
  Status Acknowledged(uint64_t total, Clock::Time now);
  size_t window() const { return window_; }

 private:
  struct UnderWay {
    uint64_t total;  // sent, with this frame
    Clock::Time at;
  };
  void OnDelay(Clock::Time delay, uint64_t bytes);

  uint64_t sent_ = 0;
  uint64_t acknowledged_ = 0;
  size_t window_ = kFirstWindowBytes;
  std::deque<UnderWay> under_way_;  // oldest first
  Clock::Time fastest_ = Clock::Time::max();
  uint64_t shrink_again_ = 0;  // only for acknowledgements beyond this
};

class ReceiveCredit {
 public:
  // Errors: kProtocol (the peer sent more than it may).
  Status Arrived(size_t frame_bytes);
  void Took(size_t frame_bytes) { taken_ += frame_bytes; }
  bool AcknowledgementIsDue() const { return taken_ - acknowledged_ >= kAckEveryBytes; }
  uint64_t Acknowledge() { return acknowledged_ = taken_; }

 private:
  uint64_t arrived_ = 0;
  uint64_t taken_ = 0;
  uint64_t acknowledged_ = 0;  // what the peer was told
};

}  // namespace rex
