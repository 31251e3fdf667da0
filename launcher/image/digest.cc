#include "launcher/image/digest.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "launcher/image/blake2b_four.h"

namespace rex {

namespace {
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::string_view kWholeLabel = "rex image 2";
constexpr std::string_view kBlockLabel = "rex block";

bool StartSodium() {
  static const bool started = ::sodium_init() >= 0;
  return started;
}

class Hash {
 public:
  Hash() {
    REX_CHECK(StartSodium());
    ::crypto_generichash_init(&state_, nullptr, 0, Digest256{}.bytes.size());
  }
  void Add(const void* bytes, size_t count) {
    ::crypto_generichash_update(&state_, static_cast<const unsigned char*>(bytes), count);
  }
  Digest256 Finish() {
    Digest256 digest;
    ::crypto_generichash_final(&state_, digest.bytes.data(), digest.bytes.size());
    return digest;
  }

 private:
  ::crypto_generichash_state state_;
};

int64_t Nanoseconds(const std::timespec& t) {
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

Result<FileDigest> ReadOnce(int fd, const std::string& path, uint64_t bytes) {
  FileDigest digest;
  digest.bytes = bytes;
  std::string block(std::min<uint64_t>(kBlockBytes, bytes), '\0');
  for (uint64_t at = 0; at < bytes; at += kBlockBytes) {
    const size_t here = std::min<uint64_t>(kBlockBytes, bytes - at);
    if (const Status read = ReadRange(fd, at, block.data(), here); !read) {
      return Error{read.error().code, "read '" + path + "': " + read.error().text,
                   read.error().sys_errno};
    }
    digest.blocks.push_back(BlockDigest({block.data(), here}));
  }
  digest.whole = WholeDigest(bytes, digest.blocks);
  return digest;
}
}  // namespace

std::string Hex(const Digest256& digest) {
  std::string hex;
  for (const uint8_t byte : digest.bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::optional<Digest256> DigestFromHex(std::string_view hex) {
  Digest256 digest;
  if (hex.size() != 2 * digest.bytes.size()) return std::nullopt;
  for (size_t i = 0; i < hex.size(); ++i) {
    const size_t value = kDigits.find(hex[i]);
    if (value == kDigits.npos) return std::nullopt;
    digest.bytes[i / 2] = static_cast<uint8_t>(digest.bytes[i / 2] << 4 | value);
  }
  return digest;
}

namespace {
Digest256 PlainHash(std::string_view bytes) {
  Hash hash;
  hash.Add(bytes.data(), bytes.size());
  return hash.Finish();
}

// Of a whole block.
void AddParts(Hash* hash, const char* block) {
  const auto parts = Blake2bFour(
      {block, block + kHashPartBytes, block + 2 * kHashPartBytes, block + 3 * kHashPartBytes},
      kHashPartBytes);
  for (const Hash256& part : parts) hash->Add(part.data(), part.size());
}
}  // namespace

Digest256 BlockDigest(std::string_view bytes) {
  Hash hash;
  hash.Add(kBlockLabel.data(), kBlockLabel.size());
  if (bytes.size() == kBlockBytes && HasBlake2bFour()) {
    AddParts(&hash, bytes.data());
  } else {
    for (size_t at = 0; at < bytes.size(); at += kHashPartBytes) {
      const Digest256 part = PlainHash(bytes.substr(at, kHashPartBytes));
      hash.Add(part.bytes.data(), part.bytes.size());
    }
  }
  return hash.Finish();
}

Digest256 WholeDigest(uint64_t bytes, const std::vector<Digest256>& blocks) {
  Hash hash;
  hash.Add(kWholeLabel.data(), kWholeLabel.size());
  std::array<uint8_t, 8> size{};
  for (size_t i = 0; i < size.size(); ++i) size[i] = static_cast<uint8_t>(bytes >> 8 * i);
  hash.Add(size.data(), size.size());
  for (const Digest256& block : blocks) hash.Add(block.bytes.data(), block.bytes.size());
  return hash.Finish();
}

Result<FileIdentity> IdentityOf(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return Error::FromErrno(errno, "look at a file");
  return FileIdentity{st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
                      Nanoseconds(st.st_mtim), Nanoseconds(st.st_ctim)};
}

Status ReadRange(int fd, uint64_t offset, char* to, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    const ssize_t n = ::pread(fd, to + got, bytes - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::FromErrno(errno, "read");
    if (n == 0) return Error{Errc::kInvalid, "the file ends before its size"};
    got += static_cast<size_t>(n);
  }
  return Ok{};
}

Result<ReadDigest> DigestOf(int fd, const std::string& path) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto before = IdentityOf(fd);
    if (!before) return before.error();
    auto digest = ReadOnce(fd, path, before->bytes);
    const auto after = IdentityOf(fd);
    if (!after) return after.error();
    if (!(*before == *after)) continue;
    if (!digest) return digest.error();
    return ReadDigest{*after, *std::move(digest)};
  }
  return Error{Errc::kInvalid, "'" + path + "' changes while it is read"};
}

}  // namespace rex
