#include "tests/support/shared_files.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "tests/support/process_scan.h"

namespace rex::testing {
namespace {

std::vector<std::string> Names(const std::string& dir_path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(dir_path.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

bool IsOfPmixOrMpi(const std::string& name) {
  constexpr std::array kMarks = {"pmix", "ompi", "prte", "dstr", "gds", "hwloc", "vader"};
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](const char* mark) { return name.find(mark) != std::string::npos; });
}

std::set<std::string> Entries() {
  std::set<std::string> paths;
  for (const std::string dir : {"/tmp", "/dev/shm"}) {
    for (const auto& name : Names(dir)) {
      if (IsOfPmixOrMpi(name)) paths.insert(dir + "/" + name);
    }
  }
  return paths;
}

// mpirun's own session directory: it has a pid.N for each mpirun of this user.
bool IsSessionOfLiveMpirun(const std::string& path) {
  for (const auto& name : Names(path)) {
    if (!name.starts_with("pid.")) continue;
    const auto pid = static_cast<pid_t>(std::atoi(name.c_str() + 4));
    if (pid > 0 && ::kill(pid, 0) == 0) return true;
  }
  return false;
}

bool HasOwner(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return true;  // gone meanwhile
  return IsFileInUse(path) || (S_ISDIR(info.st_mode) && IsSessionOfLiveMpirun(path));
}

}  // namespace

SharedFiles::SharedFiles() : before_(Entries()) {}

std::vector<std::string> SharedFiles::Left(milliseconds bound) const {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  for (;;) {
    std::vector<std::string> left;
    for (const auto& path : Entries()) {
      if (!before_.contains(path) && !HasOwner(path)) left.push_back(path);
    }
    if (left.empty() || std::chrono::steady_clock::now() > deadline) return left;
    ::poll(nullptr, 0, 20);
  }
}

}  // namespace rex::testing
