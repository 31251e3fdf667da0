#include "launcher/base/descendants.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>

#include "launcher/base/clock.h"
#include "launcher/base/fd.h"

namespace rex {

ProcessInfo ReadProcess(pid_t pid) {
  const auto text = ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return {};
  // "pid (comm) state ppid ...": comm may hold anything, so look for the last ')'. proc(5)
  const size_t open = text->find('(');
  const size_t close = text->rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 4 > text->size())
    return {};
  ProcessInfo info;
  info.pid = pid;
  info.command = text->substr(open + 1, close - open - 1);
  info.state = (*text)[close + 2];
  info.ppid = static_cast<pid_t>(std::strtol(text->c_str() + close + 3, nullptr, 10));
  return info;
}

namespace {
struct DirClose {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

using ChildrenByParent = std::multimap<pid_t, pid_t>;

// One pass over all of /proc: for kernels without `children` files.
ChildrenByParent ScanProc() {
  ChildrenByParent by_parent;
  const std::unique_ptr<DIR, DirClose> dir(::opendir("/proc"));
  if (!dir) return by_parent;
  while (const dirent* entry = ::readdir(dir.get())) {
    const pid_t pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid > 0) by_parent.emplace(ReadProcess(pid).ppid, pid);
  }
  return by_parent;
}

// The children of every thread of `pid`, from its `children` files (proc(5), CONFIG_PROC_CHILDREN).
std::vector<pid_t> ReadChildrenFiles(pid_t pid) {
  std::vector<pid_t> children;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, DirClose> dir(::opendir(tasks.c_str()));
  if (!dir) return children;  // gone, and so without children
  while (const dirent* entry = ::readdir(dir.get())) {
    const auto text = ReadFile(tasks + "/" + entry->d_name + "/children");
    if (!text) continue;
    const char* p = text->c_str();
    for (char* end = nullptr;; p = end) {
      const long child = std::strtol(p, &end, 10);
      if (end == p) break;
      children.push_back(static_cast<pid_t>(child));
    }
  }
  return children;
}

bool HaveChildrenFiles() {
  static const bool have = ::access("/proc/thread-self/children", R_OK) == 0;
  return have;
}
}  // namespace

std::vector<ProcessInfo> FindDescendants(pid_t root, const std::function<bool(pid_t)>& leaves_out) {
  const ChildrenByParent scanned = HaveChildrenFiles() ? ChildrenByParent{} : ScanProc();
  const auto children_of = [&scanned](pid_t pid) {
    if (HaveChildrenFiles()) return ReadChildrenFiles(pid);
    std::vector<pid_t> children;
    const auto [begin, end] = scanned.equal_range(pid);
    for (auto it = begin; it != end; ++it) children.push_back(it->second);
    return children;
  };
  std::vector<ProcessInfo> found;
  std::vector<pid_t> frontier = children_of(root);
  while (!frontier.empty()) {
    std::vector<pid_t> next;
    for (const pid_t pid : frontier) {
      if (leaves_out(pid)) continue;
      const ProcessInfo info = ReadProcess(pid);
      if (info.pid == 0) continue;
      if (info.state != 'Z') found.push_back(info);
      const std::vector<pid_t> children = children_of(pid);
      next.insert(next.end(), children.begin(), children.end());
    }
    frontier = std::move(next);
  }
  return found;
}

std::vector<ProcessInfo> KillDescendants(std::chrono::milliseconds bound) {
  const MonotonicClock clock;
  const auto deadline = clock.Now() + bound;
  for (;;) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const auto left = FindDescendants(::getpid());
    if (left.empty() || clock.Now() >= deadline) return left;
    for (const auto& process : left) ::kill(process.pid, SIGKILL);
    ::usleep(500);  // let them end; the loop is bounded by `deadline`
  }
}

void BecomeSubreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

}  // namespace rex
