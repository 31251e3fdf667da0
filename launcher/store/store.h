// A node's content-addressed cache of files, one per user: whole files by their digest, in memory
// (/dev/shm) or on disk. docs/design/image.md, "The store", has its directory.
//
// Several agents and launches use one store at once: a file is received by one of them, under a
// lock (flock(2)), while others wait; it is published by a rename when it is whole. Content that is
// not what its name says is dropped when somebody asks for it. Any thread, one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/image/digest.h"
#include "launcher/image/digest_cache.h"
#include "launcher/image/image_messages.h"

namespace rex {

class Incoming;

class Store {
 public:
  // Makes or opens the user's store. `suffix` tells apart those of nodes that are one machine.
  // Errors: kPermission (a directory that is not ours alone), kResource, kNotFound: no place allows
  // it; the text says of each why.
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options,
                                             const std::string& suffix);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& directory() const { return directory_; }
  DigestCache& digests() { return digests_; }

  // Makes `path` that file, by a hard link where that can be, else by a copy; its directories are
  // made. False: the store does not have it (any more). Errors: as link(2), write(2).
  Result<bool> Take(const FileDigest& file, const std::string& path);
  bool Has(const FileDigest& file);

  // To receive a file. nullptr: another process or job is receiving it. Errors: kResource: the disk
  // or the cap, with numbers.
  Result<std::unique_ptr<Incoming>> Begin(const FileDigest& file);

  // The content of a block that any file here has; checked. nullopt: none has it.
  std::optional<std::string> FindBlock(const Digest256& digest);

  uint64_t cap() const { return cap_; }
  uint64_t used() const;  // bytes of all objects

 private:
  friend class Incoming;
  struct BlockPlace {
    Digest256 object;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };
  Store(std::string directory, uint64_t most_bytes);

  std::string ObjectPath(const Digest256& digest) const;
  std::string IndexPath(const Digest256& digest) const;
  std::string IncomingPath(const Digest256& digest) const;
  bool Check(const FileDigest& file, int fd);
  void Drop(const Digest256& digest, const std::string& why) const;
  void RemoveAbandoned() const;
  bool IsSurelyRoom(uint64_t bytes);
  Status MakeRoom(uint64_t bytes);
  void ReadBlocks();

  const std::string directory_;
  const uint64_t cap_;
  DigestCache digests_;
  uint64_t used_ = 0;  // by the last look, and what this process has begun since
  std::chrono::steady_clock::time_point used_at_;
  std::optional<std::map<Digest256, BlockPlace>> blocks_;  // read when first asked for
};

// A file that is being received. Destroyed unpublished, nothing of it is left.
class Incoming {
 public:
  ~Incoming();
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  // Errors: as pwrite(2).
  Status Write(uint64_t offset, std::string_view bytes);
  // Everything has been written: the file is in the store, and at `path` (its directories are
  // made).
  Status Publish(const std::string& path);

 private:
  friend class Store;
  Incoming(Store& store, FileDigest file, UniqueFd fd, std::string path)
      : store_(store), file_(std::move(file)), fd_(std::move(fd)), path_(std::move(path)) {}

  Store& store_;
  const FileDigest file_;
  UniqueFd fd_;
  const std::string path_;
  bool published_ = false;
};

// Makes the directories above `path`, 0700. Errors: as mkdir(2).
Status MakeDirsAbove(const std::string& path);

// "4.3 GB", "12 kB".
std::string SizeText(uint64_t bytes);

}  // namespace rex
