// An ssh without a network: takes ssh's options when it is called `ssh`, else only `-l USER`, runs
// the command with a login shell, and carries stdin, stdout and stderr, so that its death ends the
// channel as ssh's does. The host's name says what goes wrong:
//   refuse… ssh's words and 255; hang… never connects; busy… lets nobody in the first time (FILE in
//   FAKE_SSH_DIR remembers); picky… refuses unless the head calls; garbage… prints a lot before the
//   command; banner… prints without an end of line; endless… never stops printing;
//   csh…, tcsh…, fish…, zsh… have that login shell; missing… lacks rexd's directory, and bare…,
//   damage-N…, cut-N… too: there byte N of what comes is another, or the last.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "launcher/base/check.h"
#include "launcher/base/fd.h"

namespace rex {
namespace {

struct Call {
  std::string host;
  std::string user;
  std::string command;
};

// ssh(1): of the options rex uses, these take a word.
bool ParseCall(int argc, char** argv, Call* call) {
  const std::string program = argv[0];
  const bool ssh = program.substr(program.rfind('/') + 1) == "ssh";
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; ++i) {
    const std::string option = argv[i];
    if (option == "-l" && i + 1 < argc) {
      call->user = argv[++i];
    } else if (ssh && (option == "-o" || option == "-p") && i + 1 < argc) {
      ++i;
    } else if (!ssh || (option != "-T" && option != "-x")) {
      std::fprintf(stderr, "usage: fake [-l user] host command (unknown option %s)\n", argv[i]);
      return false;
    }
  }
  if (i >= argc) return false;
  call->host = argv[i++];
  for (; i < argc; ++i) call->command += (call->command.empty() ? "" : " ") + std::string(argv[i]);
  return true;
}

std::string ShellOf(const std::string& host) {
  for (const char* shell : {"tcsh", "csh", "fish", "zsh"}) {
    if (host.starts_with(shell)) return shell;
  }
  return "sh";
}

// True: it went wrong, and was said.
bool Misbehave(const std::string& host) {
  const auto say = [&host](const char* words) {
    std::fprintf(stderr, words, host.c_str());
    return true;
  };
  const bool from_inner = std::getenv("FAKE_SSH_NODE") != nullptr;
  if (host.starts_with("refuse"))
    return say("ssh: connect to host %s port 22: Connection refused\r\n");
  if (host.starts_with("picky") && from_inner) return say("%s: Permission denied (publickey).\r\n");
  if (host.starts_with("hang")) ::sleep(1000);
  if (!host.starts_with("busy")) return false;
  const std::string file = std::string(std::getenv("FAKE_SSH_DIR")) + "/" + host;
  const UniqueFd first(::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!first) return false;
  std::fprintf(stderr, "kex_exchange_identification: Connection closed by remote host\r\n");
  return true;
}

void Print(const std::string& host) {
  std::string text;
  if (host.starts_with("banner")) text = "no end of line";
  if (host.starts_with("garbage")) {
    for (int i = 0; i < 100000; ++i) text += static_cast<char>(i * 7);
  }
  [[maybe_unused]] const Status done = WriteAll(STDOUT_FILENO, text);
  while (host.starts_with("endless") && WriteAll(STDOUT_FILENO, std::string(5000, 'y'))) {
  }
}

// What happens to the stream that goes to the command.
struct Spoiler {
  bool damages = false;
  bool cuts = false;
  size_t at = 0;
  size_t seen = 0;

  explicit Spoiler(const std::string& host)
      : damages(host.starts_with("damage-")), cuts(host.starts_with("cut-")) {
    if (damages || cuts) at = std::strtoul(host.c_str() + host.find('-') + 1, nullptr, 10);
  }
  // False: ends here, as a killed ssh does.
  bool Take(char* bytes, size_t count) {
    if (damages && at >= seen && at < seen + count) bytes[at - seen] ^= 1;
    seen += count;
    return !cuts || seen <= at;
  }
};

// Moves what there is; false at an end.
bool Pump(int from, int to, Spoiler* spoiler = nullptr) {
  std::array<char, 65536> bytes;
  const ssize_t n = ::read(from, bytes.data(), bytes.size());
  if (n > 0 && spoiler != nullptr && !spoiler->Take(bytes.data(), static_cast<size_t>(n))) {
    ::kill(::getpid(), SIGKILL);
  }
  return n > 0 && WriteAll(to, {bytes.data(), static_cast<size_t>(n)}).has_value();
}

int Carry(int to_command, int from_command, pid_t command, Spoiler spoiler) {
  std::array<pollfd, 2> fds = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{from_command, POLLIN, 0}};
  while (fds[1].fd >= 0) {
    ::poll(fds.data(), fds.size(), -1);
    if (fds[0].revents != 0 && !Pump(STDIN_FILENO, to_command, &spoiler)) {
      fds[0].fd = -1;
      ::close(to_command);
    }
    if (fds[1].revents != 0 && !Pump(from_command, STDOUT_FILENO)) fds[1].fd = -1;
  }
  ::close(STDOUT_FILENO);
  int status = 0;
  ::waitpid(command, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int RunCommand(const Call& call) {
  auto down = MakePipe();
  auto up = MakePipe();
  REX_CHECK(down && up);
  const pid_t pid = ::fork();
  REX_CHECK(pid >= 0);
  if (pid == 0) {
    ::setsid();
    ::dup2(down->first.get(), STDIN_FILENO);
    ::dup2(up->second.get(), STDOUT_FILENO);
    ::setenv("FAKE_SSH_NODE", call.host.c_str(), 1);
    if (!call.user.empty()) ::setenv("FAKE_SSH_USER", call.user.c_str(), 1);
    ::unsetenv("SSH_CONNECTION");
    const std::string shell = ShellOf(call.host);
    ::execlp(shell.c_str(), shell.c_str(), "-c", call.command.c_str(), nullptr);
    ::_exit(127);
  }
  down->first.Reset();
  up->second.Reset();
  return Carry(down->second.Release(), up->first.get(), pid, Spoiler(call.host));
}

}  // namespace
}  // namespace rex

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  rex::Call call;
  if (!rex::ParseCall(argc, argv, &call)) return 255;
  if (rex::Misbehave(call.host)) return 255;
  rex::Print(call.host);
  for (const char* name : {"missing", "bare", "damage", "cut"}) {
    const bool rexd = !call.command.starts_with("/bin/sh ");
    if (rexd && call.host.starts_with(name)) call.command = "/no/such" + call.command;
  }
  return rex::RunCommand(call);
}
