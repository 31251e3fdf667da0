#include "launcher/agent/program_dirs.h"

#include <algorithm>

#include "launcher/base/private_dir.h"

namespace rex {

std::string ContentKey(const Image& image) {
  std::string text = image.always ? "always\n" : "auto\n";
  for (const ImageFile& file : image.files) {
    text += Hex(file.digest.whole) + (file.executable ? " x " : " - ") + file.place + '\0';
  }
  // Whatever its length: pieces of what a block may be.
  Digest256 digest{};
  for (size_t at = 0; at < text.size(); at += kBlockBytes / 2) {
    digest = BlockDigest(Hex(digest) + text.substr(at, kBlockBytes / 2));
  }
  return Hex(digest).substr(0, 32);
}

ProgramDirs::ProgramDirs(EventLoop& loop, std::string memory, std::string disk)
    : loop_(loop),
      memory_(std::move(memory)),
      disk_(std::move(disk)),
      timer_(loop, [this] { OnTimer(); }) {}

ImageDirs ProgramDirs::DirsOf(const std::string& key) const {
  const std::string below = "/programs/" + key + "/image";
  return {memory_ + below, disk_ + below};
}

ImageDirs ProgramDirs::Use(JobNumber job, const Image& image) {
  const std::string key = ContentKey(image);
  // A store with a cap can't remove what is linked here.
  const uint64_t cap = image.store.most_bytes;
  const uint64_t room = cap > image.bytes() ? cap - image.bytes() : 0;
  DropIdle(kMostIdle, cap == 0 ? kMostIdleBytes : room, key);
  Entry& entry = entries_[key];
  entry.users.insert(job);
  entry.bytes = image.bytes();
  keys_[job] = key;
  return DirsOf(key);
}

void ProgramDirs::Release(JobNumber job) {
  const auto key = keys_.extract(job);
  if (key.empty()) return;
  Entry& entry = entries_.at(key.mapped());
  entry.users.erase(job);
  entry.released = loop_.clock().Now();
  if (!timer_.pending()) timer_.Set(kIdle);
}

// Those that were released first.
void ProgramDirs::DropIdle(size_t most, uint64_t most_bytes, const std::string& but) {
  std::vector<std::pair<Clock::Time, std::string>> idle;
  uint64_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    if (!entry.users.empty() || key == but) continue;
    idle.emplace_back(entry.released, key);
    bytes += entry.bytes;
  }
  std::sort(idle.begin(), idle.end());
  for (size_t i = 0; i < idle.size() && (idle.size() - i > most || bytes > most_bytes); ++i) {
    const std::string& key = idle[i].second;
    bytes -= entries_.at(key).bytes;
    for (const std::string& root : {memory_, disk_}) RemoveTree(root + "/programs/" + key);
    entries_.erase(key);
  }
}

void ProgramDirs::OnTimer() {
  const Clock::Time now = loop_.clock().Now();
  const auto is_old = [now](const auto& entry) {
    return entry.second.users.empty() && now - entry.second.released >= kIdle;
  };
  const auto old = static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), is_old));
  const auto idle = static_cast<size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const auto& e) { return e.second.users.empty(); }));
  DropIdle(idle - old, UINT64_MAX, "");
  if (idle > old) timer_.Set(std::chrono::minutes(1));
}

}  // namespace rex
