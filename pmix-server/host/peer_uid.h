// Who is at the other end of a TCP connection over loopback: the kernel knows the owner of every
// socket of the machine. libpmix asks its clients themselves, which proves nothing.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace rex::pmix {

// The user who has the peer's socket open. None: it is closed by now, or nobody can tell (the
// kernel answers neither over netlink, sock_diag(7), nor in /proc/net/tcp).
std::optional<uid_t> UidOfTcpPeer(int fd);

// The owner of the open socket between `local` and `remote` (as /proc/net/tcp writes addresses, in
// upper case) in the text of that file. Pure.
std::optional<uid_t> UidInTcpTable(std::string_view table, const std::string& local,
                                   const std::string& remote);

}  // namespace rex::pmix
