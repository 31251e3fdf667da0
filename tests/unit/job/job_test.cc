// The head's Job over one, two and three nodes that are played by the test.
#include "launcher/part/node_apps.h"
#include "tests/unit/job/job_fixture.h"

#include <signal.h>

namespace rex {
namespace {

constexpr JobState kAllStates[] = {JobState::kPlanned, JobState::kLaunching, JobState::kReleasing,
                                   JobState::kRunning, JobState::kStopping,  JobState::kDraining,
                                   JobState::kEnding};

std::string Line(Rank rank, const std::string& text) {
  return EncodeOutput({rank, OutputStream::kStdout, false}, text);
}

class JobTest : public JobFixture {};
class JobOverNodes : public JobFixture, public ::testing::WithParamInterface<uint32_t> {};

// ---- the way of a good job

TEST_P(JobOverNodes, RunsToItsGoodEnd) {
  Make(GetParam());
  EXPECT_EQ(job_->state(), JobState::kPlanned);
  EXPECT_TRUE(sent_.empty());
  Place();
  EXPECT_EQ(job_->state(), JobState::kLaunching);
  EXPECT_EQ(Count<LaunchPart>(), 1U);
  for (uint32_t i = 0; i < nodes_; ++i) {
    EXPECT_EQ(Count<OpenGates>(), 0U) << "gates open when every host knows the namespace";
    Tell(i, PartReady{});
  }
  EXPECT_EQ(Count<OpenGates>(), 1U);
  for (uint32_t i = 0; i < nodes_; ++i) Born(i);
  EXPECT_TRUE(started_.empty());
  TellAll(PartRunning{});
  ASSERT_EQ(started_.size(), 1U);
  EXPECT_EQ(started_[0].total, nodes_ * kPerNode);
  EndAll();
  EXPECT_EQ(job_->state(), JobState::kDraining);
  TellAll(PartDrained{});
  EXPECT_EQ(job_->state(), JobState::kEnding);
  EXPECT_EQ(Count<EndPart>(), 1U);
  EXPECT_EQ(Count<StopPart>(), 0U);
  TellAll(PartEnded{});
  EXPECT_EQ(job_->state(), JobState::kDone);
  EXPECT_EQ(ExitCode(), 0);
  EXPECT_EQ(ends_, 1);
}

// Ranks may be gone before the last node has told that its own run.
TEST_P(JobOverNodes, ShortRanksMayEndBeforeTheLastRuns) {
  Make(GetParam());
  Place();
  TellAll(PartReady{});
  for (uint32_t i = 0; i < nodes_; ++i) Born(i);
  EndAll();
  EXPECT_EQ(job_->state(), JobState::kReleasing);
  TellAll(PartRunning{});
  EXPECT_EQ(job_->state(), JobState::kDraining);
}

TEST_P(JobOverNodes, EveryStateIsLeftWhenStopped) {
  for (const JobState state : kAllStates) {
    To(state, GetParam());
    ASSERT_EQ(job_->state(), state);
    job_->OnEndJob(SIGINT);
    Finish();
    EXPECT_EQ(job_->state(), JobState::kDone) << StateName(state);
    EXPECT_EQ(ExitCode(), 128 + SIGINT) << StateName(state);
  }
}

TEST_P(JobOverNodes, EveryStateSurvivesTheLossOfEveryNode) {
  for (const JobState state : kAllStates) {
    To(state, GetParam());
    for (uint32_t i = 0; i < nodes_; ++i) Lose(i);
    EXPECT_EQ(job_->state(), JobState::kDone) << StateName(state);
    // In kEnding all has been told: nothing is lost with a node. kStopping was begun by a signal.
    // Before the gates open no rank has run.
    const int expected = state == JobState::kEnding     ? 0
                         : state == JobState::kStopping ? 128 + SIGINT
                         : state < JobState::kReleasing ? 120
                                                        : 119;
    EXPECT_EQ(ExitCode(), expected) << StateName(state);
  }
}

TEST_P(JobOverNodes, TheLossOfOneNodeEndsTheOthers) {
  for (const JobState state : kAllStates) {
    To(state, GetParam());
    Lose(0);
    Lose(0);
    Finish();
    EXPECT_EQ(job_->state(), JobState::kDone) << StateName(state);
    EXPECT_EQ(ended_->failure.node,
              state == JobState::kEnding || state == JobState::kStopping ? "" : "n0")
        << StateName(state);
  }
}

TEST_P(JobOverNodes, EveryStateIsLeftWhenRexlaunchIsGone) {
  Failure gone;
  gone.kind = FailureKind::kInternal;
  for (const JobState state : kAllStates) {
    To(state, GetParam());
    job_->OnLost(gone, true);
    Finish();
    EXPECT_EQ(job_->state(), JobState::kDone) << StateName(state);
    const auto stop = Last<StopPart>();
    if (state == JobState::kPlanned) continue;
    ASSERT_TRUE(stop) << StateName(state);
    EXPECT_TRUE(stop->discard_output) << StateName(state);
  }
}

// What nodes owe is bounded: a node that is silent is given up, the others are not.
TEST_P(JobOverNodes, ASilentNodeIsNotWaitedForWhenStopping) {
  To(JobState::kStopping, GetParam());
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 128 + SIGINT);
  ASSERT_FALSE(notices_.empty());
  EXPECT_NE(notices_[0].text.find("no answer from n0"), std::string::npos) << notices_[0].text;
}

TEST_P(JobOverNodes, ASilentNodeIsNotWaitedForWhenEnding) {
  To(JobState::kEnding, GetParam());
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 0);
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_NE(notices_[0].text.find("ending"), std::string::npos) << notices_[0].text;
}

