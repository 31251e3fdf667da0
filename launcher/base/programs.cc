#include "launcher/base/programs.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <filesystem>

extern char** environ;

namespace rex {

Result<std::string> FindLibexecProgram(const std::string& name) {
  std::array<char, PATH_MAX> self{};
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (n <= 0) return Error::FromErrno(errno, "read /proc/self/exe");
  std::string dir(self.data(), static_cast<size_t>(n));
  dir.resize(dir.rfind('/'));
  // From libexec/rex itself, from bin, and from a test program below the build tree's bin.
  std::string tried;
  for (const char* relative : {"/", "/../libexec/rex/", "/../../libexec/rex/"}) {
    const auto place = std::filesystem::path(dir + relative).lexically_normal();
    const std::string path = place / name;
    if (::access(path.c_str(), X_OK) == 0) return path;
    const bool is_place = ::access(place.c_str(), F_OK) == 0 && tried.find(path) == tried.npos;
    if (is_place) tried += (tried.empty() ? "" : ", ") + path;
  }
  return Error{Errc::kNotFound,
               "rex's own program '" + name + "' is missing (tried " + tried + ")"};
}

Result<pid_t> SpawnProgram(const std::vector<std::string>& argv, const std::vector<int>& keep_fds) {
  std::vector<char*> args;
  for (const auto& word : argv) args.push_back(const_cast<char*>(word.c_str()));
  args.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  // A dup onto itself clears close-on-exec in the child only: posix_spawn_file_actions_adddup2(3).
  for (const int fd : keep_fds) ::posix_spawn_file_actions_adddup2(&actions, fd, fd);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int err = ::posix_spawn(&pid, argv[0].c_str(), &actions, &attributes, args.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return Error::FromErrno(err, "start '" + argv[0] + "'");
  return pid;
}

std::string InternalOption(int argc, char** argv, const std::string& name) {
  const std::string prefix = "--" + name + "=";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with(prefix)) return word.substr(prefix.size());
  }
  return "";
}

int InternalFdOption(int argc, char** argv, const std::string& name) {
  const std::string value = InternalOption(argc, argv, name);
  if (value.empty() || value.size() > 6) return -1;
  for (const char c : value) {
    if (c < '0' || c > '9') return -1;
  }
  return std::atoi(value.c_str());
}

}  // namespace rex
