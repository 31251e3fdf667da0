#include "tests/support/nothing_left.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "launcher/base/check.h"
#include "launcher/base/private_dir.h"
#include "tests/support/paths.h"
#include "tests/support/process_scan.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

constexpr char kMarkerName[] = "MARK_REXTEST";

std::vector<std::string> List(const std::string& dir_path) {
  std::vector<std::string> paths;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(dir_path.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") paths.push_back(dir_path + "/" + name);
  }
  return paths;
}

bool LooksLikeOurs(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.starts_with("rex-") || name.starts_with("vader");
}

std::set<std::string> SharedPlaces() {
  std::set<std::string> paths;
  for (const char* dir : {"/dev/shm", "/tmp"}) {
    for (const auto& path : List(dir)) {
      if (LooksLikeOurs(path)) paths.insert(path);
    }
  }
  return paths;
}

// A directory's owner holds its lock; a segment's owner has it mapped.
bool HasOwner(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return true;  // gone meanwhile
  if (!S_ISDIR(info.st_mode)) return IsFileInUse(path);
  const UniqueFd lock(::open((path + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
  return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
}

// The sanitizer's options as they are and, behind them, where to report: of equals the last counts.
// Ranks inherit the limits of daemons, so these may dump core.
std::string WithLogPath(const char* variable, const std::string& path) {
  const char* options = std::getenv(variable);
  return (options != nullptr ? std::string(options) + ":" : "") +
         "disable_coredump=0:log_path=" + path;
}

bool Exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

NothingLeft::NothingLeft() : before_(SharedPlaces()) {
  char name[] = "/tmp/rextest-XXXXXX";
  REX_CHECK(::mkdtemp(name) != nullptr);
  root_ = name;
  tmp_dir_ = root_ + "/tmp";
  work_dir_ = root_ + "/work";
  REX_CHECK(::mkdir(tmp_dir_.c_str(), 0700) == 0 && ::mkdir(work_dir_.c_str(), 0700) == 0);
  REX_CHECK(::mkdir((root_ + "/leases").c_str(), 0700) == 0);
  marker_ = std::string(kMarkerName) + "=" + RandomHex(16);
}

NothingLeft::~NothingLeft() {
  for (const pid_t pid : LiveProcesses()) ::kill(pid, SIGKILL);
  RemoveTree(root_);
}

std::map<std::string, std::string> NothingLeft::Environment() const {
  std::map<std::string, std::string> env = {{kMarkerName, marker_.substr(sizeof kMarkerName)},
                                            {"TMPDIR", tmp_dir_},
                                            // What other tests hold must not move our ranks.
                                            {"REX_LEASES", root_ + "/leases"},
                                            // Shared by all tests: a topology is discovered once.
                                            {"XDG_CACHE_HOME", BuildDir() + "/tests/cache"}};
  if (!IsSanitized()) return env;
  for (const char* variable : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    env[variable] = WithLogPath(variable, root_ + "/sanitizer");
  }
  env["LSAN_OPTIONS"] =
      "print_suppressions=0:suppressions=" + SourceDir() + "/tests/support/leaks.supp";
  return env;
}

std::vector<std::string> NothingLeft::SanitizerReports() const {
  std::vector<std::string> reports;
  for (const auto& path : List(root_)) {
    if (!path.starts_with(root_ + "/sanitizer.")) continue;
    const Result<std::string> text = ReadFile(path);
    // Said by the search for leaks of a process that is being killed meanwhile.
    if (text && Lines(*text).size() == 1 && Contains(*text, "Unable to get registers")) continue;
    reports.push_back("sanitizer report " + path + ":\n" + (text ? *text : text.error().text));
  }
  return reports;
}

void NothingLeft::Track(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) tracked_[pid] = StartTime(pid);
}

std::vector<pid_t> NothingLeft::LiveProcesses() const {
  std::vector<pid_t> live = ProcessesWithMarker(marker_);
  const std::set<pid_t> known(live.begin(), live.end());
  for (const auto& [pid, start] : tracked_) {
    if (known.contains(pid) || start == 0 || StartTime(pid) != start) continue;
    if (ProcessLine(pid).find(" state Z ") == std::string::npos) live.push_back(pid);
  }
  return live;
}

std::vector<std::string> NothingLeft::FilesLeft(const std::set<std::string>& candidates) const {
  std::vector<std::string> left;
  for (const auto& path : List(tmp_dir_)) {
    // The thread sanitizer's own, left by a process that was killed while it started.
    if (!IsSanitized() || !Contains(path, "/tsan.rodata.")) left.push_back(path);
  }
  for (const auto& path : candidates) {
    if (Exists(path) && !HasOwner(path)) left.push_back(path);
  }
  return left;
}

std::vector<std::string> NothingLeft::Check(milliseconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + bound;
  std::vector<pid_t> live = LiveProcesses();
  while (!live.empty() && std::chrono::steady_clock::now() < deadline) {
    ::poll(nullptr, 0, 20);
    live = LiveProcesses();
  }
  // Only what is without an owner now can be this test's: our processes are gone. Another test's
  // remains of a killed keeper may be among it, and go away within the same bound.
  std::set<std::string> candidates;
  for (const auto& path : SharedPlaces()) {
    if (!before_.contains(path) && !HasOwner(path)) candidates.insert(path);
  }
  std::vector<std::string> files = FilesLeft(candidates);
  const auto file_deadline = std::max(deadline, std::chrono::steady_clock::now() + seconds(1)) +
                             (candidates.empty() ? milliseconds(0) : bound);
  while (!files.empty() && std::chrono::steady_clock::now() < file_deadline) {
    ::poll(nullptr, 0, 20);
    files = FilesLeft(candidates);
  }
  std::vector<std::string> left = SanitizerReports();
  for (const pid_t pid : live) left.push_back("process: " + ProcessLine(pid));
  for (const auto& path : files) left.push_back("file: " + path);
  return left;
}

}  // namespace rex::testing
