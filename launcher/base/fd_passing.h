// One descriptor with bytes of a unix stream socket (SCM_RIGHTS, unix(7)).
#pragma once

#include <sys/uio.h>

#include "launcher/base/fd.h"

namespace rex {

// As sendmsg(2), with MSG_NOSIGNAL: the bytes that went, and with the first of them `fd`, which
// stays the caller's.
ssize_t SendBytesAndFd(int socket, iovec bytes, int fd);
// As recvmsg(2). `fd`, close-on-exec, when one came with these bytes; what else did is closed.
ssize_t ReceiveBytesAndFd(int socket, iovec bytes, UniqueFd* fd);

}  // namespace rex