INSTANTIATE_TEST_SUITE_P(Nodes, JobOverNodes, ::testing::Values(1, 2, 3));

// ---- losses

// A node that told everything and whose ranks ended well may go while others' output still comes.
TEST_F(JobTest, ANodeThatIsDrainedMayGoWhileOthersDrain) {
  To(JobState::kDraining, 2);
  Tell(0, PartDrained{});
  Lose(0);
  Tell(1, PartDrained{});
  Tell(1, PartEnded{});
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(JobTest, ANodeWithoutRanksMayGo) {
  To(JobState::kRunning, 2);
  job_->OnNodesLost({NodeId{2 + 1}}, NodeLost("relay"));
  EXPECT_EQ(job_->state(), JobState::kRunning);
}

// Ranks feel the loss of a node, and may fail by it, before the head hears of it.
TEST_F(JobTest, ALostNodeIsToBlameForWhatRanksDidJustBefore) {
  To(JobState::kRunning, 2);
  End(0, 0, SIGABRT);
  Lose(1);
  Finish();
  EXPECT_EQ(ExitCode(), 119);
}

TEST_F(JobTest, WhatALostNodeStillSaysIsIgnored) {
  To(JobState::kRunning, 2);
  Lose(1);
  Tell(1, PartDrained{});
  EXPECT_TRUE(job_->OnPart(Node(1), PartOutput{Line(2, "late\n")}).has_value());
  job_->OnOutputCredit(1000);
  EXPECT_TRUE(output_.empty());
  EXPECT_EQ(job_->state(), JobState::kStopping);
}

// ---- stopping and the output

// A reader may take as long as he likes: once every rank is gone, nothing bounds the output.
TEST_F(JobTest, AFailedJobsOutputIsWaitedForWithoutABound) {
  To(JobState::kRunning, 2);
  Tell(0, PartOutput{Line(0, "last words\n")});
  job_->OnEndJob(SIGTERM);
  EndAll(true);
  EXPECT_EQ(job_->state(), JobState::kDraining);
  Timer later(loop_, [] {});
  later.Set(Milliseconds(20));  // twenty times the bound of stopping
  ASSERT_TRUE(RunUntil([&] { return !later.pending(); }));
  EXPECT_EQ(job_->state(), JobState::kDraining);
  EXPECT_TRUE(notices_.empty());
  TellAll(PartDrained{});
  TellAll(PartEnded{});
  ASSERT_EQ(output_.size(), 1U);
}

// A part tells its ranks batch by batch, and their ends as they come.
TEST_F(JobTest, RanksMayEndBeforeTheLastOfTheirNodeIsBorn) {
  Make(1);
  Place();
  Tell(0, PartReady{});
  Tell(0, PartBorn{0, {100}, {true}});
  End(0, 3);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  EXPECT_EQ(Count<StopPart>(), 1U);
  Tell(0, PartBorn{1, {101}, {true}});
  EXPECT_EQ(job_->state(), JobState::kStopping) << "rank 1 is alive";
  End(1, 0, SIGTERM, true);
  EXPECT_EQ(job_->state(), JobState::kDraining);
  Finish();
  EXPECT_EQ(ExitCode(), 3);
  EXPECT_EQ(ended_->failure.pid, 100);
}

// Ranks that were never born tell no end; their part's word that it is drained counts.
TEST_F(JobTest, APartWithoutRanksIsReapedWhenItIsDrained) {
  To(JobState::kLaunching, 2);
  Born(0);
  job_->OnEndJob(SIGINT);
  End(0, 0, SIGTERM, true);
  End(1, 0, SIGTERM, true);
  EXPECT_EQ(job_->state(), JobState::kStopping);
  Tell(1, PartDrained{});
  EXPECT_EQ(job_->state(), JobState::kDraining);
  Tell(0, PartDrained{});
  EXPECT_EQ(job_->state(), JobState::kEnding);
}

TEST_F(JobTest, ASecondEndJobLeavesNoGrace) {
  JobSpec spec = Spec();
  spec.grace = Milliseconds(60'000);
  Make(2, spec);
  ToRunning();
  job_->OnEndJob(SIGINT);
  EXPECT_EQ(Last<StopPart>()->grace.count(), 60'000);
  job_->OnEndJob(SIGINT);
  EXPECT_EQ(Last<StopPart>()->grace.count(), 0);
  EXPECT_EQ(Count<StopPart>(), 2U);
}

// Nobody may be reading: asked twice while only output is waited for, the job gives it up.
TEST_F(JobTest, OutputThatNobodyTakesIsGivenUpWhenAskedTwice) {
  To(JobState::kDraining, 2);
  Tell(0, PartOutput{Line(0, "stuck\n")});
  job_->OnEndJob(SIGTERM);
  ASSERT_TRUE(Last<StopPart>());
  EXPECT_EQ(Last<StopPart>()->grace.count(), 0);
  EXPECT_FALSE(Last<StopPart>()->discard_output);
  job_->OnEndJob(SIGTERM);
  EXPECT_TRUE(Last<StopPart>()->discard_output);
  TellAll(PartDrained{});
  TellAll(PartEnded{});
  EXPECT_TRUE(output_.empty());
  EXPECT_EQ(ExitCode(), 128 + SIGTERM);
}

TEST_F(JobTest, OutputComesAfterJobStarted) {
  To(JobState::kReleasing, 2);
  job_->OnOutputCredit(1000);
  Tell(0, PartOutput{Line(0, "early\n")});
  EXPECT_TRUE(output_.empty());
  TellAll(PartRunning{});
  EXPECT_EQ(output_.size(), 1U);
}

TEST_F(JobTest, CreditGoesBackToThePartWhoseBytesWent) {
  To(JobState::kRunning, 2);
  job_->OnOutputCredit(1000);
  const size_t before = Receivers<PartCredit>().size();
  Tell(1, PartOutput{Line(2, "12345")});
  const auto receivers = Receivers<PartCredit>();
  ASSERT_EQ(receivers.size(), before + 1);
  EXPECT_EQ(receivers.back(), Node(1));
  EXPECT_EQ(Last<PartCredit>()->bytes, 5U);
}

// ---- failures

TEST_F(JobTest, TheLowestOfRanksThatFailTogetherDecides) {
  To(JobState::kRunning, 3);
  End(4, 5);
  End(1, 7);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ExitCode(), 7);
  EXPECT_EQ(ended_->failure.rank, 1U);
  EXPECT_EQ(ended_->failure.node, "n0");
  EXPECT_EQ(ended_->failure.pid, 101);
  EXPECT_EQ(ended_->failure.others, 1U);
}

TEST_F(JobTest, WhatFollowsStopIsAConsequence) {
  To(JobState::kRunning, 2);
  End(3, 5);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  End(0, 9, 0, true);
  Finish();
  EXPECT_EQ(ExitCode(), 5);
}

TEST_F(JobTest, APartThatFailsEndsTheJobWithItsFailure) {
  To(JobState::kLaunching, 2);
  Failure failure;
  failure.kind = FailureKind::kProgramNotFound;
  failure.node = "n1";
  Tell(1, PartFailed{failure, false});
  EXPECT_EQ(job_->state(), JobState::kStopping);
  TellAll(PartDrained{});
  TellAll(PartEnded{});
  EXPECT_EQ(ExitCode(), 127);
  EXPECT_EQ(ended_->failure.node, "n1");
}

TEST_F(JobTest, ANodeThatBindsItsRanksOtherwiseEndsTheJob) {
  hardware_ = std::make_shared<const Hardware>(PlainHardware(4));
  Make(1);
  Place();
  const auto launch = Last<LaunchPart>();
  ASSERT_TRUE(launch);
  const auto plan = PlanNode(*hardware_, NodeAppsOf(*launch->spec, *launch->map, Node(0)));
  ASSERT_TRUE(plan);
  Tell(0, PartPlanned{launch->map->Digest(), "", "", Digest(*plan)});
  EXPECT_EQ(job_->state(), JobState::kLaunching);
  Tell(0, PartPlanned{launch->map->Digest(), "", "", Digest(*plan) + 1});
  EXPECT_EQ(job_->state(), JobState::kStopping);
  Finish();
}

TEST_F(JobTest, ANodeWithAnotherMapEndsTheJob) {
  To(JobState::kLaunching, 2);
  Tell(0, PartPlanned{1, "", ""});
  EXPECT_EQ(job_->state(), JobState::kStopping);
  Finish();
  EXPECT_EQ(ExitCode(), 120);
  EXPECT_EQ(ended_->failure.node, "n0");
}

TEST_F(JobTest, AnAbortGivesItsCodeAndEndsTheOthers) {
  To(JobState::kRunning, 3);
  EXPECT_TRUE(job_->OnAbort({1, {job_->name_space(), 5}, 42, "text", {}}));
  End(5, 42);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ExitCode(), 42);
  EXPECT_EQ(ended_->failure.rank, 5U);
  EXPECT_EQ(ended_->failure.node, "n2");
}

// An abort of one that was told to end is an answer to that.
TEST_F(JobTest, AnAbortAfterStopChangesNothing) {
  To(JobState::kRunning, 2);
  End(3, 5);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  EXPECT_TRUE(job_->OnAbort({1, {job_->name_space(), 0}, 42, "", {}}));
  Finish();
  EXPECT_EQ(ExitCode(), 5);
}

TEST_F(JobTest, AnAbortOfSomeRanksLetsTheJobGoOn) {
  To(JobState::kRunning, 2);
  EXPECT_TRUE(job_->OnAbort({1, {job_->name_space(), 0}, 42, "", {{job_->name_space(), 3}}}));
  const auto signal = Last<SignalPart>();
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->ranks, std::vector<Rank>{3});
  EXPECT_TRUE(signal->ends_them);
  EXPECT_EQ(job_->state(), JobState::kRunning);
}

