#include "launcher/job/exit_rules.h"

namespace rex {

namespace {
// MPI_Abort(comm, 0) is still a failure, and an exit status has eight bits.
int AbortExitCode(int code) { return (code & 0xff) == 0 ? 1 : code & 0xff; }
bool NothingRan(JobPhase phase) { return phase <= JobPhase::kPrepare; }

int TimeoutCode(JobPhase phase) {
  if (NothingRan(phase)) return kExitTimeoutStart;
  return phase == JobPhase::kInit ? kExitTimeoutInit : kExitTimeout;
}
}  // namespace

int ExitCodeOf(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::kNone:
      return 0;
    case FailureKind::kRankExit:
      return failure.code;
    case FailureKind::kRankSignal:
      return 128 + failure.signo;
    case FailureKind::kAbort:
      return AbortExitCode(failure.code);
    case FailureKind::kNoFinalize:
    case FailureKind::kNoInit:
      return 1;
    case FailureKind::kTimeout:
      return TimeoutCode(failure.phase);
    case FailureKind::kUserSignal:
    case FailureKind::kJobKilled:
      return 128 + failure.signo;
    case FailureKind::kProgramNotFound:
      return kExitNotFound;
    case FailureKind::kProgramNotRunnable:
      return kExitNotRunnable;
    case FailureKind::kWdirMissing:
      return kExitWdirMissing;
    case FailureKind::kNoResources:
      return kExitNoResources;
    case FailureKind::kNodeStart:
      return kExitNodeStart;
    case FailureKind::kNodeLost:
    case FailureKind::kNodeFailed:
      return NothingRan(failure.phase) ? kExitNodeStart : kExitNodeLost;
    case FailureKind::kInternal:
    case FailureKind::kRefused:
    case FailureKind::kDvmStopped:
      return kExitInternal;
  }
  return kExitInternal;
}

JobEnded EndedBy(Failure failure) {
  JobEnded ended;
  ended.exit_code = ExitCodeOf(failure);
  ended.failure = std::move(failure);
  return ended;
}

void ExitRules::OnCause(Failure failure) {
  if (cause_) return;
  cause_ = std::move(failure);
  cause_first_ = !abort_ && !rank_;
}

void ExitRules::OnRootCause(Failure failure) {
  if (cause_) return;
  cause_ = std::move(failure);
  cause_first_ = true;
}

void ExitRules::OnAbort(Failure abort) {
  if (rank_ && rank_->kind == FailureKind::kRankSignal) return;  // a peer's answer to that
  if (!abort_ || abort.rank < abort_->rank) abort_ = std::move(abort);
}

void ExitRules::OnRankFailure(Failure failure) {
  ++rank_failures_;
  if (!rank_ || failure.rank < rank_->rank) rank_ = std::move(failure);
}

Failure ExitRules::Verdict() const {
  if (cause_ && cause_first_) return *cause_;
  if (abort_) return *abort_;
  if (rank_) {
    Failure verdict = *rank_;
    verdict.others = rank_failures_ - 1;
    return verdict;
  }
  return cause_.value_or(Failure{});
}

std::optional<Failure> FailureOfEnd(const ExitStatus& end, bool connected, bool finalized) {
  Failure failure;
  if (end.signal != 0) {
    failure.kind = FailureKind::kRankSignal;
    failure.signo = end.signal;
    failure.core_dumped = end.core;
    return failure;
  }
  if (end.code != 0) {
    failure.kind = FailureKind::kRankExit;
    failure.code = end.code;
    return failure;
  }
  if (connected && !finalized) {
    failure.kind = FailureKind::kNoFinalize;
    return failure;
  }
  return std::nullopt;
}

}  // namespace rex
