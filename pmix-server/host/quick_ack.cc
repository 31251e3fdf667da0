// Acknowledges ranks' messages at once. Linked into rexd-pmix, whose `read` this becomes.
//
// libpmix's clients write several small messages in a row and do not set TCP_NODELAY: Nagle's
// algorithm keeps the later ones back until the first is acknowledged, and the kernel delays that
// by 40 ms because it hopes for data to send along. Every MPI_Finalize paid those 40 ms (measured
// with strace, Open MPI 4.1.4 and libpmix 4.2.2). The clients are the ranks' libpmix and not ours to
// change; TCP_QUICKACK on our side of the connection ends the delay. It does not last (tcp(7)), so
// it is set again after each read; on what is no TCP socket the call fails and changes nothing.
//
// How: the executable defines read(2)'s wrapper, and libpmix's calls find it first by the rules of
// symbol lookup. Only read: libpmix 4.2.2 uses nothing else on its clients' sockets.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

extern "C" __attribute__((visibility("default"))) ssize_t read(int fd, void* buffer, size_t bytes) {
  const long n = ::syscall(SYS_read, fd, buffer, bytes);
  if (n > 0) {
    const int saved = errno;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    errno = saved;
  }
  return n;
}
