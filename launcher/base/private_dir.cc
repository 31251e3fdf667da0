#include "launcher/base/private_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>

namespace rex {

namespace {
constexpr std::string_view kPrefix = "rex-";
constexpr size_t kRandomDigits = 16;
constexpr int kCreateTries = 8;
constexpr time_t kBeingMadeSeconds = 60;

constexpr std::string_view kLock = "lock";

struct DirClose {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// The lock last: who is killed in the middle leaves a directory that is seen to be a dead one's.
void RemoveLocked(const std::string& path) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    if (entry.path().filename() != kLock) RemoveTree(entry.path());
  }
  RemoveTree(path);
}
}  // namespace

std::string TempParent() {
  const char* wanted = std::getenv("TMPDIR");
  return wanted != nullptr && wanted[0] == '/' ? wanted : "/tmp";
}

std::string RandomHex(size_t count) {
  std::string bytes((count + 1) / 2, '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::getrandom(bytes.data() + have, bytes.size() - have, 0);
    REX_CHECK(n > 0 || errno == EINTR);
    if (n > 0) have += static_cast<size_t>(n);
  }
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  hex.resize(count);
  return hex;
}

Result<PrivateDir> PrivateDir::Create(const std::string& parent) {
  for (int i = 0; i < kCreateTries; ++i) {
    const std::string path = parent + "/" + std::string(kPrefix) + RandomHex(kRandomDigits);
    if (::mkdir(path.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return Error::FromErrno(errno, "make a directory in '" + parent + "'");
    }
    const std::string lock_path = path + "/" + std::string(kLock);
    UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
      // Before we had the lock, another keeper may have taken this for a dead one's directory.
      if (::access(lock_path.c_str(), F_OK) == 0) return PrivateDir(path, std::move(lock));
      continue;
    }
    const int err = errno;
    RemoveTree(path);
    if (err == EWOULDBLOCK || err == ENOENT) continue;  // likewise
    return Error::FromErrno(err, "lock '" + path + "'");
  }
  return Error{Errc::kInternal, "no free name for a directory in '" + parent + "'"};
}

void PrivateDir::Remove() {
  if (path_.empty()) return;
  RemoveLocked(path_);
  path_.clear();
  lock_.Reset();
}

void RemoveTree(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::vector<std::string> RemoveStaleDirs(const std::string& parent) {
  std::vector<std::string> removed;
  const std::unique_ptr<DIR, DirClose> dir(::opendir(parent.c_str()));
  if (!dir) return removed;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + kRandomDigits) continue;
    const std::string path = parent + "/" + entry->d_name;
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != ::geteuid())
      continue;
    const UniqueFd lock(
        ::open((path + "/" + std::string(kLock)).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    const bool free = lock ? ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0
                           : ::time(nullptr) - st.st_mtime > kBeingMadeSeconds;
    if (!free) continue;
    RemoveLocked(path);
    removed.push_back(path);
  }
  return removed;
}

}  // namespace rex