// ---- ranks that never come to MPI_Init

TEST_F(JobTest, ARankThatNeverCameToInitIsBlamedWhenEveryHostHasSpoken) {
  To(JobState::kRunning, 2);
  Tell(0, PartProgress{{0}, {}});
  End(3, 0);
  ASSERT_EQ(Count<AskNews>(), 1U);
  Tell(0, PartNews{Last<AskNews>()->number});
  EXPECT_EQ(job_->state(), JobState::kRunning);
  Tell(1, PartNews{Last<AskNews>()->number});
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ExitCode(), 1);
  EXPECT_EQ(ended_->failure.kind, FailureKind::kNoInit);
  EXPECT_EQ(ended_->failure.rank, 3U);
}

TEST_F(JobTest, AHostsLateWordAcquits) {
  To(JobState::kRunning, 2);
  Tell(0, PartProgress{{0}, {}});
  End(3, 0);
  Tell(1, PartProgress{{3}, {3}});
  for (uint32_t node = 0; node < 2; ++node) Tell(node, PartNews{Last<AskNews>()->number});
  Timer later(loop_, [] {});
  later.Set(Milliseconds(10));
  ASSERT_TRUE(RunUntil([&] { return !later.pending(); }));
  EXPECT_EQ(job_->state(), JobState::kRunning);
}

