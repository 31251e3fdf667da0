#include "launcher/staging/cast_burst.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace rex {

namespace {
constexpr size_t kDatagramBytes = kDatagramHeaderBytes + kFragmentBytes;
constexpr size_t kMostIpBytes = 65'507;
// The last of a whole piece is filled up: so that the stream is of one size, and goes in large
// bursts.
constexpr std::array<char, 5> kFill{};
static_assert(CastBurst::kMost * kDatagramBytes <= kMostIpBytes && CastBurst::kMost <= 64);

bool IsForLater(int err) { return err == EAGAIN || err == ENOBUFS || err == EINTR; }
}  // namespace

size_t CastBurst::BytesOf(size_t datagrams) const {
  size_t bytes = 0;
  for (size_t i = 0; i < kParts * datagrams; ++i) bytes += vectors_[i].iov_len;
  return bytes;
}

void CastBurst::Add(const TransferId& id, const Datagram& datagram) {
  EncodeDatagramHeader(id, datagram, headers_[count_].data());
  const size_t lacks = kFragmentBytes - datagram.bytes.size();
  const size_t fill = lacks <= kFill.size() ? lacks : 0;
  iovec* parts = &vectors_[kParts * count_];
  parts[0] = {headers_[count_].data(), kDatagramHeaderBytes};
  parts[1] = {const_cast<char*>(datagram.bytes.data()), datagram.bytes.size()};
  parts[2] = {const_cast<char*>(kFill.data()), fill};
  ++count_;
  short_ = fill < lacks;
}

CastBurst::Sent CastBurst::Send(const UniqueFd& socket) {
  Sent sent = can_cut_ && count_ > 1 ? SendAsOne(socket) : SendEach(socket);
  if (sent.datagrams == 0 && sent.why != 0 && !IsForLater(sent.why)) {
    // The card can't, the path is too narrow for datagrams of this size, or the kernel is too old.
    can_cut_ = false;
    sent = SendEach(socket);
  }
  count_ = 0;
  short_ = false;
  return sent;
}

CastBurst::Sent CastBurst::SendAsOne(const UniqueFd& socket) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
  msghdr message{};
  message.msg_iov = vectors_.data();
  message.msg_iovlen = kParts * count_;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  const uint16_t size = kDatagramBytes;
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
  if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) return {0, errno};
  return {count_, 0};
}

// What can't be sent at all is missing on the nodes, and they will say so.
CastBurst::Sent CastBurst::SendEach(const UniqueFd& socket) {
  std::array<mmsghdr, kMost> messages{};
  for (size_t i = 0; i < count_; ++i) {
    messages[i].msg_hdr.msg_iov = &vectors_[kParts * i];
    messages[i].msg_hdr.msg_iovlen = kParts;
  }
  for (size_t done = 0; done < count_;) {
    const int n = ::sendmmsg(socket.get(), &messages[done], static_cast<unsigned>(count_ - done),
                             MSG_NOSIGNAL);
    if (n < 0 && IsForLater(errno)) return {done, errno};
    done += static_cast<size_t>(std::max(n, 1));
  }
  return {count_, 0};
}

}  // namespace rex
