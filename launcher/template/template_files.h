// The files a template has mapped, and whether they are still what was mapped: a program or library
// that is rebuilt after the template's start must not run as it was.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/base/result.h"

namespace rex {

struct MappedFile {
  std::string path;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // mtime
  int64_t changed_ns = 0;   // ctime; 0: does not count

  // NOLINTNEXTLINE(modernize-use-nullptr): false alarm
  auto operator<=>(const MappedFile&) const = default;
};

// Paths of the files in a /proc/PID/maps text, each once, in order. One that was unlinked or
// replaced meanwhile ends in " (deleted)". Pure.
std::vector<std::string> MappedPaths(std::string_view maps);

// The file as it is. kInvalid: it is not there, or changed at `now` or later
// (CLOCK_REALTIME_COARSE, the clock of files' times: time(7)), so that it may change again without
// being seen to.
Result<MappedFile> TrustedFile(const std::string& path, std::timespec now);

// The files that `pid` has mapped. kInvalid: one is gone, or changed at `started` or later
// (CLOCK_REALTIME), so that nobody knows which content was mapped. Files below `own` (not empty)
// are links that rex made itself of content that nobody changes: their ctime tells of links only.
Result<std::vector<MappedFile>> ReadMappedFiles(pid_t pid, std::timespec started,
                                                const std::string& own = {});

// kInvalid, naming the file, when one is not as it was.
Status StillAsMapped(const std::vector<MappedFile>& files);

// 1 for a sound template; 0 when `pid` is gone.
uint64_t ThreadCount(pid_t pid);

}  // namespace rex
