// What a job's end means: which rank is to blame and which exit code follows (docs/rules.md has the
// table). Pure: fed with ends and aborts, asked for a verdict.
//
// A rank is counted as failing only for what it did by itself: an end that came after we signalled
// it is a consequence. Among the ranks that failed by themselves the lowest decides.
#pragma once

#include <optional>
#include <string>

#include "launcher/base/child_table.h"
#include "launcher/wire/messages.h"

namespace rex {

inline constexpr int kExitUsage = 2;           // what was asked for can't be had
inline constexpr int kExitTimeout = 110;       // ETIMEDOUT, as mpirun
inline constexpr int kExitTimeoutInit = 117;   // while ranks were awaited in MPI_Init
inline constexpr int kExitTimeoutStart = 118;  // before any rank ran
inline constexpr int kExitNodeLost = 119;
inline constexpr int kExitNodeStart = 120;
inline constexpr int kExitWdirMissing = 121;
inline constexpr int kExitNoResources = 122;
inline constexpr int kExitInternal = 123;
inline constexpr int kExitNotRunnable = 126;  // as shells do
inline constexpr int kExitNotFound = 127;

// The exit code of rexlaunch for a failure (0 for kNone).
int ExitCodeOf(const Failure& failure);
// What rexlaunch is told of a job that has nothing but its failure.
JobEnded EndedBy(Failure failure);

class ExitRules {
 public:
  // Something other than a rank ended the job (timeout, signal, resources, a lost process). The
  // first one counts; it comes before any rank's failure that was noted after it.
  void OnCause(Failure failure);
  // The same for one that ranks may have felt before we did: what they did is its consequence.
  void OnRootCause(Failure failure);
  // A rank asked to abort. After a rank that was ended by a signal it is a consequence: MPI aborts
  // in the ranks that lose a peer.
  void OnAbort(Failure abort);
  // A rank failed by itself: kRankExit, kRankSignal, kNoFinalize or kNoInit.
  void OnRankFailure(Failure failure);

  bool failed() const { return cause_ || abort_ || rank_; }
  // The failure to report; kind kNone for a good end.
  Failure Verdict() const;

 private:
  std::optional<Failure> cause_;
  bool cause_first_ = false;  // nothing of a rank was noted before the cause
  std::optional<Failure> abort_;
  std::optional<Failure> rank_;
  uint32_t rank_failures_ = 0;
};

// The failure that a rank's end is, if it is one; rank, node, pid and program are the caller's.
std::optional<Failure> FailureOfEnd(const ExitStatus& end, bool connected, bool finalized);

}  // namespace rex
