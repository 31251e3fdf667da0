// What ranks ask about a job, or of it, by PMIx: states, signals, aborts.
#include <signal.h>

#include <algorithm>

#include "launcher/job/job.h"

namespace rex {

namespace {
// pmix_proc_state_t, pmix_common.h
constexpr uint32_t kProcStatePrepped = 1;
constexpr uint32_t kProcStateRunning = 5;
constexpr uint32_t kProcStateConnected = 6;
constexpr uint32_t kProcStateTerminated = 20;
constexpr uint32_t kProcStateAborted = 52;
// What Open MPI's MPI_Abort gives for want of a text.
constexpr std::string_view kNoAbortText = "N/A";

}  // namespace

// ---- queries

uint32_t Job::AppIndexOf(Rank rank) const {
  uint32_t app = 0;
  for (Rank first = placed_.spec->apps[0].ranks; rank >= first;) {
    first += placed_.spec->apps[++app].ranks;
  }
  return app;
}

pmix::ProcState Job::StateOf(Rank rank) const {
  const RankRecord& record = ranks_[rank];
  pmix::ProcState state;
  state.proc = {name_space_, rank};
  state.node = NameOf(placed_.map->NodeOf(rank));
  state.app = AppIndexOf(rank);
  state.program = placed_.spec->apps[state.app].argv[0];
  state.pid = record.pid;
  if (record.end) {
    const RankEnd& end = *record.end;
    state.exit_code = end.signo != 0 ? 128 + end.signo : end.code;
    state.state = state.exit_code == 0 ? kProcStateTerminated : kProcStateAborted;
  } else if (record.pid == 0) {
    state.state = kProcStatePrepped;
  } else {
    state.state = record.connected ? kProcStateConnected : kProcStateRunning;
  }
  return state;
}

void Job::AddStates(std::optional<NodeId> node, std::vector<pmix::ProcState>* states) const {
  if (state_ == JobState::kPlanned) return;
  for (Rank rank = 0; rank < ranks_.size(); ++rank) {
    if (!node || placed_.map->NodeOf(rank) == *node) states->push_back(StateOf(rank));
  }
}

namespace {
RankState RankStateOf(bool born, bool connected, bool finalized, bool ended) {
  if (ended) return RankState::kExited;
  if (finalized) return RankState::kFinalized;
  if (connected) return RankState::kConnected;
  return born ? RankState::kRunning : RankState::kUnborn;
}
}  // namespace

DvmJob Job::Describe(JobNumber number) const {
  DvmJob job;
  job.number = number;
  job.name_space = name_space_;
  job.state = static_cast<uint32_t>(state_);
  job.ranks = total();
  job.live = static_cast<uint32_t>(ranks_.size() - ranks_ended_);
  job.age =
      std::chrono::duration_cast<std::chrono::milliseconds>(services_.loop.clock().Now() - begin_);
  if (origin_.parent) job.parent_rank = std::min(origin_.parent->rank, kMaxRanks - 1);
  job.command = spec_.apps[0].argv;
  job.cwd = spec_.apps[0].wdir.empty() ? spec_.cwd : spec_.apps[0].wdir;
  return job;
}

void Job::AddRanks(JobNumber number, std::vector<DvmRank>* ranks) const {
  for (Rank rank = 0; rank < ranks_.size(); ++rank) {
    const RankRecord& record = ranks_[rank];
    DvmRank view;
    view.job = number;
    view.rank = rank;
    view.node = NameOf(placed_.map->NodeOf(rank));
    view.pid = record.pid;
    view.state =
        RankStateOf(record.pid != 0, record.connected, record.finalized, record.end.has_value());
    if (record.end) {
      view.code = record.end->code;
      view.signo = record.end->signo;
    }
    view.templated = record.templated;
    view.program = AppOf(rank).argv[0];
    ranks->push_back(std::move(view));
  }
}

std::vector<NodeId> Job::Nodes() const {
  return placed_.map == nullptr ? std::vector<NodeId>{} : placed_.map->nodes();
}

std::optional<NodeId> Job::NodeOfLive(Rank rank) const {
  if (rank >= ranks_.size() || ranks_[rank].end) return std::nullopt;
  return placed_.map->NodeOf(rank);
}

uint32_t Job::LiveOn(NodeId node) const {
  if (placed_.map == nullptr) return 0;
  uint32_t live = 0;
  for (const Rank rank : placed_.map->RanksOf(node)) live += ranks_[rank].end ? 0 : 1;
  return live;
}

// ---- signals and aborts

std::vector<Rank> Job::Resolve(const std::vector<pmix::ProcId>& targets) const {
  std::vector<bool> named(ranks_.size(), targets.empty());
  for (const pmix::ProcId& target : targets) {
    if (target.name_space != name_space_) continue;
    if (target.rank == pmix::kRankWildcard) named.assign(named.size(), true);
    if (target.rank < named.size()) named[target.rank] = true;
  }
  std::vector<Rank> ranks;
  for (Rank rank = 0; rank < named.size(); ++rank) {
    if (named[rank]) ranks.push_back(rank);
  }
  return ranks;
}

bool Job::OnJobControl(const pmix::JobControl& m) {
  std::vector<Rank> targets = Resolve(m.targets);
  if (targets.empty()) return false;
  services_.command_all(SignalPart{m.signo, std::move(targets), false});
  return true;
}

bool Job::OnAbort(const pmix::Abort& m) {
  std::vector<Rank> targets = Resolve(m.targets);
  if (targets.size() < ranks_.size()) {  // only some are to go: the job itself goes on
    if (targets.empty()) return false;
    services_.command_all(SignalPart{SIGTERM, std::move(targets), true});
    return true;
  }
  Failure failure;
  failure.kind = FailureKind::kAbort;
  failure.code = m.code;
  if (m.text != kNoAbortText) failure.detail = m.text;
  failure.rank = m.proc.rank;
  if (m.proc.name_space == name_space_ && m.proc.rank < ranks_.size()) {
    failure = AboutRank(m.proc.rank, std::move(failure));
    ranks_[m.proc.rank].excused = true;
  }
  // One that has been told to end may abort in answer to that.
  if (state_ < JobState::kStopping) rules_.OnAbort(std::move(failure));
  if (!settle_.pending() && state_ < JobState::kStopping) settle_.Set(bounds_.settle);
  return true;
}

}  // namespace rex
