// rexd, the keeper. Started by rexlaunch:
//   rexd --launch-fd=N --lifeline-fd=M [--one-job-ranks=R] [--verbose]
// or by rexctl, for a DVM that stays, with --dvm-link=PATH instead of --one-job-ranks;
// or on another node by the agent above it, over ssh; stdin and stdout are the channel:
//   rexd --join --node-name=NAME [--virtual] [--verbose] [--log-level=LEVEL]
//   rexd --join --slurm [--verbose] [--log-level=LEVEL]           (by srun, which names the node)
// `rexd --version` prints the version. Exit code: 0, or 1 when the agent ended badly (the lifeline
// says how; a joined keeper says it on stderr), or 122 (out of resources) or 123 when the keeper
// could not start what it keeps (one line on stderr).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "launcher/base/descendants.h"
#include "launcher/base/programs.h"
#include "launcher/keeper/keeper.h"

namespace {

constexpr int kCannotStart = 123;  // docs/rules.md
constexpr int kNoResources = 122;

std::chrono::microseconds MonotonicNow() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_nsec / 1000);
}

// stdin and stdout: /dev/null. A daemon that held the user's stdout would keep `rexlaunch | head`
// from ending. stderr stays, for the few lines that have no other way.
bool ArrangeStdio() {
  const int null_device = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_device < 0) return false;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fd == STDERR_FILENO && ::fcntl(fd, F_GETFD) >= 0) continue;
    if (null_device == fd ? ::fcntl(fd, F_SETFD, 0) < 0 : ::dup2(null_device, fd) < 0) return false;
  }
  if (null_device > STDERR_FILENO) ::close(null_device);
  return true;
}

// Whatever else rexlaunch's own caller had open is not for daemons and ranks. `kept` stay; all are
// above the standard ones or -1.
void CloseOthers(std::array<int, 3> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = 3;
  for (const int fd : kept) {
    if (fd < 3) continue;
    if (static_cast<unsigned>(fd) > first) {
      ::syscall(SYS_close_range, first, static_cast<unsigned>(fd) - 1, 0);
    }
    first = static_cast<unsigned>(fd) + 1;
  }
  ::syscall(SYS_close_range, first, ~0u, 0);
}

