#include "launcher/tree/way_back.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>

#include "launcher/link/tcp.h"

namespace rex {

namespace {

using Ask = int (*)(int, sockaddr*, socklen_t*);

std::string AddressOf(Ask ask, int socket) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (ask(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return "?";
  return AddressText(address.get(), address.size);
}

std::string InterfaceOf(const std::string& wanted) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return "?";
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    const sockaddr* address = entry->ifa_addr;
    if (address == nullptr) continue;
    const int family = address->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (AddressText(address, size) == wanted) return entry->ifa_name;
  }
  return "?";
}

}  // namespace

std::string PeerAddress(int socket) { return AddressOf(::getpeername, socket); }

std::string DescribeWay(int socket) {
  const std::string own = AddressOf(::getsockname, socket);
  return InterfaceOf(own) + " " + own + " to " + PeerAddress(socket);
}

}  // namespace rex
