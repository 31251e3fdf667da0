// Where images are put together on a node of a DVM: a directory for each content, which jobs of the
// same image share, so that a template of one serves the next. Below the DVM's own directories, and
// gone with them; one that no job uses goes earlier: kIdle later, or when others need the room.
// Loop thread only.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/staging/image_check.h"
#include "launcher/wire/messages.h"

namespace rex {

// Names what lies where in an image: 32 hexadecimal digits. Pure.
std::string ContentKey(const Image& image);

class ProgramDirs {
 public:
  static constexpr std::chrono::minutes kIdle{10};  // as templates: TemplateCache::kIdle
  static constexpr size_t kMostIdle = 4;
  static constexpr uint64_t kMostIdleBytes = uint64_t{1} << 30;

  // Below `memory` and `disk`.
  ProgramDirs(EventLoop& loop, std::string memory, std::string disk);
  ProgramDirs(const ProgramDirs&) = delete;
  ProgramDirs& operator=(const ProgramDirs&) = delete;

  // The directories of the image for this job; one image a job.
  ImageDirs Use(JobNumber job, const Image& image);
  void Release(JobNumber job);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::set<JobNumber> users;
    uint64_t bytes = 0;
    Clock::Time released{0};
  };
  ImageDirs DirsOf(const std::string& key) const;
  void DropIdle(size_t most, uint64_t most_bytes, const std::string& but);
  void OnTimer();

  EventLoop& loop_;
  const std::string memory_;
  const std::string disk_;
  std::map<std::string, Entry> entries_;  // by ContentKey
  std::map<JobNumber, std::string> keys_;
  Timer timer_;
};

}  // namespace rex
