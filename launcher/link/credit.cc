#include "launcher/link/credit.h"

#include <algorithm>

namespace rex {

static_assert(kLeastWindowBytes / 2 >= kAckEveryBytes, "or a peer may wait for ever");

void SendCredit::Sent(size_t frame_bytes, Clock::Time now) {
  sent_ += frame_bytes;
  under_way_.push_back({sent_, now});
}

Status SendCredit::Acknowledged(uint64_t total, Clock::Time now) {
  if (total > sent_ || total < acknowledged_) {
    return Error{Errc::kProtocol, "an acknowledgement of " + std::to_string(total) +
                                      " bytes after " + std::to_string(acknowledged_) + ", with " +
                                      std::to_string(sent_) + " sent"};
  }
  const uint64_t bytes = total - acknowledged_;
  acknowledged_ = total;
  std::optional<Clock::Time> sent_at;
  while (!under_way_.empty() && under_way_.front().total <= total) {
    sent_at = under_way_.front().at;
    under_way_.pop_front();
  }
  if (sent_at) OnDelay(now - *sent_at, bytes);
  return Ok{};
}

void SendCredit::OnDelay(Clock::Time delay, uint64_t bytes) {
  fastest_ = std::min(fastest_, delay);
  const Clock::Time queued = delay - fastest_;
  if (queued < kQueueBound / 2) {
    window_ = std::min<size_t>(kLinkWindowBytes, window_ + bytes);
  } else if (queued > kQueueBound && acknowledged_ > shrink_again_) {
    window_ = std::max(kLeastWindowBytes, window_ / 4 * 3);
    shrink_again_ = sent_;  // what is under way still met the old queue
  }
}

Status ReceiveCredit::Arrived(size_t frame_bytes) {
  arrived_ += frame_bytes;
  if (arrived_ - acknowledged_ > kLinkWindowBytes) {
    return Error{Errc::kProtocol, "more than " + std::to_string(kLinkWindowBytes) +
                                      " bytes without an acknowledgement"};
  }
  return Ok{};
}

}  // namespace rex
