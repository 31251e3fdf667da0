#include "tests/support/process_scan.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "launcher/base/descendants.h"

namespace rex::testing {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ProcFile(pid_t pid, const char* name) {
  return Slurp("/proc/" + std::to_string(pid) + "/" + name);
}

std::vector<pid_t> AllPids() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc"), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const int pid = std::atoi(entry->d_name);
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

bool IsLive(pid_t pid) {
  const ProcessInfo info = ReadProcess(pid);
  return info.pid != 0 && info.state != 'Z' && info.state != 'X';
}

bool HasEntry(const std::string& environ_block, const std::string& marker) {
  const std::string terminated = marker + '\0';
  return environ_block.starts_with(terminated) ||
         environ_block.find('\0' + terminated) != std::string::npos;
}

bool HasOpenFileBelow(pid_t pid, const std::string& path) {
  const std::string fd_dir = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(fd_dir.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    char target[4096];
    const std::string link = fd_dir + "/" + entry->d_name;
    const ssize_t n = ::readlink(link.c_str(), target, sizeof target);
    if (n > 0 && std::string(target, static_cast<size_t>(n)).starts_with(path)) return true;
  }
  return false;
}

}  // namespace

std::string ProcessLine(pid_t pid) {
  const ProcessInfo info = ReadProcess(pid);
  if (info.pid == 0) return "pid " + std::to_string(pid) + " (gone)";
  std::string words = ProcFile(pid, "cmdline");
  std::replace(words.begin(), words.end(), '\0', ' ');
  return "pid " + std::to_string(pid) + " parent " + std::to_string(info.ppid) + " state " +
         info.state + " " + info.command + ": " + words;
}

std::vector<pid_t> ProcessesWithMarker(const std::string& marker) {
  std::vector<pid_t> found;
  for (const pid_t pid : AllPids()) {
    if (pid == ::getpid()) continue;
    if (HasEntry(ProcFile(pid, "environ"), marker) && IsLive(pid)) found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> DescendantsNamed(pid_t root, const std::string& name) {
  std::vector<pid_t> found;
  for (const ProcessInfo& info : FindDescendants(root)) {
    if (info.command == name.substr(0, 15) && !IsTemplate(info.pid)) found.push_back(info.pid);
  }
  return found;
}

bool IsTemplate(pid_t pid) {
  const std::string environ_block = ProcFile(pid, "environ");
  return environ_block.starts_with("REX_TEMPLATE_") ||
         environ_block.find(std::string(1, '\0') + "REX_TEMPLATE_") != std::string::npos;
}

bool HasEnvironment(pid_t pid) { return !ProcFile(pid, "environ").empty(); }

unsigned long long StartTime(pid_t pid) {
  const std::string stat = ProcFile(pid, "stat");
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(stat.substr(after_name + 1));
  std::string field;
  // proc(5): starttime is field 22; the first after the name is field 3.
  for (int number = 3; number <= 22; ++number) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

bool IsFileInUse(const std::string& path) {
  for (const pid_t pid : AllPids()) {
    if (ProcFile(pid, "maps").find(path) != std::string::npos) return true;
    if (HasOpenFileBelow(pid, path)) return true;
  }
  return false;
}

}  // namespace rex::testing
