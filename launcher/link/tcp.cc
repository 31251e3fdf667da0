#include "launcher/link/tcp.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>

#include "launcher/link/link.h"

namespace rex {

namespace {
constexpr int kNotSentBytes =
    32 << 10;  // about a frame: what comes behind it may still be overtaken
// The kernel counts its own overhead too, and doubles this; control and acknowledgements come on
// top.
constexpr int kReceiveBytes = 2 * static_cast<int>(kLinkWindowBytes);

void SetOption(int fd, int level, int name, int value) {
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}
}  // namespace

Result<UniqueFd> MakeTcpSocket(int family) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int err = errno;
  if (!fd) return Error::FromErrno(err, "make a TCP socket");
  SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceiveBytes);
  return fd;
}

void TuneTcp(int fd) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kTcpUserTimeoutSeconds * 1000);
  SetOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kNotSentBytes);
}

Result<SocketAddress> ParseAddress(const std::string& text, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) return Error{Errc::kInvalid, "not a numeric address"};
  SocketAddress address;
  address.size = found->ai_addrlen;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address.storage));
  ::freeaddrinfo(found);
  return address;
}

std::string AddressText(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "an unknown address";
  }
  const std::string_view mapped = "::ffff:";
  const std::string_view all(text.data());
  const bool is_mapped = all.starts_with(mapped) && all.find('.') != all.npos;
  return std::string(is_mapped ? all.substr(mapped.size()) : all);
}

}  // namespace rex
