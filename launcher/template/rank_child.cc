#include "launcher/template/rank_child.h"

#include "launcher/template/raw_sys.h"

namespace rex {

namespace {
// Fails the rank when `result` is a system call's failure.
void Check(const RankContext& context, uint32_t index, rex_birth_phase phase, long result) {
  if (result < 0) FailRank(context, index, phase, static_cast<int>(-result));
}

void JoinAgent(const RankContext& context, uint32_t index) {
  Check(context, index, REX_PHASE_SETUP, sys::Call(sys::kSetpgid));
  // A template that becomes a rank has one already.
  const bool outlives = (context.view.header->flags & REX_BLOB_OUTLIVES) != 0;
  Check(context, index, REX_PHASE_SETUP,
        sys::Call(sys::kPrctl, sys::kPrSetPdeathsig, outlives ? 0 : sys::kSigKill));
  // An agent that died before the call above will never be signalled about: prctl(2).
  if (sys::Call(sys::kGetppid) != context.view.header->agent_pid) sys::Exit(REX_GATE_CLOSED);
}

void SetAffinity(const RankContext& context, uint32_t index) {
  const rex_blob_rank& rank = context.view.ranks[index];
  if (rank.cpuset_words == 0) return;
  const long bytes = static_cast<long>(rank.cpuset_words * sizeof(uint64_t));
  Check(context, index, REX_PHASE_AFFINITY,
        sys::Call(sys::kSchedSetaffinity, 0, bytes, sys::Address(context.view.Words(rank.cpuset))));
}

// A preference that a container may not allow: a rank without it is a rank all the same.
void SetMemoryPolicy(const RankContext& context, uint32_t index) {
  const rex_blob_rank& rank = context.view.ranks[index];
  if (rank.mem_words == 0) return;
  // The kernel looks at one bit less than it is told: set_mempolicy(2), BUGS.
  const long bits = static_cast<long>(rank.mem_words) * 64 + 1;
  sys::Call(sys::kSetMempolicy, sys::kMpolBind, sys::Address(context.view.Words(rank.mem_nodes)),
            bits);
}

void SetLimits(const RankContext& context, uint32_t index) {
  const rex_blob_header& header = *context.view.header;
  // The agent may have raised its own hard limit; rexlaunch's is the ranks'. Lowering always works.
  sys::Rlimit64 limit{};
  Check(context, index, REX_PHASE_SETUP,
        sys::Call(sys::kPrlimit64, 0, sys::kRlimitNofile, 0, sys::Address(&limit)));
  if (header.open_files_hard < limit.hard) limit.hard = header.open_files_hard;
  limit.soft = header.open_files_soft < limit.hard ? header.open_files_soft : limit.hard;
  Check(context, index, REX_PHASE_SETUP,
        sys::Call(sys::kPrlimit64, 0, sys::kRlimitNofile, sys::Address(&limit), 0));
  sys::Call(sys::kUmask, header.umask);
  if (header.timer_slack_ns != 0) {
    sys::Call(sys::kPrctl, sys::kPrSetTimerslack, static_cast<long>(header.timer_slack_ns));
  }
}

void CloseRange(unsigned first, unsigned last) {
  // Should the kernel not know it, all these are close-on-exec anyway; a template needs it and has
  // made sure before.
  if (first <= last) sys::Call(sys::kCloseRange, first, last, 0);
}

// The rank's own descriptors in place, everybody else's gone: while this rank waits or its exec is
// slow, it must not hold the other end of a neighbour's pipe.
void PlaceDescriptors(const RankContext& context, uint32_t index) {
  for (int target = 0; target < 3; ++target) {
    const int32_t place = context.view.ranks[index].fd_index[target];
    const int source = place == REX_NO_FD ? context.null_device : context.fds[place];
    Check(context, index, REX_PHASE_SETUP, sys::Call(sys::kDup3, source, target, 0));
  }
  const auto gate = static_cast<unsigned>(context.gate);
  const auto report = static_cast<unsigned>(context.report);
  const unsigned low = gate < report ? gate : report;
  const unsigned high = gate < report ? report : gate;
  CloseRange(3, low - 1);
  CloseRange(low + 1, high - 1);
  CloseRange(high + 1, ~0u);
}
}  // namespace

void FailRank(const RankContext& context, uint32_t index, rex_birth_phase phase, int error) {
  const rex_birth_report text{index, static_cast<uint32_t>(phase), error, 0};
  while (sys::Call(sys::kWrite, context.report, sys::Address(&text), sizeof text) == -sys::kEintr) {
  }
  sys::Exit(static_cast<int>(context.view.header->failed_exit));
}

void PrepareRank(const RankContext& context, uint32_t index) {
  JoinAgent(context, index);
  SetAffinity(context, index);
  SetMemoryPolicy(context, index);
  PlaceDescriptors(context, index);
  SetLimits(context, index);  // a limit below 3 would refuse the above
  Check(context, index, REX_PHASE_WDIR,
        sys::Call(sys::kChdir, sys::Address(context.view.String(context.view.header->wdir))));
}

void AwaitGate(int gate) {
  for (;;) {
    char go = 0;
    const long n = sys::Call(sys::kRead, gate, sys::Address(&go), 1);
    if (n == 1) return;
    if (n != -sys::kEintr) sys::Exit(REX_GATE_CLOSED);
  }
}

}  // namespace rex
