// What libpmix's own calls on its clients' sockets lack. Linked into rexd-pmix, whose `accept`,
// `read` and `send` these become: the executable defines the wrappers, and libpmix's calls find
// them first by the rules of symbol lookup. libpmix 4.2.2 reads its clients' sockets with read
// only, takes them by accept, and sends by send until they are known, by writev then.
//
// Who connects: libpmix listens on loopback, where every user of the machine can connect, and
// believes what a client says of its user. A tool needs not even know the name of a job. So only
// our own user's connections are taken; the others, and such whose owner can't be told, are closed.
//
// Waiting: libpmix's clients write several small messages in a row and do not set TCP_NODELAY:
// Nagle's algorithm keeps the later ones back until the first is acknowledged, and the kernel
// delays that by 40 ms because it hopes for data to send along. Every MPI_Finalize paid those 40 ms
// (measured with strace, Open MPI 4.1.4 and libpmix 4.2.2). The clients are the ranks' libpmix and
// not ours to change; TCP_QUICKACK on our side of the connection ends the delay. It does not last
// (tcp(7)), so it is set again after each read; on what is no TCP socket the call fails and changes
// nothing. The other way round libpmix's own small answers would wait for the ranks'
// acknowledgements, so every accepted connection gets TCP_NODELAY, which lasts.
//
// Ends: when a tool dies while it connects, libpmix 4.2.2 takes its unlisted record out of a list,
// which ends the process. What can't be sent to a peer that has gone counts as sent: that it has
// gone shows at the next read.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "launcher/base/log.h"
#include "pmix-server/host/peer_uid.h"

namespace {

// libpmix reads a message's header by itself, and that acknowledges what has arrived: once a
// message is enough, but for those whose end comes later.
constexpr ssize_t kHeaderBytes = 16;
constexpr ssize_t kLong = 4096;

bool IsOurs(int fd) {
  const auto uid = rex::pmix::UidOfTcpPeer(fd);
  if (uid == ::geteuid()) return true;
  if (uid) {
    rex::Log(rex::LogLevel::kWarn, "connection refused: of user " + std::to_string(*uid));
  } else {
    rex::Log(rex::LogLevel::kInfo, "connection refused: closed by now, or its owner can't be told");
  }
  return false;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) ssize_t read(int fd, void* buffer, size_t bytes) {
  const long n = ::syscall(SYS_read, fd, buffer, bytes);
  if (n == kHeaderBytes || n >= kLong) {
    const int saved = errno;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    errno = saved;
  }
  return n;
}

extern "C" __attribute__((visibility("default"))) int accept(int fd, sockaddr* address,
                                                             socklen_t* bytes) {
  const int accepted = static_cast<int>(::syscall(SYS_accept, fd, address, bytes));
  if (accepted < 0) return accepted;
  if (!IsOurs(accepted)) {
    ::close(accepted);
    errno = ECONNABORTED;  // libpmix's listener goes on
    return -1;
  }
  const int on = 1;
  ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return accepted;
}

extern "C" __attribute__((visibility("default"))) ssize_t send(int fd, const void* data,
                                                               size_t bytes, int flags) {
  const long n = ::syscall(SYS_sendto, fd, data, bytes, flags, nullptr, 0);
  const bool gone = n < 0 && (errno == EPIPE || errno == ECONNRESET);
  return gone && (flags & MSG_NOSIGNAL) == 0 ? static_cast<ssize_t>(bytes) : n;
}