// All of it may have happened before the last node's ranks ran; nothing else may ever happen.
TEST_F(JobTest, ARankThatWasGoneBeforeTheJobRanIsNotForgotten) {
  To(JobState::kReleasing, 2);
  End(3, 0);
  Tell(0, PartProgress{{0}, {}});
  EXPECT_EQ(Count<AskNews>(), 0U);
  TellAll(PartRunning{});
  EXPECT_EQ(Count<AskNews>(), 1U);
}

// A rank that ends while hosts are asked is judged by an answer to a later question only.
TEST_F(JobTest, ARankThatEndsDuringAQuestionIsAskedAboutAnew) {
  To(JobState::kRunning, 2);
  Tell(0, PartProgress{{0}, {}});
  End(3, 0);
  Tell(1, PartProgress{{3}, {3}});
  End(2, 0);
  ASSERT_EQ(Count<AskNews>(), 1U);
  const uint64_t first = Last<AskNews>()->number;
  for (uint32_t node = 0; node < 2; ++node) Tell(node, PartNews{first});
  ASSERT_EQ(Count<AskNews>(), 2U);
  for (uint32_t node = 0; node < 2; ++node) Tell(node, PartNews{Last<AskNews>()->number});
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ended_->failure.rank, 2U);
}

// ---- time limit and reports

