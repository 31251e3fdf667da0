#include "pmix-server/host/closed_peers.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>

namespace rex::pmix {

namespace {
bool IsClosedByPeer(int fd) {
  tcp_info info{};
  socklen_t bytes = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0 &&
         info.tcpi_state == TCP_CLOSE_WAIT;
}
}  // namespace

bool AnyClosedByPeer() {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc/self/fd"), &::closedir);
  if (all == nullptr) return false;
  while (const dirent* entry = ::readdir(all.get())) {
    if (IsClosedByPeer(std::atoi(entry->d_name))) return true;  // "." and "..": 0, no socket
  }
  return false;
}

}  // namespace rex::pmix
