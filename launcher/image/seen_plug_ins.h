// Which libraries programs were seen to open by themselves (dlopen), remembered by the program's
// digest: a file for each program in the user's own cache directory, mode 0600, written beside and
// renamed. What is wrong with it (not ours, open to others, damaged) means that nothing is known.
// Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/image/digest.h"

namespace rex {

class SeenPlugIns {
 public:
  static constexpr size_t kMostOfOne = 512;     // libraries of a program; more are left out
  static constexpr size_t kMostPrograms = 256;  // those not written for the longest time go

  // `directory`: made, 0700, when something is written. Empty: nothing is remembered.
  explicit SeenPlugIns(std::string directory) : directory_(std::move(directory)) {}
  // rex's below XDG_CACHE_HOME, else below HOME's .cache; empty: neither is an absolute path.
  static std::string DefaultDirectory();

  // Absolute paths, in the order in which they became known.
  std::vector<std::string> Of(const Digest256& program) const;
  // How many of them were not known. None: nothing is written; nor when it can't be.
  size_t Add(const Digest256& program, const std::vector<std::string>& paths) const;

 private:
  std::string FileOf(const Digest256& program) const;
  bool IsOurs() const;
  void RemoveOldest() const;

  const std::string directory_;
};

// The file's text. Pure.
std::string EncodePlugIns(const std::vector<std::string>& paths);
std::optional<std::vector<std::string>> DecodePlugIns(std::string_view text);

}  // namespace rex
