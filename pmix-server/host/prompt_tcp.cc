// Takes the kernel's waiting out of ranks' TCP connections to libpmix. Linked into rexd-pmix, whose
// `read` and `accept` these become.
//
// libpmix's clients write several small messages in a row and do not set TCP_NODELAY: Nagle's
// algorithm keeps the later ones back until the first is acknowledged, and the kernel delays that
// by 40 ms because it hopes for data to send along. Every MPI_Finalize paid those 40 ms (measured
// with strace, Open MPI 4.1.4 and libpmix 4.2.2). The clients are the ranks' libpmix and not ours
// to change; TCP_QUICKACK on our side of the connection ends the delay. It does not last (tcp(7)),
// so it is set again after each read; on what is no TCP socket the call fails and changes nothing.
//
// The other way round libpmix's own small answers would wait for the ranks' acknowledgements, so
// every accepted connection gets TCP_NODELAY, which lasts.
//
// How: the executable defines the two wrappers, and libpmix's calls find them first by the rules of
// symbol lookup. libpmix 4.2.2 reads its clients' sockets with read only, and takes them by accept.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

// libpmix reads a message's header by itself, and that acknowledges what has arrived: once a
// message is enough, but for those whose end comes later.
constexpr ssize_t kHeaderBytes = 16;
constexpr ssize_t kLong = 4096;

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
  const long accepted = ::syscall(SYS_accept, fd, address, bytes);
  if (accepted >= 0) {
    const int on = 1;
    ::setsockopt(static_cast<int>(accepted), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return static_cast<int>(accepted);
}
