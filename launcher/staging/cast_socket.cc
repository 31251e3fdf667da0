#include "launcher/staging/cast_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace rex {

namespace {
constexpr int kReceiveBytes = 4 << 20;
// What waits in this machine's own queue: little, so that a full queue holds the sender back
// instead of losing datagrams, and control messages beside them are not late.
constexpr int kSendBytes = 96 << 10;
constexpr int kHops = 4;

sockaddr_in GroupAddress(const ImageCast& cast) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(cast.port);
  address.sin_addr.s_addr = htonl(cast.group);
  return address;
}

bool Join(int fd, const ImageCast& cast, const CastInterface& on) {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(cast.group);
  request.imr_address.s_addr = htonl(on.address);
  request.imr_ifindex = on.index;
  return ::setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0;
}

Result<UniqueFd> MakeUdpSocket() {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::FromErrno(errno, "make a UDP socket");
  return fd;
}
}  // namespace

std::vector<CastInterface> CastInterfaces(bool loopback) {
  std::vector<CastInterface> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
    if ((i->ifa_flags & IFF_UP) == 0) continue;
    const bool is_loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
    if (is_loopback != loopback) continue;
    if (!is_loopback && (i->ifa_flags & IFF_MULTICAST) == 0) continue;
    const auto* address = reinterpret_cast<const sockaddr_in*>(i->ifa_addr);
    found.push_back(
        {static_cast<int>(::if_nametoindex(i->ifa_name)), ntohl(address->sin_addr.s_addr)});
  }
  ::freeifaddrs(all);
  return found;
}

Result<UniqueFd> OpenCastReceiver(const ImageCast& cast,
                                  const std::vector<CastInterface>& interfaces) {
  auto fd = MakeUdpSocket();
  if (!fd) return fd;
  const int on = 1;
  const int none = 0;
  (void)::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)::setsockopt(fd->get(), IPPROTO_IP, IP_MULTICAST_ALL, &none, sizeof none);
  if (::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBytes, sizeof kReceiveBytes) !=
      0) {
    (void)::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBytes, sizeof kReceiveBytes);
  }
  const sockaddr_in address = GroupAddress(cast);
  if (::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error::FromErrno(errno, "bind to a multicast group");
  }
  size_t joined = 0;
  for (const CastInterface& interface : interfaces) {
    joined += Join(fd->get(), cast, interface) ? 1 : 0;
  }
  if (joined == 0) return Error{Errc::kNotFound, "no interface carries multicast"};
  return fd;
}

Result<UniqueFd> OpenCastSender(const ImageCast& cast, const CastInterface& through) {
  auto fd = MakeUdpSocket();
  if (!fd) return fd;
  ip_mreqn request{};
  request.imr_address.s_addr = htonl(through.address);
  request.imr_ifindex = through.index;
  (void)::setsockopt(fd->get(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
  (void)::setsockopt(fd->get(), IPPROTO_IP, IP_MULTICAST_TTL, &kHops, sizeof kHops);
  (void)::setsockopt(fd->get(), SOL_SOCKET, SO_SNDBUF, &kSendBytes, sizeof kSendBytes);
  const sockaddr_in address = GroupAddress(cast);
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error::FromErrno(errno, "reach a multicast group");
  }
  return fd;
}

}  // namespace rex
