#include "launcher/template/rank_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rex {

namespace {
void JoinAgent(const RankContext& context, uint32_t index) {
  if (::setpgid(0, 0) != 0) FailRank(context.report, index, REX_PHASE_SETUP, errno);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    FailRank(context.report, index, REX_PHASE_SETUP, errno);
  }
  // An agent that died before the call above will never be signalled about: prctl(2).
  if (::getppid() != context.view.header->agent_pid) ::_exit(REX_GATE_CLOSED);
}

void SetAffinity(const RankContext& context, uint32_t index) {
  const rex_blob_rank& rank = context.view.ranks[index];
  if (rank.cpuset_words == 0) return;
  const size_t bytes = rank.cpuset_words * sizeof(uint64_t);
  if (::syscall(SYS_sched_setaffinity, 0, bytes, context.view.Words(rank.cpuset)) != 0) {
    FailRank(context.report, index, REX_PHASE_AFFINITY, errno);
  }
}

void SetLimits(const RankContext& context, uint32_t index) {
  const rex_blob_header& header = *context.view.header;
  // The agent may have raised its own hard limit; rexlaunch's is the ranks'. Lowering always works.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    FailRank(context.report, index, REX_PHASE_SETUP, errno);
  }
  if (header.open_files_hard < limit.rlim_max) limit.rlim_max = header.open_files_hard;
  limit.rlim_cur =
      header.open_files_soft < limit.rlim_max ? header.open_files_soft : limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    FailRank(context.report, index, REX_PHASE_SETUP, errno);
  }
  ::umask(header.umask);
  if (header.timer_slack_ns != 0) ::prctl(PR_SET_TIMERSLACK, header.timer_slack_ns);
}

void CloseRange(unsigned first, unsigned last) {
  // Should the kernel not know it, all these are close-on-exec anyway.
  if (first <= last) ::syscall(SYS_close_range, first, last, 0);
}

// The rank's own descriptors in place, everybody else's gone: while this rank waits or its exec is
// slow, it must not hold the other end of a neighbour's pipe.
void PlaceDescriptors(const RankContext& context, uint32_t index) {
  for (int target = 0; target < 3; ++target) {
    const int32_t place = context.view.ranks[index].fd_index[target];
    const int source = place == REX_NO_FD ? context.null_device : context.fds[place];
    if (::dup2(source, target) != target) FailRank(context.report, index, REX_PHASE_SETUP, errno);
  }
  const auto gate = static_cast<unsigned>(context.gate);
  const auto report = static_cast<unsigned>(context.report);
  const unsigned low = gate < report ? gate : report;
  const unsigned high = gate < report ? report : gate;
  CloseRange(3, low - 1);
  CloseRange(low + 1, high - 1);
  CloseRange(high + 1, ~0u);
}

void AddOwnEnv(const RankContext& context, uint32_t index) {
  const rex_blob_rank& rank = context.view.ranks[index];
  const uint64_t* own = context.view.Words(rank.env);
  char** next = context.envp + context.view.header->common_env_count;
  for (uint32_t i = 0; i < rank.env_count; ++i) {
    *next++ = const_cast<char*>(context.view.String(own[i]));
  }
  *next = nullptr;
}
}  // namespace

void FailRank(int report, uint32_t index, rex_birth_phase phase, int error) {
  const rex_birth_report text{index, static_cast<uint32_t>(phase), error, 0};
  while (::write(report, &text, sizeof text) < 0 && errno == EINTR) {
  }
  ::_exit(127);
}

void PrepareRank(const RankContext& context, uint32_t index) {
  JoinAgent(context, index);
  SetAffinity(context, index);
  PlaceDescriptors(context, index);
  SetLimits(context, index);  // a limit below 3 would refuse the above
  if (::chdir(context.view.String(context.view.header->wdir)) != 0) {
    FailRank(context.report, index, REX_PHASE_WDIR, errno);
  }
}

void AwaitGate(int gate) {
  for (;;) {
    char go = 0;
    const ssize_t n = ::read(gate, &go, 1);
    if (n == 1) return;
    if (n < 0 && errno == EINTR) continue;
    ::_exit(REX_GATE_CLOSED);
  }
}

void RunRank(const RankContext& context, uint32_t index) {
  PrepareRank(context, index);
  AddOwnEnv(context, index);
  AwaitGate(context.gate);
  ::execve(context.view.String(context.view.header->path), context.argv, context.envp);
  FailRank(context.report, index, REX_PHASE_EXEC, errno);
}

}  // namespace rex
