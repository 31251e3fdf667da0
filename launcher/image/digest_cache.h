// Digests of files that were read before, in a directory: one small file for each (device, inode).
// An entry counts only for the same size, mtime and ctime, so a file that was written to is read
// again. Several processes may use one directory. Any thread.
#pragma once

#include <chrono>
#include <string>

#include "launcher/image/digest.h"

namespace rex {

class DigestCache {
 public:
  // `directory` is made when it is not there; where it can't be, nothing is remembered.
  explicit DigestCache(std::string directory);

  // Of the file as it is now. Errors: as open(2), DigestOf.
  Result<ReadDigest> Get(const std::string& path) const;
  // The same of an open file.
  Result<ReadDigest> Get(int fd, const std::string& path) const;

  static constexpr size_t kMostEntries = 4096;

 private:
  std::string EntryOf(const FileIdentity& identity) const;
  void Put(const ReadDigest& read) const;
  void Prune() const;

  const std::string directory_;
};

// An entry's bytes. Pure. nullopt: damaged, or of another version.
std::string EncodeEntry(const ReadDigest& read);
std::optional<ReadDigest> DecodeEntry(std::string_view bytes);

}  // namespace rex
