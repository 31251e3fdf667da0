// The directories of a DVM: `rex-<16 hex digits>` in a temp directory and in /dev/shm, mode 0700,
// unguessable, ours. Each holds a file `lock` that the keeper keeps locked (flock(2)) for as long
// as it lives, so that a later start can tell a dead DVM's directory and remove it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/fd.h"

namespace rex {

inline constexpr char kShmParent[] = "/dev/shm";
// Where temporary directories go: $TMPDIR when it is an absolute path, else /tmp.
std::string TempParent();

// `count` hexadecimal digits from getrandom(2).
std::string RandomHex(size_t count);

class PrivateDir {
 public:
  // Makes `<parent>/rex-<random>` and locks it. Errors: kNotFound, kPermission, kResource (disk).
  static Result<PrivateDir> Create(const std::string& parent);

  PrivateDir(PrivateDir&&) = default;
  PrivateDir& operator=(PrivateDir&&) = default;
  ~PrivateDir() = default;  // leaves the directory: Remove() is a decision

  const std::string& path() const { return path_; }
  // Removes the directory and all that is in it. Idempotent.
  void Remove();

 private:
  PrivateDir(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

// Removes a directory tree without following symbolic links. Nothing happens when it is absent.
void RemoveTree(const std::string& path);

// Removes `rex-*` directories in `parent` that belong to our uid and whose lock is free.
// Returns their paths. Younger than a minute and without a lock file: left alone (being made).
std::vector<std::string> RemoveStaleDirs(const std::string& parent);

}  // namespace rex
