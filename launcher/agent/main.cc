// rexd-agent: the agent of a node. Started by the keeper (rexd), never by users.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "launcher/agent/dvm_server.h"
#include "launcher/agent/head.h"
#include "launcher/agent/member.h"
#include "launcher/base/descendants.h"
#include "launcher/base/log.h"
#include "launcher/base/programs.h"

namespace {

constexpr int kExitNoResources = 122;  // docs/rules.md
constexpr int kExitUnusable = 123;     // docs/rules.md

// What crossed our own exec must not cross that of the spawner, of templates or of ssh.
rex::UniqueFd TakeFd(int argc, char** argv, const char* name) {
  rex::UniqueFd fd(rex::InternalFdOption(argc, argv, name));
  if (fd && ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) fd.Release();  // no such descriptor
  return fd;
}

// Where rex was sent to this node, the keeper has said by the environment where our libraries are.
// They are loaded; what we start next needs its own, and ranks may be given this environment.
void ForgetOwnLibraries() {
  if (std::getenv("REX_SENT") == nullptr) return;
  const char* before = std::getenv("REX_OWN_LIBRARY_PATH");
  if (before != nullptr) {
    ::setenv("LD_LIBRARY_PATH", before, 1);
  } else {
    ::unsetenv("LD_LIBRARY_PATH");
  }
  ::unsetenv("REX_SENT");
  ::unsetenv("REX_OWN_LIBRARY_PATH");
}

}  // namespace

int main(int argc, char** argv) {
  const rex::Clock::Time begin = rex::MonotonicClock().Now();
  rex::InitLog("rexd-agent");
  ForgetOwnLibraries();
  rex::UniqueFd launch_fd = TakeFd(argc, argv, "launch-fd");
  rex::MemberOptions member;
  member.channel_in = TakeFd(argc, argv, "channel-in");
  member.channel_out = TakeFd(argc, argv, "channel-out");
  member.slurm_node = rex::InternalOption(argc, argv, "slurm-node");
  rex::NodeOptions options;
  options.keeper_fd = TakeFd(argc, argv, "keeper-fd");
  options.host_fd = TakeFd(argc, argv, "host-fd");
  options.session_dir = rex::InternalOption(argc, argv, "session-dir");
  options.shm_dir = rex::InternalOption(argc, argv, "shm-dir");
  options.keeper_begin = std::chrono::microseconds(
      std::atoll(rex::InternalOption(argc, argv, "keeper-begin-us").c_str()));
  options.agent_begin = begin;
  if (const char* most = std::getenv("REX_HOST_NAMESPACES"); most != nullptr) {
    options.host_namespaces = static_cast<uint32_t>(std::max(1L, std::atol(most)));  // for tests
  }
  if (const char* after = std::getenv("REX_UPLINK_AFTER"); after != nullptr) {
    options.uplink_after = static_cast<uint32_t>(std::max(0L, std::atol(after)));
  }
  const bool joins = member.channel_in && member.channel_out;
  if (joins == static_cast<bool>(launch_fd) || !options.keeper_fd || !options.host_fd ||
      options.session_dir.empty() || options.shm_dir.empty()) {
    rex::Log(rex::LogLevel::kError, "this program is started by rexd only; use rexlaunch");
    return kExitUnusable;
  }
  // Secrets of later DVMs live in this process: no core dumps, no ptrace by others. prctl(2)
  ::prctl(PR_SET_DUMPABLE, 0);
  rex::BecomeSubreaper();
  options.open_files = rex::RaiseOpenFileLimit();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // `ulimit -f` is an error like a full disk
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);

  rex::EventLoop loop;
  const auto run = [&loop](auto&& agent) {
    const rex::Status started = agent.Start();
    if (!started) {
      rex::Log(rex::LogLevel::kError, "cannot start: " + started.error().text);
      return started.error().code == rex::Errc::kResource ? kExitNoResources : kExitUnusable;
    }
    loop.Run();
    // Destructors of what the kernel takes back anyway are not worth the user's wait.
    ::_exit(0);
  };
  const std::string dvm_link = rex::InternalOption(argc, argv, "dvm-link");
  if (!dvm_link.empty()) {
    return run(rex::DvmServer(loop, std::move(launch_fd), dvm_link, std::move(options)));
  }
  if (!joins) return run(rex::Head(loop, std::move(launch_fd), std::move(options)));
  member.node = std::move(options);
  return run(rex::Member(loop, std::move(member)));
}
