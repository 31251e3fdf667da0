#include "launcher/openmpi/daemon_exec.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "launcher/openmpi/load_check.h"
#include "launcher/openmpi/orted_environment.h"

namespace rex::openmpi {

namespace {
constexpr int kExitUsage = 2;
constexpr const char* kPlugin = "/mca_odls_rex.so";
constexpr int kExitNoDaemon = 127;  // as a shell's, which mpirun knows

bool Readable(const std::string& dir) {
  return ::access(dir.c_str(), R_OK | X_OK) == 0 && ::access((dir + kPlugin).c_str(), R_OK) == 0;
}

int RefuseOption(const std::string& word) {
  std::fprintf(stderr,
               "rexlaunch: '%s' in --launch-agent is unknown; known are --rex-exec, --rex-plain "
               "and --rex-verbose\n",
               word.c_str());
  return kExitUsage;
}

// Makes the kernel's table of descriptors large now, while this process has one thread; exec keeps
// it. orted grows it three times for 64 ranks (four descriptors each), and with its threads each
// time waits for the kernel's readers of the old one: 24 ms in all (Linux, expand_fdtable).
void ReserveDescriptors() {
  constexpr rlim_t kMost = 4096;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == 0) return;
  const int top = static_cast<int>(std::min(files.rlim_cur, kMost) - 1);
  const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, top);
  if (fd >= 0) ::close(fd);
}

int Exec(const char* program, const Words& words) {
  // The shell put our own name there; ranks inherit it.
  if (::getenv("_") != nullptr) ::setenv("_", FindInPath(program).c_str(), 1);
  std::vector<char*> argv = {const_cast<char*>(program)};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(program, argv.data());
  const int error = errno;
  char host[HOST_NAME_MAX + 1] = "";
  ::gethostname(host, sizeof host);
  const char* path = ::getenv("PATH");
  std::fprintf(
      stderr, "rexlaunch: cannot start '%s' on %s: %s (PATH is %s); is Open MPI installed there?\n",
      program, host, std::strerror(error), path == nullptr ? "not set" : path);
  return kExitNoDaemon;
}

// The plug-ins' directory if they are wanted and orted can load the one that makes ranks.
std::string UsableDirectory(const DaemonCall& call) {
  if (call.options.plain || !CanBeChosen(call.words)) return "";
  std::string dir = PluginDirectory();
  if (dir.empty()) return "";
  const std::string why = LoadProblem(FindInPath("orted"), dir + kPlugin);
  if (why.empty()) return dir;
  if (call.options.verbose) {
    std::fprintf(stderr, "rexlaunch: Open MPI makes the ranks itself: orted cannot load %s%s: %s\n",
                 dir.c_str(), kPlugin, why.c_str());
  }
  return "";
}
}  // namespace

std::string FindInPath(const std::string& program) {
  const char* path = ::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

std::string PluginDirectory() {
  std::array<char, PATH_MAX> self{};
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (n <= 0) return "";
  std::string prefix(self.data(), static_cast<size_t>(n));
  for (int i = 0; i < 2; ++i) {  // bin/rexlaunch
    const size_t slash = prefix.rfind('/');
    if (slash == std::string::npos) return "";
    prefix.resize(slash);
  }
  const std::string dir = prefix + "/lib/rex/openmpi";
  // orted's list is divided by colons, and mpirun can't pass blanks on.
  const bool can_be_named = dir.find_first_of(": \t") == std::string::npos;
  return can_be_named && Readable(dir) ? dir : "";
}

int BecomeDaemon(const Words& words) {
  const DaemonCall call = ReadDaemonCall(words);
  if (call.caller == Caller::kUser) return -1;
  if (!call.options.unknown.empty()) return RefuseOption(call.options.unknown);
  if (call.caller == Caller::kPrrte) return Exec("prted", call.words);
  const std::string dir = UsableDirectory(call);
  if (!call.options.plain) ReserveDescriptors();
  if (!dir.empty()) ::setenv(REX_ORTED_HWLOC_NAME, REX_ORTED_HWLOC_VALUE, 0);
  return Exec("orted", WordsForOrted(call, dir));
}

}  // namespace rex::openmpi