TEST_F(JobTest, ATimeLimitCountsWhileNodesAreStarted) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  spec.report_state = true;
  missing_nodes_ = {"n1 (ssh for 1 s)"};
  Make(2, spec);
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 118);
  EXPECT_EQ(Count<AskReport>(), 0U);
  EXPECT_EQ(ended_->failure.phase, JobPhase::kNodes);
  EXPECT_EQ(ended_->failure.detail, "still missing: n1 (ssh for 1 s)");
}

TEST_F(JobTest, ATimeLimitWhileRanksAreBornNamesTheirNodes) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  for (const bool released : {false, true}) {
    Make(2, spec);
    Place();
    if (released) TellAll(PartReady{});
    ASSERT_TRUE(RunTo(JobState::kStopping));
    for (uint32_t node = 0; node < 2; ++node) Born(node);
    Finish();
    EXPECT_EQ(ExitCode(), released ? 110 : 118);
    EXPECT_EQ(ended_->failure.detail, "still missing: ranks on n0, n1");
  }
}

TEST_F(JobTest, ATimeLimitWhileRanksWaitInInitNamesTheOthers) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  Make(2, spec);
  ToRunning();
  Tell(0, PartProgress{{0, 1}, {}});
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ExitCode(), 117);
  EXPECT_EQ(ended_->failure.detail, "2 of 4 ranks had not called MPI_Init: 2, 3");
}

// ---- progress

JobSpec Watched(JobSpec spec) {
  spec.progress = true;
  return spec;
}

TEST_F(JobTest, AWaitIsShownAndItsEndIsTold) {
  Make(2, Watched(Spec()));
  answered_ = {1, 2};
  ASSERT_TRUE(RunUntil([&] { return !progress_.empty(); }));
  EXPECT_EQ(progress_[0].phase, JobPhase::kNodes);
  EXPECT_EQ(progress_[0].done, 1U);
  EXPECT_EQ(progress_[0].total, 2U);
  Place();
  TellAll(PartReady{});
  Born(1);
  ASSERT_TRUE(RunUntil([&] { return progress_.back().phase == JobPhase::kBirths; }));
  EXPECT_EQ(progress_.back().done, 2U);
  EXPECT_EQ(progress_.back().total, 4U);
  Born(0);
  TellAll(PartRunning{});
  ASSERT_TRUE(RunUntil([&] { return progress_.back().phase == JobPhase::kRun; }));
  const size_t told = progress_.size();
  Tell(0, PartProgress{{0}, {}});
  ASSERT_TRUE(RunUntil([&] { return progress_.size() > told; }));
  EXPECT_EQ(progress_.back().phase, JobPhase::kInit);
  EXPECT_EQ(progress_.back().done, 1U);
  job_->OnEndJob(SIGINT);
  EXPECT_EQ(progress_.back().phase, JobPhase::kRun);
}

TEST_F(JobTest, NobodyIsToldWhoDoesNotWatch) {
  JobSpec spec = Spec();
  spec.report_after = Milliseconds(1500);  // later than progress would come
  Make(1, spec);
  missing_nodes_ = {"n1"};
  ASSERT_TRUE(RunUntil([&] { return !notices_.empty(); }));
  EXPECT_TRUE(progress_.empty());
}

TEST_F(JobTest, ReportsOfAllNodesComeInTheirOrder) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  spec.report_state = true;
  Make(2, spec);
  ToRunning();
  ASSERT_TRUE(RunUntil([&] { return Count<AskReport>() == 1; }));
  Tell(1, PartReport{{"rank 2", "rank 3"}});
  Tell(0, PartReport{{"rank 0", "rank 1"}});
  EXPECT_EQ(job_->state(), JobState::kStopping);
  Finish();
  EXPECT_EQ(ExitCode(), 110);
  EXPECT_EQ(ended_->state_report,
            (std::vector<std::string>{"rank 0", "rank 1", "rank 2", "rank 3"}));
}

