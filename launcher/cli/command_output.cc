#include "launcher/cli/command_output.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>

#include "launcher/base/clock.h"
#include "launcher/base/fd.h"

extern char** environ;

namespace rex {

namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text = "'";
  for (const std::string& word : words) text += (text.size() == 1 ? "" : " ") + word;
  return text + "'";
}

Result<pid_t> Spawn(const std::vector<std::string>& words, int out) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  if (const int err = ::posix_spawn_file_actions_init(&actions); err != 0) {
    return Error::FromErrno(err, "start " + Joined(words));
  }
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  const int err = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return Error::FromErrno(err, "start " + Joined(words));
  return pid;
}

// Reads to the end. Errors: kTimeout, kInvalid.
Result<std::string> ReadAll(int fd, size_t most, std::chrono::milliseconds patience) {
  const MonotonicClock clock;
  const Clock::Time end = clock.Now() + patience;
  std::string text;
  std::array<char, 65536> bytes;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock.Now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
      return Error{Errc::kTimeout,
                   "it has not ended after " + std::to_string(patience.count()) + " ms"};
    }
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(bytes.data(), static_cast<size_t>(n));
    if (text.size() > most) return Error{Errc::kInvalid, "it prints too much"};
  }
}

// Also of one that has closed its output but goes on: it is killed when the time is over.
int Reap(pid_t pid, std::chrono::milliseconds patience) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const bool in_time = process && ::poll(&ended, 1, static_cast<int>(patience.count())) > 0;
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<std::string> CommandOutput(const std::vector<std::string>& words, size_t most,
                                  std::chrono::milliseconds patience) {
  auto pipe = MakePipe();
  if (!pipe) return pipe.error();
  const auto pid = Spawn(words, pipe->second.get());
  if (!pid) return pid.error();
  pipe->second.Reset();
  auto text = ReadAll(pipe->first.get(), most, patience);
  pipe->first.Reset();
  const int status = Reap(*pid, text ? patience : std::chrono::milliseconds(0));
  if (!text) return Error{text.error().code, Joined(words) + ": " + text.error().text};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  const std::string how = WIFEXITED(status)
                              ? "ended with exit code " + std::to_string(WEXITSTATUS(status))
                              : "was ended by signal " + std::to_string(WTERMSIG(status));
  return Error{Errc::kInvalid, Joined(words) + " " + how};
}

}  // namespace rex
