// rexd-pmix: the PMIx host of a node, started by the keeper and used by the agent.
//   --agent-fd=N       connected stream socket to the agent, inherited
//   --session-dir=DIR  private directory for everything libpmix writes
//   --keeper-pid=N     our parent; we end when it does
//   --own-loop=1       do not share libpmix's thread; for tests of that
//   --takes-tools=1    processes that are no ranks may connect
//   --generation=N     hosts that the node has had before
//   --node-name=NAME   what jobs call this node; default: gethostname(2)
// Exit codes: 0 the agent is gone, 1 the agent sent nonsense or libpmix failed, 2 wrong options.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "launcher/base/log.h"
#include "launcher/base/programs.h"
#include "pmix-server/host/host_process.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

std::string HostName() {
  utsname names{};
  return ::uname(&names) == 0 && names.nodename[0] != '\0' ? names.nodename : "localhost";
}

// The keeper is the process that started us; when it dies, whenever that is, so do we. It may have
// died between the fork and prctl, so its pid is compared after.
void DieWithKeeper(pid_t keeper) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(kExitFailed);
}

int Usage(const char* what) {
  std::fprintf(stderr, "rexd-pmix: %s; this program is started by rexd, not by hand\n", what);
  return kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  rex::InitLog("rexd-pmix");
  rex::pmix::HostProcess::Options options;
  const int fd = rex::InternalFdOption(argc, argv, "agent-fd");
  if (fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return Usage("--agent-fd is missing or bad");
  options.agent.Reset(fd);
  options.session_dir = rex::InternalOption(argc, argv, "session-dir");
  if (options.session_dir.empty() || options.session_dir[0] != '/') {
    return Usage("--session-dir is missing or not absolute");
  }
  const pid_t keeper = std::atoi(rex::InternalOption(argc, argv, "keeper-pid").c_str());
  if (keeper <= 0) return Usage("--keeper-pid is missing or bad");
  options.node_name = rex::InternalOption(argc, argv, "node-name");
  if (options.node_name.empty()) options.node_name = HostName();

  options.one_job_ranks = static_cast<uint32_t>(
      std::strtoul(rex::InternalOption(argc, argv, "one-job-ranks").c_str(), nullptr, 10));

  options.takes_tools = !rex::InternalOption(argc, argv, "takes-tools").empty();
  options.generation = static_cast<uint32_t>(
      std::strtoul(rex::InternalOption(argc, argv, "generation").c_str(), nullptr, 10));

  options.own_loop = !rex::InternalOption(argc, argv, "own-loop").empty();

  DieWithKeeper(keeper);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // `ulimit -f` is an error like a full disk
  rex::RaiseOpenFileLimit();
  rex::pmix::HostProcess host;
  const rex::Error error = host.Run(std::move(options));
  std::fprintf(stderr, "rexd-pmix: %s\n", error.text.c_str());
  std::fflush(stderr);
  ::_exit(kExitFailed);
}