TEST_F(JobTest, AReportThatNeverComesIsNotWaitedFor) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  spec.report_state = true;
  Make(2, spec);
  ToRunning();
  ASSERT_TRUE(RunUntil([&] { return Count<AskReport>() == 1; }));
  Tell(0, PartReport{{"rank 0"}});
  ASSERT_TRUE(RunTo(JobState::kStopping));
  Finish();
  EXPECT_EQ(ended_->state_report, std::vector<std::string>{"rank 0"});
}

// The bound of what comes next is not used up by the report's.
TEST_F(JobTest, AnEndWhileReportsAreMadeIsStillBounded) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  spec.report_state = true;
  Make(1, spec);
  ToRunning();
  ASSERT_TRUE(RunUntil([&] { return Count<AskReport>() == 1; }));
  job_->OnEndJob(SIGINT);
  EXPECT_EQ(job_->state(), JobState::kStopping);
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 110);
}

TEST_F(JobTest, ALostNodesReportIsNotWaitedFor) {
  JobSpec spec = Spec();
  spec.timeout = Milliseconds(1);
  spec.report_state = true;
  Make(2, spec);
  ToRunning();
  ASSERT_TRUE(RunUntil([&] { return Count<AskReport>() == 1; }));
  Lose(1);
  EXPECT_EQ(job_->state(), JobState::kStopping);
  Finish();
  EXPECT_EQ(ExitCode(), 110);
}

// ---- signals, stdin

TEST_F(JobTest, SignalsBeforeTheLaunchAreKept) {
  Make(2);
  job_->OnSignal(SIGUSR1);
  EXPECT_TRUE(sent_.empty());
  Place();
  ASSERT_EQ(Count<SignalPart>(), 1U);
  EXPECT_EQ(Last<SignalPart>()->signo, SIGUSR1);
  EXPECT_TRUE(std::holds_alternative<LaunchPart>(sent_.front().command));
}

TEST_F(JobTest, StdinGoesToTheTargetsNodeAlone) {
  JobSpec spec = Spec();
  spec.stdin_rank = 3;
  Make(3, spec);
  ToRunning();
  Tell(1, PartStdinCredit{100});
  EXPECT_EQ(stdin_credit_, 100U);
  ASSERT_TRUE(job_->OnStdin("bytes").has_value());
  job_->OnStdinEnd();
  EXPECT_EQ(Receivers<PartStdin>(), std::vector<NodeId>{Node(1)});
  EXPECT_EQ(Receivers<PartStdinEnd>(), std::vector<NodeId>{Node(1)});
}

TEST_F(JobTest, TheEndOfStdinMayComeBeforeThereAreRanks) {
  Make(2);
  job_->OnStdinEnd();
  EXPECT_EQ(Count<PartStdinEnd>(), 0U);
  Place();
  EXPECT_EQ(Receivers<PartStdinEnd>(), std::vector<NodeId>{Node(0)});
}

TEST_F(JobTest, ALostTargetDoesNotHoldUpTheOthersStdin) {
  JobSpec spec = Spec();
  spec.stdin_rank = kStdinAll;
  Make(2, spec);
  ToRunning();
  Tell(0, PartStdinCredit{100});
  EXPECT_EQ(stdin_credit_, 0U);
  Lose(1);
  EXPECT_EQ(stdin_credit_, 100U);
}

TEST_F(JobTest, StdinForARankThatIsNotThereIsRefused) {
  JobSpec spec = Spec();
  spec.stdin_rank = 4;
  Make(2, spec);
  Place();
  EXPECT_EQ(job_->state(), JobState::kDone);
  EXPECT_EQ(ended_->failure.kind, FailureKind::kRefused);
  EXPECT_EQ(Count<LaunchPart>(), 0U);
}

// ---- what is shown, names, times

TEST_F(JobTest, ThePlanIsShownOnceEveryNodeHasOne) {
  JobSpec spec = Spec();
  spec.show_map = true;
  spec.do_not_launch = true;
  Make(2, spec);
  Place();
  const uint64_t digest = Last<LaunchPart>()->map->Digest();
  Tell(1, PartPlanned{digest, "ranks of n1\n", ""});
  EXPECT_TRUE(notices_.empty());
  Tell(0, PartPlanned{digest, "ranks of n0\n", ""});
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_LT(notices_[0].text.find("ranks of n0"), notices_[0].text.find("ranks of n1"));
  EXPECT_EQ(job_->state(), JobState::kStopping);
  TellAll(PartDrained{});
  TellAll(PartEnded{});
  EXPECT_EQ(ExitCode(), 0);
}