bool Usable(int fd) { return fd > 2 && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

bool HasWord(int argc, char** argv, std::string_view word) {
  return std::any_of(argv + 1, argv + argc, [&](const char* arg) { return word == arg; });
}

// stdin and stdout, moved out of the way of ArrangeStdio. False: there is no channel there.
bool TakeChannel(rex::KeeperOptions* options) {
  if (::isatty(STDIN_FILENO) != 0) return false;
  options->channel_in.Reset(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  options->channel_out.Reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  return options->channel_in && options->channel_out;
}

// What a login leaves in the environment is of no use to a daemon, and could fool what it starts
// (a user's own PMIx or Open MPI settings stay). SSH_CONNECTION is the agent's: it says from where
// the parent came. Ranks get rexlaunch's environment, never this one.
void PrepareJoinedEnvironment(const std::string& log_level) {
  for (const char* name :
       {"SSH_CLIENT", "SSH_TTY", "SSH_ORIGINAL_COMMAND", "OLDPWD", "SHLVL", "_", "TERM", "DISPLAY",
        "XDG_SESSION_ID", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS", "DBUS_SESSION_BUS_ADDRESS"}) {
    ::unsetenv(name);
  }
  for (const std::string_view level : {"error", "warn", "info", "debug"}) {
    if (log_level == level) ::setenv("REX_LOG", log_level.c_str(), 1);
  }
}

// Where rex was sent to a node, its libraries and libpmix's components are beside its programs. The
// agent puts the environment back as it was: it is part of what ranks may be given.
bool TakeShipDir(int argc, char** argv, rex::KeeperOptions* options) {
  options->ship_dir = rex::InternalOption(argc, argv, "ship-dir");
  ::unsetenv("REX_SENT");
  if (options->ship_dir.empty()) return true;
  constexpr int kWatchFd = 4;  // kShipWatchFd of ship/ship_limits.h
  const auto self = rex::FindLibexecProgram("rexd");
  // It will be removed: so no other directory than the one that we run from.
  if (!self || *self != options->ship_dir + "/rexd" || !Usable(kWatchFd)) return false;
  options->ship_watch.Reset(kWatchFd);
  const std::string libraries = options->ship_dir + "/lib";
  const char* own = std::getenv("LD_LIBRARY_PATH");
  if (own != nullptr) ::setenv("REX_OWN_LIBRARY_PATH", own, 1);
  const std::string path = own == nullptr ? libraries : libraries + ":" + own;
  ::setenv("LD_LIBRARY_PATH", path.c_str(), 1);
  ::setenv("REX_SENT", options->ship_dir.c_str(), 1);  // the host's, for libpmix's components
  return true;
}

bool TakeOptions(int argc, char** argv, rex::KeeperOptions* options) {
  options->one_job_ranks = rex::InternalOption(argc, argv, "one-job-ranks");
  options->verbose = HasWord(argc, argv, "--verbose");
  if (HasWord(argc, argv, "--join")) {
    options->node_name = rex::InternalOption(argc, argv, "node-name");
    options->virtual_node = HasWord(argc, argv, "--virtual");
    options->slurm_node = HasWord(argc, argv, "--slurm");
    const char* name = std::getenv("SLURMD_NODENAME");
    if (options->slurm_node && name != nullptr) options->node_name = name;
    PrepareJoinedEnvironment(rex::InternalOption(argc, argv, "log-level"));
    if (!TakeShipDir(argc, argv, options)) return false;
    return !options->node_name.empty() && TakeChannel(options);
  }
  const int launch = rex::InternalFdOption(argc, argv, "launch-fd");
  const int lifeline = rex::InternalFdOption(argc, argv, "lifeline-fd");
  if (!Usable(launch) || !Usable(lifeline) || launch == lifeline) return false;
  options->dvm_link = rex::InternalOption(argc, argv, "dvm-link");
  if (!options->dvm_link.empty() && options->dvm_link[0] != '/') return false;
  options->launch = rex::UniqueFd(launch);
  options->lifeline = rex::UniqueFd(lifeline);
  return true;
}

int Refuse() {
  ::dprintf(STDERR_FILENO,
            "rexd: started by rex only: by rexlaunch with --launch-fd and --lifeline-fd, or by an "
            "agent with --join, --node-name and the channel as stdin and stdout\n");
  return kCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  rex::KeeperOptions options;
  options.begin = MonotonicNow();
  if (HasWord(argc, argv, "--version")) {
    ::dprintf(STDOUT_FILENO, "rexd %s\n", REX_VERSION);
    return 0;
  }
  if (!TakeOptions(argc, argv, &options)) return Refuse();
  rex::BlockKeeperSignals();
  if (!ArrangeStdio()) {
    ::dprintf(STDERR_FILENO, "rexd: /dev/null can't be opened read-write\n");
    return kCannotStart;
  }
  const bool joins = static_cast<bool>(options.channel_in);
  CloseOthers({joins ? options.channel_in.get() : options.launch.get(),
               joins ? options.channel_out.get() : options.lifeline.get(),
               options.ship_watch.get()});
  // No directory is kept from being unmounted by a DVM that stays.
  if (!options.dvm_link.empty() && ::chdir("/") != 0) return kCannotStart;
  ::setsid();  // refused to a group leader, which is out of the terminal's reach already
  ::prctl(PR_SET_DUMPABLE, 0);
  rex::BecomeSubreaper();
  rex::Keeper keeper(std::move(options));
  const rex::Status started = keeper.Start();
  if (!started) {
    ::dprintf(keeper.complain_fd(), "rexd: can't start: %s\n", started.error().text.c_str());
    return started.error().code == rex::Errc::kResource ? kNoResources : kCannotStart;
  }
  return keeper.Run() ? 0 : 1;
}
