#include "launcher/lease/core_leases.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "launcher/base/private_dir.h"

namespace rex {

namespace {

constexpr char kRemedy[] =
    "; as root: systemd-tmpfiles --create rex.conf, or mkdir -m 1777 /run/lock/rex";

struct Dir {
  UniqueFd fd;
  std::string wrong;  // why it can't be used; without fd
};

std::string WhatIsWrong(const std::string& path, const struct stat& info) {
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return "'" + path + "' belongs to user " + std::to_string(info.st_uid);
  }
  const bool shared = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (shared && (info.st_mode & S_ISVTX) == 0) {
    return "others may remove files from '" + path + "', which has no sticky bit";
  }
  return "";
}

Dir OpenDir(const std::string& path) {
  Dir dir;
  dir.fd.Reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!dir.fd) {
    dir.wrong = errno == ENOENT ? "there is no '" + path + "'"
                                : "'" + path + "' can't be opened: " + std::strerror(errno);
  } else if (::fstat(dir.fd.get(), &info) != 0) {
    dir.wrong = "'" + path + "': " + std::strerror(errno);
  } else {
    dir.wrong = WhatIsWrong(path, info);
  }
  if (!dir.wrong.empty()) dir.fd.Reset();
  return dir;
}

std::string FileName(uint32_t core) { return "core-" + std::to_string(core); }

// What a lack of ours looks like. Anything else that keeps a lock file from being opened is
// somebody's doing.
bool IsOurLack(int err) {
  switch (err) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case ENOLCK:
    case EINVAL:
      return true;
    default:
      return false;
  }
}

struct flock WriteLock(short type) {
  struct flock lock {};  // the whole file
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

CoreLeases::CoreLeases(const std::string& where) : off_(where == kNoLeases) {
  if (off_) return;
  if (where.empty()) {
    UseMachineDir();
    return;
  }
  Dir dir = OpenDir(where);
  dir_ = std::move(dir.fd);
  if (dir_) return;
  trouble_ = "cores are not leased: " + dir.wrong + " (--leases, REX_LEASES)";
  trouble_is_new_ = true;
}

void CoreLeases::UseMachineDir() {
  Dir dir = OpenDir(kLeaseDir);
  dir_ = std::move(dir.fd);
  if (dir_) return;
  UseUserDir();
  const std::string whose = dir_ ? "cores are leased among this user's jobs only: " : "";
  trouble_ = (dir_ ? whose : "cores are not leased: " + trouble_ + ", and ") + dir.wrong + kRemedy;
}

// Making it is what nobody was told of before.
void CoreLeases::UseUserDir() {
  const std::string parent = ::access(kShmParent, W_OK | X_OK) == 0 ? kShmParent : "/tmp";
  const std::string path = parent + "/rexleases-" + std::to_string(::geteuid());
  trouble_is_new_ = ::mkdir(path.c_str(), 0700) == 0;
  Dir dir = OpenDir(path);
  dir_ = std::move(dir.fd);
  trouble_ = std::move(dir.wrong);
}

UniqueFd CoreLeases::OpenFile(uint32_t core) const {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  constexpr mode_t kEverybody = 0666;  // a write lock takes an open file that may be written
  const std::string name = FileName(core);
  UniqueFd fd(::openat(dir_.get(), name.c_str(), kFlags));
  if (!fd && errno == ENOENT) {
    fd.Reset(::openat(dir_.get(), name.c_str(), kFlags | O_CREAT | O_EXCL, kEverybody));
    if (fd) {
      ::fchmod(fd.get(), kEverybody);  // whatever the umask
    } else if (errno == EEXIST) {
      fd.Reset(::openat(dir_.get(), name.c_str(), kFlags));
    } else if (errno == EACCES || errno == EPERM) {
      errno = EROFS;  // a directory in which we may not make files is nobody's claim to a core
    }
  }
  struct stat info {};
  if (fd && (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))) {
    fd.Reset();
    errno = EEXIST;
  }
  return fd;
}

bool CoreLeases::HeldByOthers(uint32_t core) const {
  if (!dir_ || held_.contains(core)) return false;
  const UniqueFd fd = OpenFile(core);
  if (!fd) return !IsOurLack(errno);
  struct flock lock = WriteLock(F_WRLCK);
  return ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool CoreLeases::Take(uint32_t core) {
  if (!dir_ || held_.contains(core)) return true;
  UniqueFd fd = OpenFile(core);
  if (!fd) return IsOurLack(errno);
  struct flock lock = WriteLock(F_WRLCK);
  if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) return IsOurLack(errno);
  held_.emplace(core, std::move(fd));
  return true;
}

void CoreLeases::GiveBack(uint32_t core) {
  const auto held = held_.find(core);
  if (held == held_.end()) return;
  struct flock lock = WriteLock(F_UNLCK);
  ::fcntl(held->second.get(), F_OFD_SETLK, &lock);
  held_.erase(held);
}

void CoreLeases::GiveBackAll() {
  while (!held_.empty()) GiveBack(held_.begin()->first);
}

std::vector<uint32_t> CoreLeases::cores() const {
  std::vector<uint32_t> cores;
  for (const auto& [core, fd] : held_) cores.push_back(core);
  return cores;
}

std::vector<int> CoreLeases::fds() const {
  std::vector<int> fds;
  for (const auto& [core, fd] : held_) fds.push_back(fd.get());
  return fds;
}

}  // namespace rex
