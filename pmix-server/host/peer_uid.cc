#include "pmix-server/host/peer_uid.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "launcher/base/fd.h"

namespace rex::pmix {

namespace {

// Both ends of a connection as the peer sees it: its own first.
struct Ends {
  sockaddr_storage own{};
  sockaddr_storage other{};
};

std::optional<Ends> EndsOfPeer(int fd) {
  Ends ends;
  socklen_t bytes = sizeof ends.own;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&ends.own), &bytes) != 0) return std::nullopt;
  bytes = sizeof ends.other;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&ends.other), &bytes) != 0) return std::nullopt;
  const auto family = ends.own.ss_family;
  if (family != ends.other.ss_family || (family != AF_INET && family != AF_INET6)) {
    return std::nullopt;
  }
  return ends;
}

// The address as it is on the wire, and the port.
std::string AddressBytes(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    return {reinterpret_cast<const char*>(&in.sin_addr), sizeof in.sin_addr};
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
  return {reinterpret_cast<const char*>(&in6.sin6_addr), sizeof in6.sin6_addr};
}
in_port_t PortOf(const sockaddr_storage& address) {  // network order
  return address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                      : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
}

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 request;
};

Question QuestionFor(const Ends& ends) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  inet_diag_req_v2& ask = question.request;
  ask.sdiag_family = static_cast<__u8>(ends.own.ss_family);
  ask.sdiag_protocol = IPPROTO_TCP;
  ask.idiag_states = ~0U;
  ask.id.idiag_sport = PortOf(ends.own);
  ask.id.idiag_dport = PortOf(ends.other);
  const std::string own = AddressBytes(ends.own);
  const std::string other = AddressBytes(ends.other);
  std::memcpy(ask.id.idiag_src, own.data(), own.size());
  std::memcpy(ask.id.idiag_dst, other.data(), other.size());
  ask.id.idiag_cookie[0] = ask.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return question;
}

// A socket that its process has closed has no inode, and its owner is no longer told: root's.
bool IsOpen(uint32_t inode) { return inode != 0; }

enum class Answer : uint8_t { kUnavailable, kClosed, kOwner };

Answer AskKernel(const Ends& ends, uid_t* uid) {
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return Answer::kUnavailable;
  const timeval bound{1, 0};
  ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
  const Question question = QuestionFor(ends);
  if (::send(netlink.get(), &question, sizeof question, 0) != sizeof question) {
    return Answer::kUnavailable;
  }
  alignas(nlmsghdr) std::array<char, 4096> buffer{};
  const ssize_t n = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (n < 0 || !NLMSG_OK(header, static_cast<size_t>(n))) return Answer::kUnavailable;
  if (header->nlmsg_type == NLMSG_ERROR) {
    const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
    return error->error == -ENOENT ? Answer::kClosed : Answer::kUnavailable;
  }
  if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
      header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) {
    return Answer::kUnavailable;
  }
  const auto* found = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
  *uid = found->idiag_uid;
  return IsOpen(found->idiag_inode) ? Answer::kOwner : Answer::kClosed;
}

// "0100007F:1F90": words of four bytes in the machine's order, the port in ours.
std::string TableText(const sockaddr_storage& address) {
  const std::string bytes = AddressBytes(address);
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint32_t)) {
    uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    std::array<char, 9> hex{};
    std::snprintf(hex.data(), hex.size(), "%08X", word);
    text += hex.data();
  }
  std::array<char, 6> port{};
  std::snprintf(port.data(), port.size(), ":%04X", ntohs(PortOf(address)));
  return text + port.data();
}

}  // namespace

std::optional<uid_t> UidInTcpTable(std::string_view table, const std::string& local,
                                   const std::string& remote) {
  std::istringstream lines{std::string(table)};
  for (std::string line; std::getline(lines, line);) {
    // proc_net(5): number, local, remote, state, queues, timer, retransmits, uid, timeout, inode
    std::istringstream words(line);
    std::string number, own, other, state, queues, timer, retransmits;
    uid_t uid = 0;
    uint64_t timeout = 0;
    uint32_t inode = 0;
    words >> number >> own >> other >> state >> queues >> timer >> retransmits;
    words >> uid >> timeout >> inode;
    if (words && own == local && other == remote && IsOpen(inode)) return uid;
  }
  return std::nullopt;
}

std::optional<uid_t> UidOfTcpPeer(int fd) {
  const auto ends = EndsOfPeer(fd);
  if (!ends) return std::nullopt;
  uid_t uid = 0;
  const Answer answer = AskKernel(*ends, &uid);
  if (answer == Answer::kOwner) return uid;
  if (answer == Answer::kClosed) return std::nullopt;
  const auto table =
      ReadFile(ends->own.ss_family == AF_INET ? "/proc/self/net/tcp" : "/proc/self/net/tcp6");
  if (!table) return std::nullopt;
  return UidInTcpTable(*table, TableText(ends->own), TableText(ends->other));
}

}  // namespace rex::pmix
