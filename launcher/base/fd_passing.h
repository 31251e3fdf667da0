// Descriptors with bytes of a unix socket (SCM_RIGHTS, unix(7)).
#pragma once

#include <sys/uio.h>

#include <span>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr size_t kMostFdsAtOnce = 240;  // of the 253 that the kernel takes, unix(7)

// As sendmsg(2), with MSG_NOSIGNAL and `flags`: the bytes that went, and with the first of them
// `fds`, at most kMostFdsAtOnce, which stay the caller's.
ssize_t SendBytesAndFds(int socket, iovec bytes, std::span<const int> fds, int flags = 0);
// As recvmsg(2). `fd`, close-on-exec, when one came with these bytes; what else did is closed.
ssize_t ReceiveBytesAndFd(int socket, iovec bytes, UniqueFd* fd);

}  // namespace rex
