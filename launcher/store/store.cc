#include "launcher/store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "launcher/base/log.h"
#include "launcher/base/private_dir.h"

namespace rex {

namespace {
constexpr mode_t kObjectMode = 0500;
constexpr uint64_t kLeastMemoryBytes = 64 << 20;  // smaller ones are no place for programs
constexpr size_t kMostIndexBytes = 64 << 20;
constexpr std::string_view kIndexSuffix = ".index";

// Why programs can't be kept below `parent`; empty: they can.
std::string WhyNot(const std::string& parent, bool memory) {
  struct statvfs fs {};
  if (::statvfs(parent.c_str(), &fs) != 0) return std::strerror(errno);
  if ((fs.f_flag & ST_NOEXEC) != 0) return "it is mounted noexec";
  if ((fs.f_flag & ST_RDONLY) != 0) return "it is mounted read-only";
  if (memory && uint64_t{fs.f_blocks} * fs.f_frsize < kLeastMemoryBytes) return "it is too small";
  return ::access(parent.c_str(), W_OK | X_OK) == 0 ? "" : std::strerror(errno);
}

// Ours alone, and no link. Made when it is not there.
Status ClaimDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error::FromErrno(errno, "make '" + path + "'");
  }
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return Error::FromErrno(errno, "look at '" + path + "'");
  if (!S_ISDIR(st.st_mode)) return Error{Errc::kPermission, "'" + path + "' is no directory"};
  if (st.st_uid != ::geteuid() || (st.st_mode & 077) != 0) {
    return Error{Errc::kPermission, "'" + path + "' belongs to, or is open to, somebody else"};
  }
  return Ok{};
}

std::vector<std::string> ParentsFor(const StoreOptions& options) {
  if (options.kind == StoreKind::kDirectory) return {options.directory};
  std::vector<std::string> parents;
  if (options.kind == StoreKind::kMemory) parents.emplace_back(kShmParent);
  parents.push_back(TempParent());
  parents.emplace_back("/var/tmp");
  return parents;
}

template <typename F>
void ForEachName(const std::string& directory, F visit) {
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  for (const std::string& name : names) visit(name);
}

class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory)
      : fd_(::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                   0600)) {
    if (fd_) (void)::flock(fd_.get(), LOCK_EX);
  }

 private:
  UniqueFd fd_;
};

Status CopyTo(int from, const std::string& path) {
  const UniqueFd to(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
  if (!to) return Error::FromErrno(errno, "make '" + path + "'");
  off_t offset = 0;
  while (true) {
    const ssize_t n = ::sendfile(to.get(), from, &offset, size_t{1} << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::FromErrno(errno, "write '" + path + "'");
    if (n == 0) break;
  }
  if (::fchmod(to.get(), kObjectMode) != 0) return Error::FromErrno(errno, "chmod '" + path + "'");
  return Ok{};
}

bool IsThatFile(int fd, const std::string& path) {
  struct stat open {};
  struct stat there {};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

// Of a file that this process may link, at `path`. What lies there meanwhile is replaced at once,
// and not touched when it is that file already: other jobs may run it.
Status LinkOrCopy(int fd, const std::string& object, const std::string& path) {
  if (const Status made = MakeDirsAbove(path); !made) return made;
  if (IsThatFile(fd, path)) return Ok{};
  const std::string beside = path + ".rex-" + RandomHex(8);
  Status made = Ok{};
  if (::link(object.c_str(), beside.c_str()) != 0) {
    const int err = errno;
    const bool copy = err == EXDEV || err == EMLINK || err == EPERM;
    made = copy ? CopyTo(fd, beside) : Status(Error::FromErrno(err, "link '" + path + "'"));
  }
  if (made && ::rename(beside.c_str(), path.c_str()) != 0) {
    made = Error::FromErrno(errno, "link '" + path + "'");
  }
  if (!made) (void)::unlink(beside.c_str());
  return made;
}

bool SameContent(const FileIdentity& a, const FileIdentity& b) {
  // Not the ctime: links of running jobs change it.
  return a.inode == b.inode && a.bytes == b.bytes && a.modified_ns == b.modified_ns;
}

std::string NumbersText(uint64_t bytes, uint64_t cap, const std::string& directory) {
  return "a file of " + SizeText(bytes) + " does not fit into the store '" + directory +
         "', which may hold " + SizeText(cap);
}
}  // namespace

Status MakeDirsAbove(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    const std::string dir = path.substr(0, slash);
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
      const int err = errno;
      if (::access(dir.c_str(), F_OK) != 0) return Error::FromErrno(err, "make '" + dir + "'");
    }
  }
  return Ok{};
}

