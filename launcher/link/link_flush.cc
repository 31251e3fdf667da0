// The blocking part of a link: its last words before an exit.
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "launcher/link/link_core.h"

namespace rex {

void LinkCore::Flush(std::chrono::milliseconds bound) {
  const auto self = shared_from_this();
  const auto deadline = loop_.clock().Now() + bound;
  flushing_ = true;
  while (up() && !ending_) {
    Pump();
    if (NothingToWrite() && PeerKernelHasAll()) break;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - loop_.clock().Now());
    if (left.count() <= 0) break;
    WaitForRoomOrNews(left);
  }
  flushing_ = false;
  if (!closed() && (!held_.empty() || !held_control_.empty())) SettleSoon();
}

// Of TCP: closing a socket with unread bytes resets the connection, and what the peer has not got
// by then is lost. A local stream or a pipe has got there when it is written.
bool LinkCore::PeerKernelHasAll() const {
  int unacknowledged = 0;
  if (ending_ || writing_ != tcp_.get()) return true;
  return ::ioctl(tcp_->stream.out(), SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0;
}

void LinkCore::WaitForRoomOrNews(std::chrono::milliseconds most) {
  constexpr std::chrono::milliseconds kAcknowledgementPause{2};  // nothing wakes us for those
  const bool wrote_all = writing_->stream.wrote_all();
  if (NothingToWrite()) most = std::min(most, kAcknowledgementPause);
  pollfd waits[] = {
      {reading_ != nullptr ? reading_->stream.in() : -1, POLLIN, 0},
      {wrote_all ? -1 : writing_->stream.out(), POLLOUT, 0},
  };
  if (::poll(waits, 2, static_cast<int>(most.count())) > 0 && waits[0].revents != 0) {
    ReadTurn(*reading_);
  }
}

}  // namespace rex
