// How a job ends: ranks' ends judged, aborts, signals, and when everybody is gone.
#include <signal.h>

#include <algorithm>

#include "launcher/job/job.h"

namespace rex {

namespace {
// What Open MPI's MPI_Abort gives for want of a text.
constexpr std::string_view kNoAbortText = "N/A";
}  // namespace

void Job::OnClientEvent(const pmix::ClientEvent& event) {
  if (event.proc.name_space != plan_.name_space || !ranks_.contains(event.proc.rank)) return;
  RankRecord& record = ranks_[event.proc.rank];
  if (event.what == pmix::ClientEvent::What::kConnected) {
    record.connected = true;
    any_connected_ = true;
    times_.OnConnect(event.at);
    if (any_absent_) AskHost();
  } else {
    record.finalized = true;
    times_.OnFinalize(event.at);
    if (!unfinalized_.empty()) CheckReaped();
  }
}

void Job::OnAbort(const pmix::Abort& abort) {
  services_.to_host(pmix::OpDone{abort.request, pmix::kSuccess});
  const std::vector<Rank> targets = pmix_.Resolve(abort.targets);
  if (targets.size() < plan_.total) {  // only some are to go: the job itself goes on
    for (const Rank rank : targets) {
      RankRecord& record = ranks_[rank];
      record.signalled = true;
      if (record.alive()) services_.children.KillGroup(record.pid, SIGTERM);
    }
    return;
  }
  Failure failure;
  failure.kind = FailureKind::kAbort;
  failure.code = abort.code;
  if (abort.text != kNoAbortText) failure.detail = abort.text;
  if (ranks_.contains(abort.proc.rank)) {
    failure = AboutRank(ranks_[abort.proc.rank], std::move(failure));
    ranks_[abort.proc.rank].signalled = true;  // its exit code follows from the abort
  }
  rules_.OnAbort(std::move(failure));
  if (!settle_.pending()) settle_.Set(kSettle);
}

Failure Job::AboutRank(const RankRecord& record, Failure failure) const {
  failure.rank = record.rank;
  failure.node = node_.name;
  failure.pid = record.pid;
  failure.program = plan_.AppOf(record.rank).argv[0];
  return failure;
}

void Job::OnRankEnd(Rank rank, const ExitStatus& end) {
  ranks_.Ended(rank, end);
  times_.OnExit(services_.loop.clock().Now());
  pmix_.OnRankGone(rank);
  const RankRecord& record = ranks_[rank];
  const bool well = end.ok() && !record.signalled;
  if (well && record.connected && !record.finalized) {
    unfinalized_.push_back(rank);
    AskHost();
  } else {
    services_.to_host(pmix::RankGone{{plan_.name_space, rank}});
    if (!record.signalled) JudgeEnd(record);
    any_absent_ |= well && !record.connected;
    if (any_absent_ && any_connected_) AskHost();
  }
  CheckReaped();
}

void Job::JudgeEnd(const RankRecord& record) {
  auto failure = FailureOfEnd(*record.end, record.connected, record.finalized);
  if (!failure) return;
  rules_.OnRankFailure(AboutRank(record, std::move(*failure)));
  // Ranks that fail together get a moment to show their own ends before they are told to go.
  if (!settle_.pending() && state_ < JobState::kStopping) settle_.Set(kSettle);
}

// The host's word that a rank initialised or finalized may come after the kernel's that it ended,
// much later when the host was stopped or starved.
void Job::AskHost() {
  services_.to_host(pmix::Ping{++pings_});
  unsure_timer_.Set(state_ < JobState::kStopping ? std::chrono::milliseconds(kHostBound)
                                                 : kNewsBound);
}

void Job::OnPong(const pmix::Pong& pong) {
  if (pong.number == pings_ && unsure_timer_.pending()) unsure_timer_.Set(kNewsBound);
}

void Job::JudgeUnsure() {
  for (const Rank rank : unfinalized_) {
    services_.to_host(pmix::RankGone{{plan_.name_space, rank}});
    JudgeEnd(ranks_[rank]);
  }
  unfinalized_.clear();
  JudgeAbsent();
  CheckReaped();
}

// MPI_Init waits for every rank of the job: one that has gone without it is waited for in vain.
void Job::JudgeAbsent() {
  const auto& all = ranks_.all();
  const bool awaited = std::any_of(all.begin(), all.end(), [](const RankRecord& r) {
    return r.alive() && r.connected && !r.finalized;
  });
  if (!awaited || state_ != JobState::kRunning || settle_.pending()) return;
  for (const RankRecord& record : all) {
    if (!record.end || !record.end->ok() || record.connected || record.signalled) continue;
    Failure failure;
    failure.kind = FailureKind::kNoInit;
    rules_.OnRankFailure(AboutRank(record, std::move(failure)));
    settle_.Set(kSettle);
  }
}

void Job::CheckReaped() {
  if (ranks_.alive() > 0 || !unanswered_.empty()) return;
  if (!unfinalized_.empty()) {
    // Nobody is left to wait for but the host's word; when it has come already, so much the better.
    std::erase_if(unfinalized_, [this](Rank rank) { return ranks_[rank].finalized; });
    if (!unfinalized_.empty()) return;
  }
  On(JobEvent::kAllReaped);
}

void Job::SignalRanks(int signo) {
  for (const RankRecord& record : ranks_.all()) {
    if (record.alive()) services_.children.KillGroup(record.pid, signo);
  }
}

}  // namespace rex