std::string SizeText(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options, const std::string& suffix) {
  std::string tried;
  for (const std::string& parent : ParentsFor(options)) {
    std::string why = WhyNot(parent, parent == kShmParent);
    const std::string directory = parent + "/rexstore-" + std::to_string(::geteuid()) + suffix;
    if (why.empty()) {
      Status claimed = ClaimDirectory(directory);
      for (const char* part : {"/objects", "/incoming", "/digests"}) {
        if (claimed) claimed = ClaimDirectory(directory + part);
      }
      if (claimed) {
        std::unique_ptr<Store> store(new Store(directory, options.most_bytes));
        store->RemoveAbandoned();
        return store;
      }
      if (claimed.error().code == Errc::kPermission) return claimed.error();
      why = claimed.error().text;
    }
    tried += (tried.empty() ? "" : "; ") + parent + ": " + why;
  }
  return Error{Errc::kResource, "no place for the store of programs (" + tried + ")"};
}

namespace {
uint64_t CapOf(const std::string& directory, uint64_t most_bytes) {
  if (most_bytes > 0) return most_bytes;
  struct statvfs fs {};
  if (::statvfs(directory.c_str(), &fs) != 0) return uint64_t{1} << 30;
  return uint64_t{fs.f_blocks} * fs.f_frsize / 2;
}
}  // namespace

Store::Store(std::string directory, uint64_t most_bytes)
    : directory_(std::move(directory)),
      cap_(CapOf(directory_, most_bytes)),
      digests_(directory_ + "/digests") {}

std::string Store::ObjectPath(const Digest256& digest) const {
  return directory_ + "/objects/" + Hex(digest);
}
std::string Store::IndexPath(const Digest256& digest) const {
  return ObjectPath(digest) + std::string(kIndexSuffix);
}
std::string Store::IncomingPath(const Digest256& digest) const {
  return directory_ + "/incoming/" + Hex(digest);
}

