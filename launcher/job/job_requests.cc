// What ranks ask of the head by PMIx: names, queries, signals, aborts.
#include <signal.h>

#include <algorithm>

#include "launcher/job/job.h"

namespace rex {

namespace {
// PMIx Standard, "Query attributes"; only their names are needed on this side.
constexpr std::string_view kQueryNamespaces = "pmix.qry.ns";
constexpr std::string_view kQueryProcTable = "pmix.qry.ptable";
constexpr std::string_view kQueryLocalProcTable = "pmix.qry.lptable";
// pmix_proc_state_t, pmix_common.h
constexpr uint32_t kProcStatePrepped = 1;
constexpr uint32_t kProcStateRunning = 5;
constexpr uint32_t kProcStateConnected = 6;
constexpr uint32_t kProcStateTerminated = 20;
constexpr uint32_t kProcStateAborted = 52;
// What Open MPI's MPI_Abort gives for want of a text.
constexpr std::string_view kNoAbortText = "N/A";

bool Has(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}
}  // namespace

void Job::OnHostRequest(NodeId from, pmix::HostMessage message) {
  std::visit(
      [this, from](const auto& m) {
        if constexpr (requires { OnRequest(from, m); }) OnRequest(from, m);
      },
      message);
}

// ---- names

void Job::OnRequest(NodeId from, const pmix::Publish& m) {
  SendReplies(names_.Publish(m, from));
  SetNameTimer();
}

void Job::OnRequest(NodeId from, const pmix::Lookup& m) {
  SendReplies(names_.Lookup(m, from));
  SetNameTimer();
}

void Job::OnRequest(NodeId from, const pmix::Unpublish& m) {
  SendReplies(names_.Unpublish(m, from));
}

void Job::SendReplies(const NameStore::Replies& replies) {
  for (const NameStore::Reply& reply : replies) services_.answer(reply.node, reply.message);
}

void Job::SetNameTimer() {
  const auto next = names_.NextDeadline();  // may be in the past: then at once
  if (next) name_timer_.Set(*next - services_.loop.clock().Now());
}

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

void Job::OnRequest(NodeId from, const pmix::Query& m) {
  pmix::QueryDone done{m.request, pmix::kSuccess, {}, {}};
  if (!m.name_space.empty() && m.name_space != name_space_) {
    done.status = pmix::kErrNotFound;
    return services_.answer(from, done);
  }
  if (Has(m.keys, kQueryNamespaces)) done.name_spaces.push_back(name_space_);
  const bool all = Has(m.keys, kQueryProcTable);
  if (all || Has(m.keys, kQueryLocalProcTable)) {
    for (Rank rank = 0; rank < ranks_.size(); ++rank) {
      if (all || placed_.map->NodeOf(rank) == from) done.procs.push_back(StateOf(rank));
    }
  }
  services_.answer(from, done);
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

void Job::OnRequest(NodeId from, const pmix::JobControl& m) {
  std::vector<Rank> targets = Resolve(m.targets);
  services_.answer(from,
                   pmix::OpDone{m.request, targets.empty() ? pmix::kErrNotFound : pmix::kSuccess});
  if (targets.empty()) return;
  services_.command_all(SignalPart{m.signo, std::move(targets), false});
}

void Job::OnRequest(NodeId from, const pmix::Abort& m) {
  services_.answer(from, pmix::OpDone{m.request, pmix::kSuccess});
  std::vector<Rank> targets = Resolve(m.targets);
  if (targets.size() < ranks_.size()) {  // only some are to go: the job itself goes on
    if (!targets.empty()) services_.command_all(SignalPart{SIGTERM, std::move(targets), true});
    return;
  }
  Failure failure;
  failure.kind = FailureKind::kAbort;
  failure.code = m.code;
  if (m.text != kNoAbortText) failure.detail = m.text;
  if (m.proc.rank < ranks_.size()) {
    failure = AboutRank(m.proc.rank, std::move(failure));
    ranks_[m.proc.rank].excused = true;
  }
  // One that has been told to end may abort in answer to that.
  if (state_ < JobState::kStopping) rules_.OnAbort(std::move(failure));
  if (!settle_.pending() && state_ < JobState::kStopping) settle_.Set(bounds_.settle);
}

}  // namespace rex
