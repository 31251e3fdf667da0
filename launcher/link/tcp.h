// TCP sockets as links want them, and addresses as texts.
#pragma once

#include <sys/socket.h>

#include <string>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr int kTcpUserTimeoutSeconds = 30;

// A non-blocking TCP socket with room to receive a whole window while its process stands still (the
// window of TCP is agreed at connection time, so this comes before connect and listen).
Result<UniqueFd> MakeTcpSocket(int family);

// No delay, bounded time without an acknowledgement, little in the kernel that is not sent yet.
// For a connected socket. Failures are passed over: the link works without.
void TuneTcp(int fd);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `text` is numeric, IPv4 or IPv6 ("%interface" allowed). Errors: kInvalid.
Result<SocketAddress> ParseAddress(const std::string& text, uint16_t port);
// Numeric, without the port; an IPv4 address in IPv6 clothes as IPv4.
std::string AddressText(const sockaddr* address, socklen_t size);

}  // namespace rex