// Nobody holds the lock of what the dead have left.
void Store::RemoveAbandoned() const {
  const std::string incoming = directory_ + "/incoming/";
  ForEachName(incoming, [&](const std::string& name) {
    const UniqueFd fd(::open((incoming + name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) (void)::unlink((incoming + name).c_str());
  });
}

void Store::Drop(const Digest256& digest, const std::string& why) const {
  Log(LogLevel::kWarn, "store object dropped path=" + ObjectPath(digest) + " why=" + why);
  (void)::unlink(ObjectPath(digest).c_str());
  (void)::unlink(IndexPath(digest).c_str());
}

// Whether the open object is what its name says: by its index, else by reading it.
bool Store::Check(const FileDigest& file, int fd) {
  const auto identity = IdentityOf(fd);
  if (!identity) return false;
  if (const auto bytes = ReadFile(IndexPath(file.whole), kMostIndexBytes)) {
    const auto index = DecodeEntry(*bytes);
    if (index && SameContent(index->identity, *identity) && index->digest.whole == file.whole) {
      return true;
    }
  }
  const auto read = DigestOf(fd, ObjectPath(file.whole));
  if (!read || read->digest.whole != file.whole) {
    Drop(file.whole, read ? "its content is damaged" : read.error().text);
    return false;
  }
  (void)WriteFileAtomically(IndexPath(file.whole), EncodeEntry(*read));
  return true;
}

bool Store::Has(const FileDigest& file) {
  const UniqueFd fd(::open(ObjectPath(file.whole).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd && Check(file, fd.get());
}

Result<bool> Store::Take(const FileDigest& file, const std::string& path) {
  const std::string object = ObjectPath(file.whole);
  const UniqueFd fd(::open(object.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || !Check(file, fd.get())) return false;
  const Status linked = LinkOrCopy(fd.get(), object, path);
  if (!linked) {
    if (linked.error().sys_errno == ENOENT) return false;  // it went just now
    return linked.error();
  }
  (void)::utimensat(AT_FDCWD, IndexPath(file.whole).c_str(), nullptr, 0);  // used now
  return true;
}

uint64_t Store::used() const {
  uint64_t sum = 0;
  for (const char* part : {"/objects/", "/incoming/"}) {
    ForEachName(directory_ + part, [&](const std::string& name) {
      struct stat st {};
      if (name.ends_with(kIndexSuffix)) return;
      if (::lstat((directory_ + part + name).c_str(), &st) == 0) {
        sum += static_cast<uint64_t>(st.st_size);
      }
    });
  }
  return sum;
}

// Thousands of small files must not mean thousands of looks at all that is there.
bool Store::IsSurelyRoom(uint64_t bytes) {
  constexpr std::chrono::seconds kFresh{1};
  if (std::chrono::steady_clock::now() - used_at_ > kFresh || used_ + bytes > cap_ / 2)
    return false;
  used_ += bytes;
  return true;
}

// Under the directory's lock. Removes what was used longest ago and no job uses: a job has a link
// of its own.
Status Store::MakeRoom(uint64_t bytes) {
  if (bytes > cap_) return Error{Errc::kResource, NumbersText(bytes, cap_, directory_)};
  if (IsSurelyRoom(bytes)) return Ok{};
  uint64_t sum = used();
  used_ = sum + bytes;
  used_at_ = std::chrono::steady_clock::now();
  if (sum + bytes <= cap_) return Ok{};
  struct Candidate {
    std::timespec used;
    std::string path;
    uint64_t bytes;
  };
  std::vector<Candidate> candidates;
  const std::string objects = directory_ + "/objects/";
  ForEachName(objects, [&](const std::string& name) {
    struct stat st {};
    if (name.ends_with(kIndexSuffix) || ::lstat((objects + name).c_str(), &st) != 0) return;
    if (st.st_nlink > 1) return;
    struct stat index {};
    const bool known = ::lstat((objects + name + std::string(kIndexSuffix)).c_str(), &index) == 0;
    candidates.push_back(
        {known ? index.st_mtim : st.st_mtim, objects + name, static_cast<uint64_t>(st.st_size)});
  });
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Candidate& candidate : candidates) {
    if (sum + bytes <= cap_) break;
    (void)::unlink(candidate.path.c_str());
    (void)::unlink((candidate.path + std::string(kIndexSuffix)).c_str());
    sum -= candidate.bytes;
  }
  if (sum + bytes <= cap_) return Ok{};
  return Error{Errc::kResource, NumbersText(bytes, cap_, directory_) + "; running jobs use " +
                                    SizeText(sum) + " of it"};
}

Result<std::unique_ptr<Incoming>> Store::Begin(const FileDigest& file) {
  const std::string path = IncomingPath(file.whole);
  UniqueFd fd;
  while (true) {
    fd.Reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return Error::FromErrno(errno, "make '" + path + "'");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::unique_ptr<Incoming>();
    struct stat st {};
    if (::fstat(fd.get(), &st) == 0 && st.st_nlink == 1) break;  // else it was just published
  }
  std::unique_ptr<Incoming> incoming(new Incoming(*this, file, std::move(fd), path));
  {
    // The file's size is what others count.
    const DirectoryLock lock(directory_);
    if (const Status room = MakeRoom(file.bytes); !room) return room.error();
    const auto size = static_cast<off_t>(file.bytes);
    if (::ftruncate(incoming->fd_.get(), 0) != 0 || ::ftruncate(incoming->fd_.get(), size) != 0) {
      return Error::FromErrno(errno, "make '" + path + "' " + SizeText(file.bytes) + " large");
    }
  }
  const int err = file.bytes == 0
                      ? 0
                      : ::posix_fallocate(incoming->fd_.get(), 0, static_cast<off_t>(file.bytes));
  if (err != 0) {
    return Error::FromErrno(err, "reserve " + SizeText(file.bytes) + " in '" + directory_ + "'");
  }
  return incoming;
}

void Store::ReadBlocks() {
  blocks_.emplace();
  const std::string objects = directory_ + "/objects/";
  ForEachName(objects, [&](const std::string& name) {
    if (!name.ends_with(kIndexSuffix)) return;
    const auto bytes = ReadFile(objects + name, kMostIndexBytes);
    const auto index = bytes ? DecodeEntry(*bytes) : std::nullopt;
    if (!index) return;
    for (size_t i = 0; i < index->digest.blocks.size(); ++i) {
      const uint64_t offset = i * kBlockBytes;
      blocks_->try_emplace(index->digest.blocks[i],
                           BlockPlace{index->digest.whole, offset,
                                      std::min(kBlockBytes, index->digest.bytes - offset)});
    }
  });
}

std::optional<std::string> Store::FindBlock(const Digest256& digest) {
  if (!blocks_) ReadBlocks();
  const auto found = blocks_->find(digest);
  if (found == blocks_->end()) return std::nullopt;
  const BlockPlace& place = found->second;
  const UniqueFd fd(::open(ObjectPath(place.object).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string content(place.bytes, '\0');
  if (!fd || !ReadRange(fd.get(), place.offset, content.data(), content.size()))
    return std::nullopt;
  if (BlockDigest(content) != digest) return std::nullopt;
  return content;
}

Incoming::~Incoming() {
  if (!published_) (void)::unlink(path_.c_str());
}

Status Incoming::Write(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::FromErrno(errno, "write to the store '" + store_.directory_ + "'");
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return Ok{};
}

// The job's link comes first: an object with one link only may be removed for another's sake.
Status Incoming::Publish(const std::string& path) {
  if (::fchmod(fd_.get(), kObjectMode) != 0)
    return Error::FromErrno(errno, "chmod '" + path_ + "'");
  auto identity = IdentityOf(fd_.get());
  if (!identity) return identity.error();
  if (const Status linked = LinkOrCopy(fd_.get(), path_, path); !linked) return linked;
  const Status indexed =
      WriteFileAtomically(store_.IndexPath(file_.whole), EncodeEntry({*identity, file_}));
  if (!indexed) return indexed;
  const std::string object = store_.ObjectPath(file_.whole);
  if (::rename(path_.c_str(), object.c_str()) != 0) {
    return Error::FromErrno(errno, "publish '" + object + "'");
  }
  published_ = true;
  fd_.Reset();
  store_.blocks_.reset();
  return Ok{};
}

}  // namespace rex
