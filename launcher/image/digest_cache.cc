#include "launcher/image/digest_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <vector>

#include "launcher/base/fnv.h"

namespace rex {

namespace {
constexpr std::string_view kMagic = "rexdig2\n";
constexpr size_t kMostEntryBytes = 64 << 20;  // of a file of 512 GB
// A file may change once more within one tick of the clock that its times are from.
constexpr int64_t kGrainNs = 20'000'000;

void Append(std::string* to, uint64_t value) {
  for (int i = 0; i < 8; ++i) to->push_back(static_cast<char>(value >> 8 * i));
}

uint64_t Take(std::string_view* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>((*from)[i])} << 8 * i;
  from->remove_prefix(8);
  return value;
}

bool IsSettled(const FileIdentity& identity) {
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const int64_t ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  return identity.changed_ns < ns - kGrainNs && identity.modified_ns < ns - kGrainNs;
}
}  // namespace

std::string EncodeEntry(const ReadDigest& read) {
  std::string out(kMagic);
  const FileIdentity& id = read.identity;
  for (const uint64_t value : {id.device, id.inode, id.bytes, static_cast<uint64_t>(id.modified_ns),
                               static_cast<uint64_t>(id.changed_ns)}) {
    Append(&out, value);
  }
  for (const Digest256& block : read.digest.blocks) {
    out.append(reinterpret_cast<const char*>(block.bytes.data()), block.bytes.size());
  }
  // So that a damaged entry is none.
  Append(&out, Fnv(out));
  return out;
}

std::optional<ReadDigest> DecodeEntry(std::string_view bytes) {
  constexpr size_t kHead = kMagic.size() + 5 * 8;
  if (bytes.size() < kHead + 8 || !bytes.starts_with(kMagic)) return std::nullopt;
  std::string_view tail = bytes.substr(bytes.size() - 8);
  if (Fnv(bytes.substr(0, bytes.size() - 8)) != Take(&tail)) return std::nullopt;
  std::string_view rest = bytes.substr(kMagic.size(), bytes.size() - kMagic.size() - 8);
  ReadDigest read;
  read.identity.device = Take(&rest);
  read.identity.inode = Take(&rest);
  read.identity.bytes = Take(&rest);
  read.identity.modified_ns = static_cast<int64_t>(Take(&rest));
  read.identity.changed_ns = static_cast<int64_t>(Take(&rest));
  const uint64_t blocks = BlocksOf(read.identity.bytes);
  constexpr size_t kEach = sizeof(Digest256::bytes);
  if (rest.size() % kEach != 0 || rest.size() / kEach != blocks) return std::nullopt;
  read.digest.bytes = read.identity.bytes;
  read.digest.blocks.resize(blocks);
  for (Digest256& block : read.digest.blocks) {
    std::memcpy(block.bytes.data(), rest.data(), kEach);
    rest.remove_prefix(kEach);
  }
  read.digest.whole = WholeDigest(read.digest.bytes, read.digest.blocks);
  return read;
}

DigestCache::DigestCache(std::string directory) : directory_(std::move(directory)) {
  (void)::mkdir(directory_.c_str(), 0700);
}

std::string DigestCache::EntryOf(const FileIdentity& identity) const {
  return directory_ + "/" + Hex(identity.device).substr(8) + "-" + Hex(identity.inode);
}

Result<ReadDigest> DigestCache::Get(const std::string& path) const {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Error::FromErrno(errno, "open '" + path + "'");
  return Get(fd.get(), path);
}

Result<ReadDigest> DigestCache::Get(int fd, const std::string& path) const {
  const auto identity = IdentityOf(fd);
  if (!identity) return identity.error();
  if (const auto bytes = ReadFile(EntryOf(*identity), kMostEntryBytes)) {
    auto known = DecodeEntry(*bytes);
    if (known && known->identity == *identity) return *std::move(known);
  }
  auto read = DigestOf(fd, path);
  if (read && IsSettled(read->identity)) Put(*read);
  return read;
}

void DigestCache::Put(const ReadDigest& read) const {
  (void)WriteFileAtomically(EntryOf(read.identity), EncodeEntry(read));
  constexpr uint64_t kNowAndThen = 64;
  if (read.identity.inode % kNowAndThen == 0) Prune();
}

// What is lost is read again.
void DigestCache::Prune() const {
  DIR* dir = ::opendir(directory_.c_str());
  if (dir == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  if (names.size() <= kMostEntries) return;
  for (const std::string& name : names) (void)::unlink((directory_ + "/" + name).c_str());
}

}  // namespace rex
