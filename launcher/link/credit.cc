#include "launcher/link/credit.h"

#include "launcher/link/record.h"

namespace rex {

static_assert(kMostFrameBytes <= kLinkWindowBytes / 4, "or a peer may wait for ever");

Status SendCredit::Acknowledged(uint64_t total) {
  if (total > sent_ || total < acknowledged_) {
    return Error{Errc::kProtocol, "an acknowledgement of " + std::to_string(total) +
                                      " bytes after " + std::to_string(acknowledged_) + ", with " +
                                      std::to_string(sent_) + " sent"};
  }
  acknowledged_ = total;
  return Ok{};
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