// A job that has failed already has nothing to show.
TEST_F(JobTest, NoPlanIsShownOfAJobThatEnds) {
  JobSpec spec = Spec();
  spec.show_map = true;
  Make(1, spec);
  Place();
  job_->OnEndJob(SIGINT);
  Planned(0);
  EXPECT_TRUE(notices_.empty());
}

TEST_F(JobTest, JobStartedNamesEveryRanksNodeWhenVerbose) {
  JobSpec spec = Spec();
  spec.verbose = true;
  Make(2, spec);
  ToRunning();
  ASSERT_EQ(started_.size(), 1U);
  ASSERT_EQ(started_[0].ranks.size(), 4U);
  EXPECT_EQ(started_[0].ranks[2].node, "n1");
  EXPECT_EQ(started_[0].ranks[2].pid, 200);
  EXPECT_EQ(started_[0].ranks[2].birth, "template");
}

TEST_F(JobTest, PhasesOfOtherNodesAreMovedToThisClock) {
  To(JobState::kEnding, 2);
  PartEnded ended;
  ended.phases.push_back({"births", std::chrono::microseconds(5), std::chrono::microseconds(6)});
  Tell(1, ended);
  Tell(0, PartEnded{});
  ASSERT_EQ(ended_->phases.size(), 1U);
  EXPECT_EQ(ended_->phases[0].begin.count(), 2005);
  EXPECT_EQ(ended_->phases[0].end.count(), 2006);
}

TEST_F(JobTest, LeftoversAreToldWithTheirNode) {
  To(JobState::kEnding, 2);
  Tell(1, PartEnded{{}, {"sleep (pid 5)"}});
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_NE(notices_[0].text.find("node n1: sleep (pid 5)"), std::string::npos);
}

TEST_F(JobTest, NonsenseIsRefused) {
  To(JobState::kRunning, 2);
  EXPECT_FALSE(job_->OnPart(NodeId{9}, PartDrained{}).has_value());
  EXPECT_FALSE(
      job_->OnPart(Node(0), RankEnds{{{3, 0, 0, false, false, false, false}}}).has_value());
  EXPECT_FALSE(job_->OnPart(Node(0), PartProgress{{2}, {}}).has_value());
  EXPECT_FALSE(job_->OnPart(Node(0), PartBorn{0, {1}, {true}}).has_value());
  EXPECT_FALSE(job_->OnPart(Node(0), PartBorn{2, {1}, {true}}).has_value());
  EXPECT_FALSE(job_->OnPart(Node(0), PartBorn{1, {1, 2}, {true, true}}).has_value());
}

// ---- loads

class LoadedJobs : public JobTest {
 protected:
  static JobSpec Waiting(std::chrono::seconds wait) {
    JobSpec spec = Spec();
    spec.load = {.max_load = 50, .wait = wait};
    return spec;
  }
  void SetLoad(uint32_t node, uint32_t threads) {
    loads_.OnTold(Node(node), 100 * threads, 400, Clock::Time(0));
  }
};

TEST_F(LoadedJobs, ABusyNodeIsRefusedWithoutAWait) {
  SetLoad(1, 4);
  Make(2, Waiting(std::chrono::seconds(0)));
  Place();
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ExitCode(), 122);
  EXPECT_EQ(ended_->failure.detail,
            "not enough slots: 4 ranks, but 2 free slots on the 1 node with a load of at most "
            "0.50; the loads: n0 0.00, n1 1.00");
  EXPECT_NE(ended_->failure.remedy.find("--wait"), std::string::npos);
}

TEST_F(LoadedJobs, AWaitIsToldOnceAndEndsWhenNodesAreFree) {
  SetLoad(1, 4);
  Make(2, Waiting(std::chrono::seconds(60)));
  Place();
  EXPECT_EQ(job_->state(), JobState::kPlanned);
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_EQ(notices_[0].text.substr(0, 41), "waiting for at most 60 s: not enough slot");
  SetLoad(1, 3);
  job_->OnLoads();
  EXPECT_EQ(job_->state(), JobState::kPlanned);
  EXPECT_EQ(notices_.size(), 1u);
  SetLoad(1, 2);
  job_->OnLoads();
  EXPECT_EQ(job_->state(), JobState::kLaunching);
  Lose(0);
  Lose(1);
  EXPECT_TRUE(RunTo(JobState::kDone));
}

