// File descriptors: one owner each, close-on-exec from birth.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "launcher/base/result.h"

namespace rex {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}  // takes ownership; negative means none
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

struct FdPair {
  UniqueFd first;   // a pipe's read end
  UniqueFd second;  // a pipe's write end
};

// All descriptors made here are close-on-exec. Errors: kResource (EMFILE, ENFILE, ENOMEM).
Result<FdPair> MakePipe();
Result<FdPair> MakeStreamPair();     // AF_UNIX SOCK_STREAM
Result<FdPair> MakeSeqpacketPair();  // AF_UNIX SOCK_SEQPACKET
Status SetNonBlocking(int fd);

// Lets exactly this descriptor cross the next exec. `fd` is borrowed.
Status ClearCloseOnExec(int fd);

// Whole-file helpers for small files (/proc, caches). ReadFile stops at `max_bytes` with kInvalid.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = 16 << 20);
// Written beside, then renamed: a reader sees the old or the whole new file. Mode 0600.
Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// Writes all of `bytes` to a blocking descriptor, across EINTR and short writes.
Status WriteAll(int fd, std::string_view bytes);

// Raises this process's limit of open files: the soft one to the hard one, and who may raises the
// hard one to `wanted` as well (root; what it starts must get the old ones back, setrlimit(2)).
// Returns the limit that holds now.
uint64_t RaiseOpenFileLimit(uint64_t wanted = 1 << 17);

}  // namespace rex
