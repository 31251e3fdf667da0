#include "launcher/base/fd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace rex {

void UniqueFd::Reset(int fd) {
  const int old = std::exchange(fd_, fd);
  if (old >= 0) ::close(old);  // never retried on EINTR: Linux has released the number, close(2)
}

Result<FdPair> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return Error::FromErrno(errno, "make a pipe");
  return FdPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

namespace {
Result<FdPair> MakeUnixPair(int type) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return Error::FromErrno(errno, "make a socket pair");
  }
  return FdPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}
}  // namespace

Result<FdPair> MakeStreamPair() { return MakeUnixPair(SOCK_STREAM); }
Result<FdPair> MakeSeqpacketPair() { return MakeUnixPair(SOCK_SEQPACKET); }

Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Error::FromErrno(errno, "make a descriptor non-blocking");
  }
  return Ok{};
}

Status ClearCloseOnExec(int fd) {
  if (::fcntl(fd, F_SETFD, 0) != 0) return Error::FromErrno(errno, "clear close-on-exec");
  return Ok{};
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error::FromErrno(errno, "open '" + path + "'");
  std::string text;
  std::array<char, 16384> chunk;
  for (;;) {
    const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::FromErrno(errno, "read '" + path + "'");
    if (text.size() + static_cast<size_t>(n) > max_bytes) {
      return Error{Errc::kInvalid, "'" + path + "' is larger than " + std::to_string(max_bytes)};
    }
    text.append(chunk.data(), static_cast<size_t>(n));
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  std::string beside = path + ".XXXXXX";
  UniqueFd fd(::mkostemp(beside.data(), O_CLOEXEC));
  if (!fd) return Error::FromErrno(errno, "create '" + beside + "'");
  Status written = WriteAll(fd.get(), bytes);
  if (written && ::rename(beside.c_str(), path.c_str()) == 0) return Ok{};
  const int err = errno;
  ::unlink(beside.c_str());
  if (!written) return written;
  return Error::FromErrno(err, "rename to '" + path + "'");
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::FromErrno(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Ok{};
}

uint64_t RaiseOpenFileLimit(uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlimit more{std::max<rlim_t>(wanted, limit.rlim_max),
                    std::max<rlim_t>(wanted, limit.rlim_max)};
  if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return more.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace rex