TEST_F(LoadedJobs, AWaitHasABound) {
  SetLoad(0, 4);
  SetLoad(1, 4);
  Make(2, Waiting(std::chrono::seconds(1)));
  Place();
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 122);
  EXPECT_EQ(ended_->failure.detail,
            "waited for 1 s: no node has a load of at most 0.50; the loads: n0 1.00, n1 1.00");
}

TEST_F(LoadedJobs, WhatLoadsCannotHelpIsRefusedAtOnce) {
  SetLoad(1, 4);
  JobSpec spec = Waiting(std::chrono::seconds(60));
  spec.apps.push_back(spec.apps[0]);
  spec.apps[1].ranks = 100;
  Make(2, spec);
  Place();
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ExitCode(), 122);
}

TEST_F(LoadedJobs, AWaitEndsWithTheUser) {
  SetLoad(0, 4);
  Make(1, Waiting(std::chrono::seconds(60)));
  Place();
  job_->OnEndJob(2);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ExitCode(), 130);
  job_->OnLoads();  // too late
  EXPECT_EQ(ends_, 1);
}

TEST_F(LoadedJobs, ATimeLimitNamesTheLoads) {
  SetLoad(0, 4);
  JobSpec spec = Waiting(std::chrono::seconds(60));
  spec.timeout = Milliseconds(1);
  Make(1, spec);
  Place();
  ASSERT_TRUE(RunTo(JobState::kDone));
  EXPECT_EQ(ExitCode(), 118);
  EXPECT_EQ(
      ended_->failure.detail,
      "waiting for less loaded nodes: no node has a load of at most 0.50; the loads: n0 1.00");
}

TEST_F(LoadedJobs, ANodeThatIsLostMeanwhileIsDoneWithoutWhereNobodyNamedIt) {
  SetLoad(0, 4);
  SetLoad(1, 4);
  JobSpec spec = Waiting(std::chrono::seconds(60));
  spec.dvm.pool = spec.oversubscribe = true;
  Make(2, spec);
  Place();
  Lose(0);
  EXPECT_FALSE(ended_);
  SetLoad(1, 0);
  job_->OnLoads();
  EXPECT_EQ(job_->state(), JobState::kLaunching);
  EXPECT_EQ(loads_.Of(Node(1)).load.ranks, 4u);
  Lose(1);
  EXPECT_TRUE(RunTo(JobState::kDone));
}

TEST_F(LoadedJobs, ANodeThatWasNamedAndIsLostMeanwhileEndsTheJob) {
  SetLoad(0, 4);
  Make(1, Waiting(std::chrono::seconds(60)));
  Place();
  Lose(0);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ExitCode(), 120);
}

TEST_F(LoadedJobs, RanksCountFromTheirPlacingToTheirEnds) {
  Make(2);
  Place();
  EXPECT_EQ(loads_.Of(Node(0)).load.ranks, 2u);
  EXPECT_EQ(loads_.Of(Node(1)).load.ranks, 2u);
  TellAll(PartReady{});
  Born(0);
  Born(1);
  TellAll(PartRunning{});
  End(0, 0);
  EXPECT_EQ(loads_.Of(Node(0)).load.ranks, 1u);
  Lose(1);
  EXPECT_EQ(loads_.Of(Node(1)).load.ranks, 0u);
  ASSERT_TRUE(RunTo(JobState::kStopping));
  End(1, 0, 15, true);
  EXPECT_EQ(loads_.Of(Node(0)).load.ranks, 0u);
  Tell(0, PartDrained{});
  Tell(0, PartEnded{});
  EXPECT_EQ(job_->state(), JobState::kDone);
  EXPECT_EQ(loads_.Of(Node(0)).load.ranks, 0u);
}

TEST_F(LoadedJobs, RanksThatWereNeverBornAreGivenBack) {
  Make(2);
  Place();
  job_->OnEndJob(2);
  TellAll(PartDrained{});
  TellAll(PartEnded{});
  EXPECT_EQ(job_->state(), JobState::kDone);
  EXPECT_EQ(loads_.Of(Node(0)).load.ranks, 0u);
}

}  // namespace
}  // namespace rex
