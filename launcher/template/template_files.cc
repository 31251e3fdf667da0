#include "launcher/template/template_files.h"

#include <sys/stat.h>

#include <algorithm>

#include "launcher/base/fd.h"

namespace rex {

namespace {
constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t Nanoseconds(const std::timespec& t) { return t.tv_sec * kNsPerSecond + t.tv_nsec; }

Result<MappedFile> Look(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) {
    return Error{Errc::kInvalid, "'" + path + "' was removed or replaced"};
  }
  return MappedFile{path,
                    st.st_dev,
                    st.st_ino,
                    static_cast<uint64_t>(st.st_size),
                    Nanoseconds(st.st_mtim),
                    Nanoseconds(st.st_ctim)};
}

std::string_view NextLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}
}  // namespace

std::vector<std::string> MappedPaths(std::string_view maps) {
  std::vector<std::string> paths;
  while (!maps.empty()) {
    const std::string_view line = NextLine(&maps);
    // Five fields without a slash come before the path: proc(5). Anonymous memory files are no
    // files.
    const size_t at = line.find('/');
    if (at == std::string_view::npos) continue;
    const std::string_view path = line.substr(at);
    if (path.starts_with("/memfd:") || path.starts_with("/dev/zero") || path.starts_with("/SYSV") ||
        path.starts_with("/anon_hugepage")) {
      continue;
    }
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.emplace_back(path);
  }
  return paths;
}

Result<MappedFile> TrustedFile(const std::string& path, std::timespec now) {
  auto file = Look(path);
  if (file && file->changed_ns >= Nanoseconds(now)) {
    return Error{Errc::kInvalid, "'" + path + "' changed while it was loaded"};
  }
  return file;
}

Result<std::vector<MappedFile>> ReadMappedFiles(pid_t pid, std::timespec started,
                                                const std::string& own) {
  const auto maps = ReadFile("/proc/" + std::to_string(pid) + "/maps");
  if (!maps) return maps.error();
  std::vector<MappedFile> files;
  for (const std::string& path : MappedPaths(*maps)) {
    const bool ours = !own.empty() && path.starts_with(own + "/");
    auto file = ours ? Look(path) : TrustedFile(path, started);
    if (!file) return file.error();
    if (ours) file->changed_ns = 0;
    files.push_back(std::move(*file));
  }
  if (files.empty()) return Error{Errc::kInvalid, "its mapped files are not shown"};
  return files;
}

Status StillAsMapped(const std::vector<MappedFile>& files) {
  for (const MappedFile& file : files) {
    auto now = Look(file.path);
    if (!now) return now.error();
    if (file.changed_ns == 0) now->changed_ns = 0;
    if (*now != file) return Error{Errc::kInvalid, "'" + file.path + "' was changed or replaced"};
  }
  return Ok{};
}

uint64_t ThreadCount(pid_t pid) {
  struct stat st {};
  constexpr uint64_t kOwnLinks = 2;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  if (::stat(tasks.c_str(), &st) != 0 || st.st_nlink < kOwnLinks) return 0;
  return st.st_nlink - kOwnLinks;
}

}  // namespace rex
