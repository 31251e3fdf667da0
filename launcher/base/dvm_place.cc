#include "launcher/base/dvm_place.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>

#include "launcher/base/private_dir.h"

namespace rex {

namespace {

constexpr size_t kMostNameBytes = 64;
constexpr int kLockTries = 500;  // of 10 ms
constexpr int kLockWaitMs = 10;
constexpr int kBacklog = 1024;

struct DirClose {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

std::string ParentOf(const std::string& link) { return link.substr(0, link.rfind('/')); }

// What is wrong with the directory that has the links; nullopt: nothing.
std::optional<Error> WrongRoot(const std::string& root) {
  struct stat info {};
  if (::lstat(root.c_str(), &info) != 0) return Error::FromErrno(errno, "look at '" + root + "'");
  const bool ours = S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
  if (ours && (info.st_mode & 077) == 0) return std::nullopt;
  return Error{Errc::kPermission,
               "'" + root + "' is " +
                   (ours ? "open to others; 'chmod 700' it if only you can have written there"
                         : "not a directory of yours; remove it, or set TMPDIR to another "
                           "directory")};
}

std::string TargetOf(const std::string& link) {
  std::array<char, PATH_MAX> target{};
  const ssize_t n = ::readlink(link.c_str(), target.data(), target.size() - 1);
  return n > 0 ? std::string(target.data(), static_cast<size_t>(n)) : "";
}

// The socket's address through a descriptor of its directory: a path may be longer than
// sockaddr_un takes.
struct SocketAddress {
  UniqueFd dir;
  sockaddr_un address{};
};
Result<SocketAddress> AddressIn(const std::string& dir) {
  SocketAddress out;
  out.dir.Reset(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.dir) return Error::FromErrno(errno, "open '" + dir + "'");
  out.address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(out.dir.get()) + "/" + kDvmSocketName;
  REX_CHECK(path.size() < sizeof out.address.sun_path);
  std::memcpy(out.address.sun_path, path.c_str(), path.size() + 1);
  return out;
}

// The root's lock, held. Its path may have been removed, and made anew, while we waited.
Result<UniqueFd> LockRoot(const std::string& root) {
  for (int i = 0; i < kLockTries; ++i) {
    if (::mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) {
      return Error::FromErrno(errno, "make the directory '" + root + "'");
    }
    if (auto wrong = WrongRoot(root)) {
      if (wrong->code == Errc::kNotFound) continue;
      return *std::move(wrong);
    }
    UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      struct stat held {};
      struct stat there {};
      const bool same = ::fstat(fd.get(), &held) == 0 && ::lstat(root.c_str(), &there) == 0 &&
                        held.st_ino == there.st_ino && held.st_dev == there.st_dev;
      if (same) return fd;
      continue;
    }
    ::poll(nullptr, 0, kLockWaitMs);
  }
  return Error{Errc::kTimeout, "'" + root + "' is locked by another rexctl that does not go on"};
}

}  // namespace

bool IsDvmName(std::string_view name) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= kMostNameBytes && name[0] != '.' && name[0] != '-' &&
         name.find_first_not_of(kLetters) == name.npos && name != "none";
}

std::string DvmRoot() { return TempParent() + "/rex-dvm-" + std::to_string(::geteuid()); }

std::string DvmLink(std::string_view name) { return DvmRoot() + "/" + std::string(name); }

std::vector<std::string> DvmNames(const std::string& root) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, DirClose> dir(::opendir(root.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    if (IsDvmName(entry->d_name)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> DvmDirectory(const std::string& link) {
  std::string dir = TargetOf(link);
  if (dir.empty()) return Error{Errc::kNotFound, "there is no '" + link + "'"};
  // Whoever can write there could lead us anywhere.
  if (auto wrong = WrongRoot(ParentOf(link))) return *std::move(wrong);
  if (dir[0] != '/') return Error{Errc::kInvalid, "'" + link + "' leads to '" + dir + "'"};
  return dir;
}

Result<UniqueFd> ConnectToDvm(const std::string& dir) {
  auto to = AddressIn(dir);
  if (!to) return to.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::FromErrno(errno, "make a socket");
  // Without waiting: a full backlog is a head that does not accept.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to->address), sizeof to->address) !=
      0) {
    if (errno == ECONNREFUSED) return Error{Errc::kNotFound, "nobody listens in '" + dir + "'"};
    return Error::FromErrno(errno, "connect to '" + dir + "/" + kDvmSocketName + "'");
  }
  const auto peer = PeerOf(fd.get());
  if (!peer) return peer.error();
  if (peer->uid == ::geteuid()) return fd;
  return Error{Errc::kPermission,
               "'" + dir + "' is served by user " + std::to_string(peer->uid) + ", not by us"};
}

Result<UniqueFd> ListenInDvm(const std::string& dir) {
  auto at = AddressIn(dir);
  if (!at) return at.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::FromErrno(errno, "make a socket");
  // Its mode is the umask's: nobody else could connect even in an open directory.
  const mode_t before = ::umask(077);
  const int bound =
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at->address), sizeof at->address);
  const int err = errno;
  ::umask(before);
  if (bound != 0) return Error::FromErrno(err, "make a socket in '" + dir + "'");
  if (::listen(fd.get(), kBacklog) != 0) return Error::FromErrno(errno, "listen in '" + dir + "'");
  return fd;
}

Result<ucred> PeerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return Error::FromErrno(errno, "ask who the peer is");
  }
  return peer;
}

Status LinkDvm(const std::string& link, const std::string& dir) {
  const auto lock = LockRoot(ParentOf(link));
  if (!lock) return lock.error();
  const std::string there = TargetOf(link);
  if (!there.empty()) {
    const auto other = ConnectToDvm(there);
    const bool stale = !other && other.error().code == Errc::kNotFound;
    if (!stale) return Error{Errc::kInvalid, "a DVM of that name runs already, in '" + there + "'"};
    ::unlink(link.c_str());
  }
  if (::symlink(dir.c_str(), link.c_str()) == 0) return Ok{};
  return Error::FromErrno(errno, "make the link '" + link + "'");
}

void UnlinkDvm(const std::string& link, const std::string& dir) {
  if (TargetOf(link) != dir) return;
  const auto lock = LockRoot(ParentOf(link));
  if (lock && TargetOf(link) == dir) ::unlink(link.c_str());
  ::rmdir(ParentOf(link).c_str());  // refused while there are others
}

void RemoveStaleDvm(const std::string& link) {
  const std::string dir = TargetOf(link);
  if (dir.empty()) return;
  const auto lock = LockRoot(ParentOf(link));
  if (!lock || TargetOf(link) != dir) return;
  const auto other = ConnectToDvm(dir);
  if (other || other.error().code != Errc::kNotFound) return;
  ::unlink(link.c_str());
  ::rmdir(ParentOf(link).c_str());
}

}  // namespace rex
