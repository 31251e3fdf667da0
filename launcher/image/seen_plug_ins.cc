#include "launcher/image/seen_plug_ins.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "launcher/base/fnv.h"
#include "launcher/image/image_messages.h"

namespace rex {

namespace {
constexpr std::string_view kHead = "rex plug-ins 1\n";
constexpr std::string_view kPrefix = "plug-ins-";
constexpr size_t kMostBytes = 4 << 20;

bool CanBeKept(const std::string& path) {
  return path.starts_with('/') && path.size() <= kMaxImagePathBytes &&
         path.find_first_of(std::string_view("\n\0", 2)) == path.npos;
}

std::string SumOf(std::string_view text) { return Hex(Fnv(text)); }
}  // namespace

// A path a line, between a first line that says what it is and a last one that shows damage.
std::string EncodePlugIns(const std::vector<std::string>& paths) {
  std::string text(kHead);
  for (const std::string& path : paths) text += path + "\n";
  return text + SumOf(text) + "\n";
}

std::optional<std::vector<std::string>> DecodePlugIns(std::string_view text) {
  if (!text.starts_with(kHead) || !text.ends_with('\n')) return std::nullopt;
  const size_t last = text.rfind('\n', text.size() - 2) + 1;
  if (last < kHead.size() || text.substr(last) != SumOf(text.substr(0, last)) + "\n") {
    return std::nullopt;
  }
  std::vector<std::string> paths;
  for (size_t at = kHead.size(); at < last;) {
    const size_t end = text.find('\n', at);
    paths.emplace_back(text.substr(at, end - at));
    at = end + 1;
    if (!CanBeKept(paths.back()) || paths.size() > SeenPlugIns::kMostOfOne) return std::nullopt;
  }
  return paths;
}

std::string SeenPlugIns::DefaultDirectory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/rex";
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? std::string(home) + "/.cache/rex" : "";
}

std::string SeenPlugIns::FileOf(const Digest256& program) const {
  return directory_ + "/" + std::string(kPrefix) + Hex(program);
}

bool SeenPlugIns::IsOurs() const {
  struct stat st {};
  return !directory_.empty() && ::lstat(directory_.c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
         st.st_uid == ::geteuid() && (st.st_mode & 077) == 0;
}

std::vector<std::string> SeenPlugIns::Of(const Digest256& program) const {
  if (!IsOurs()) return {};
  const auto text = ReadFile(FileOf(program), kMostBytes);
  if (!text) return {};
  return DecodePlugIns(*text).value_or(std::vector<std::string>{});
}

size_t SeenPlugIns::Add(const Digest256& program, const std::vector<std::string>& paths) const {
  if (directory_.empty()) return 0;
  std::vector<std::string> all = Of(program);
  const size_t had = all.size();
  for (const std::string& path : paths) {
    const bool known = std::find(all.begin(), all.end(), path) != all.end();
    if (!known && CanBeKept(path) && all.size() < kMostOfOne) all.push_back(path);
  }
  if (all.size() == had) return 0;
  const size_t slash = directory_.rfind('/');
  (void)::mkdir(directory_.substr(0, slash).c_str(), 0700);
  (void)::mkdir(directory_.c_str(), 0700);
  if (!IsOurs() || !WriteFileAtomically(FileOf(program), EncodePlugIns(all))) return 0;
  RemoveOldest();
  return all.size() - had;
}

void SeenPlugIns::RemoveOldest() const {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    if (!at->path().filename().string().starts_with(kPrefix)) continue;
    std::error_code gone;
    const auto time = at->last_write_time(gone);
    if (!gone) files.emplace_back(time, at->path());
  }
  if (files.size() <= kMostPrograms) return;
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i + kMostPrograms < files.size(); ++i) fs::remove(files[i].second, error);
}

}  // namespace rex
