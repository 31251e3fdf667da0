// How much of the classes below control may be under way. Pure; counts bytes of frames, header and
// payload, since the link's start, across the move to TCP.
#pragma once

#include <cstdint>

#include "launcher/base/result.h"
#include "launcher/link/link.h"

namespace rex {

class SendCredit {
 public:
  bool Allows(size_t frame_bytes) const {
    return sent_ - acknowledged_ + frame_bytes <= kLinkWindowBytes;
  }
  void Sent(size_t frame_bytes) { sent_ += frame_bytes; }
  // The peer has taken `total` bytes. Errors: kProtocol (more than was sent, or less than before).
  Status Acknowledged(uint64_t total);

 private:
  uint64_t sent_ = 0;
  uint64_t acknowledged_ = 0;
};

class ReceiveCredit {
 public:
  // Errors: kProtocol (the peer sent more than it may).
  Status Arrived(size_t frame_bytes);
  void Took(size_t frame_bytes) { taken_ += frame_bytes; }
  // Often enough that the peer never waits for one that does not come: frames are at most a quarter
  // of the window, so a peer that has to wait has more than this under way.
  bool AcknowledgementIsDue() const { return taken_ - acknowledged_ >= kLinkWindowBytes / 4; }
  uint64_t Acknowledge() { return acknowledged_ = taken_; }

 private:
  uint64_t arrived_ = 0;
  uint64_t taken_ = 0;
  uint64_t acknowledged_ = 0;  // what the peer was told
};

}  // namespace rex
