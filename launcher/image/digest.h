// Digests of files: of each block of 256 KiB, and of the whole from those. Any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr uint64_t kBlockBytes = 256 << 10;

struct Digest256 {
  std::array<uint8_t, 32> bytes{};
  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  auto operator<=>(const Digest256&) const = default;
};
std::string Hex(const Digest256& digest);  // 64 digits
std::optional<Digest256> DigestFromHex(std::string_view hex);

constexpr uint64_t BlocksOf(uint64_t file_bytes) {
  return file_bytes / kBlockBytes + (file_bytes % kBlockBytes != 0 ? 1 : 0);
}

// BLAKE2b-256 of "rex block" and the BLAKE2b-256 of each part of the block: four parts can be
// hashed side by side. `bytes`: at most a block.
inline constexpr uint64_t kHashPartBytes = kBlockBytes / 4;
Digest256 BlockDigest(std::string_view bytes);

// A file's content, by its digests.
struct FileDigest {
  uint64_t bytes = 0;
  std::vector<Digest256> blocks;  // BlocksOf(bytes)
  Digest256 whole;
  bool operator==(const FileDigest&) const = default;
};
// Of "rex image 2", the size and the blocks' digests.
Digest256 WholeDigest(uint64_t bytes, const std::vector<Digest256>& blocks);

// What tells whether a file is still the one that was read.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};
// Errors: as fstat(2).
Result<FileIdentity> IdentityOf(int fd);

// Reads `fd` (of `path`, for texts) to its end. Errors: as read(2); kInvalid: it changed meanwhile,
// twice.
struct ReadDigest {
  FileIdentity identity;
  FileDigest digest;
};
Result<ReadDigest> DigestOf(int fd, const std::string& path);

// The whole of a range, across EINTR and short reads. Errors: as pread(2); kInvalid: it ends
// before.
Status ReadRange(int fd, uint64_t offset, char* to, size_t bytes);

}  // namespace rex
