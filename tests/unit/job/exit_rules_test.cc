#include "launcher/job/exit_rules.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace rex {
namespace {

Failure RankExit(Rank rank, int code) {
  Failure f;
  f.kind = FailureKind::kRankExit;
  f.rank = rank;
  f.code = code;
  return f;
}

Failure Of(FailureKind kind, int code = 0, int signo = 0) {
  Failure f;
  f.kind = kind;
  f.code = code;
  f.signo = signo;
  return f;
}

TEST(ExitRules, GoodEndIsZero) {
  const ExitRules rules;
  EXPECT_FALSE(rules.failed());
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 0);
}

TEST(ExitRules, LowestRankThatFailedByItselfDecides) {
  ExitRules rules;
  rules.OnRankFailure(RankExit(5, 7));
  rules.OnRankFailure(RankExit(2, 9));
  rules.OnRankFailure(RankExit(3, 11));
  const Failure verdict = rules.Verdict();
  EXPECT_EQ(verdict.rank, 2U);
  EXPECT_EQ(verdict.others, 2U);
  EXPECT_EQ(ExitCodeOf(verdict), 9);
}

TEST(ExitRules, AbortComesBeforeRanksThatFail) {
  ExitRules rules;
  rules.OnRankFailure(RankExit(0, 7));
  Failure abort = Of(FailureKind::kAbort, 42);
  abort.rank = 3;
  rules.OnAbort(abort);
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 42);
}

// MPI aborts in the ranks that lose a peer: the peer's end is what happened.
TEST(ExitRules, AbortAfterASignalIsItsConsequence) {
  ExitRules rules;
  Failure killed = Of(FailureKind::kRankSignal, 0, SIGKILL);
  killed.rank = 3;
  rules.OnRankFailure(killed);
  rules.OnAbort(Of(FailureKind::kAbort, 1));
  EXPECT_EQ(rules.Verdict().kind, FailureKind::kRankSignal);
  EXPECT_EQ(rules.Verdict().rank, 3U);
}

TEST(ExitRules, ASignalAfterAnAbortChangesNothing) {
  ExitRules rules;
  rules.OnAbort(Of(FailureKind::kAbort, 42));
  rules.OnRankFailure(Of(FailureKind::kRankSignal, 0, SIGKILL));
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 42);
}

TEST(ExitRules, RootCauseComesBeforeRanksThatFeltItFirst) {
  ExitRules rules;
  rules.OnRankFailure(RankExit(0, 1));
  rules.OnRootCause(Of(FailureKind::kInternal));
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 123);
}

TEST(ExitRules, LowestAbortingRankDecides) {
  ExitRules rules;
  Failure abort = Of(FailureKind::kAbort, 42);
  abort.rank = 3;
  rules.OnAbort(abort);
  abort.rank = 1;
  abort.code = 5;
  rules.OnAbort(abort);
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 5);
}

TEST(ExitRules, CauseThatCameFirstStays) {
  ExitRules rules;
  rules.OnCause(Of(FailureKind::kTimeout));
  rules.OnRankFailure(RankExit(0, 7));
  rules.OnCause(Of(FailureKind::kUserSignal, 0, SIGINT));
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 110);
}

TEST(ExitRules, RankThatFailedBeforeTheCauseDecides) {
  ExitRules rules;
  rules.OnRankFailure(RankExit(4, 7));
  rules.OnCause(Of(FailureKind::kUserSignal, 0, SIGINT));
  EXPECT_EQ(ExitCodeOf(rules.Verdict()), 7);
}

struct CodeCase {
  Failure failure;
  int exit_code;
};
class ExitCodeTable : public ::testing::TestWithParam<CodeCase> {};
TEST_P(ExitCodeTable, IsTheDocumentedOne) {
  EXPECT_EQ(ExitCodeOf(GetParam().failure), GetParam().exit_code);
}
INSTANTIATE_TEST_SUITE_P(
    Rules, ExitCodeTable,
    ::testing::Values(
        CodeCase{Of(FailureKind::kNone), 0}, CodeCase{Of(FailureKind::kRankExit, 3), 3},
        CodeCase{Of(FailureKind::kRankSignal, 0, SIGSEGV), 139},
        CodeCase{Of(FailureKind::kAbort, 42), 42}, CodeCase{Of(FailureKind::kAbort, 0), 1},
        CodeCase{Of(FailureKind::kAbort, 256), 1}, CodeCase{Of(FailureKind::kAbort, -1), 255},
        CodeCase{Of(FailureKind::kNoFinalize), 1}, CodeCase{Of(FailureKind::kNoInit), 1},
        CodeCase{Of(FailureKind::kTimeout), 110},
        CodeCase{Of(FailureKind::kUserSignal, 0, SIGTERM), 143},
        CodeCase{Of(FailureKind::kProgramNotFound), 127},
        CodeCase{Of(FailureKind::kProgramNotRunnable), 126},
        CodeCase{Of(FailureKind::kWdirMissing), 121}, CodeCase{Of(FailureKind::kNoResources), 122},
        CodeCase{Of(FailureKind::kInternal), 123}, CodeCase{Of(FailureKind::kRefused), 123}));

Failure In(JobPhase phase, FailureKind kind) {
  Failure failure = Of(kind);
  failure.phase = phase;
  return failure;
}
INSTANTIATE_TEST_SUITE_P(
    Phases, ExitCodeTable,
    ::testing::Values(CodeCase{In(JobPhase::kNodes, FailureKind::kTimeout), 118},
                      CodeCase{In(JobPhase::kPrepare, FailureKind::kTimeout), 118},
                      CodeCase{In(JobPhase::kInit, FailureKind::kTimeout), 117},
                      CodeCase{In(JobPhase::kNodes, FailureKind::kNodeStart), 120},
                      CodeCase{In(JobPhase::kNodes, FailureKind::kNodeLost), 120},
                      CodeCase{In(JobPhase::kPrepare, FailureKind::kNodeFailed), 120},
                      CodeCase{In(JobPhase::kBirths, FailureKind::kTimeout), 110},
                      CodeCase{In(JobPhase::kBirths, FailureKind::kNodeFailed), 119},
                      CodeCase{In(JobPhase::kInit, FailureKind::kNodeLost), 119},
                      CodeCase{In(JobPhase::kRun, FailureKind::kNodeLost), 119},
                      CodeCase{In(JobPhase::kRun, FailureKind::kNodeFailed), 119},
                      CodeCase{In(JobPhase::kNodes, FailureKind::kInternal), 123}));

TEST(FailureOfEnd, TellsSignalsExitsAndMissingFinalize) {
  EXPECT_FALSE(FailureOfEnd(ExitStatus{}, false, false));
  EXPECT_FALSE(FailureOfEnd(ExitStatus{}, true, true));
  EXPECT_EQ(FailureOfEnd(ExitStatus{}, true, false)->kind, FailureKind::kNoFinalize);
  EXPECT_EQ(FailureOfEnd(ExitStatus{4, 0, false}, true, false)->kind, FailureKind::kRankExit);
  const auto killed = FailureOfEnd(ExitStatus{0, SIGABRT, true}, true, true);
  EXPECT_EQ(killed->kind, FailureKind::kRankSignal);
  EXPECT_TRUE(killed->core_dumped);
}

}  // namespace
}  // namespace rex
