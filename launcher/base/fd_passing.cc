#include "launcher/base/fd_passing.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

#include "launcher/base/check.h"

namespace rex {

ssize_t SendBytesAndFds(int socket, iovec bytes, std::span<const int> fds, int flags) {
  REX_CHECK(fds.size() <= kMostFdsAtOnce);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFdsAtOnce * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | flags);
}

ssize_t ReceiveBytesAndFd(int socket, iovec bytes, UniqueFd* fd) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_LEN(sizeof(int));  // CMSG_SPACE has room for a second one
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* rights = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (rights == nullptr || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(sizeof(int))) {
    return n;
  }
  int received = -1;
  std::memcpy(&received, CMSG_DATA(rights), sizeof received);
  fd->Reset(received);
  return n;
}

}  // namespace rex
