// What the parts of a job tell its head: how far they are, how their ranks end, what follows.
#include <algorithm>

#include "launcher/job/job.h"
#include "launcher/part/node_apps.h"

namespace rex {

namespace {
Error Impossible(const char* what) { return Error{Errc::kProtocol, what}; }
}  // namespace

Status Job::OnPart(NodeId from, PartEvent event) {
  const auto part = parts_.find(from);
  if (part == parts_.end()) return Impossible("an event of a node that has no part");
  if (part->second.lost) return Ok{};
  return std::visit([this, from](auto& m) { return this->Take(from, m); }, event);
}

bool Job::Owns(NodeId node, Rank rank) const {
  return rank < ranks_.size() && placed_.map->NodeOf(rank) == node;
}

Status Job::Take(NodeId from, PartPlanned& m) {
  if (m.map_digest != placed_.map->Digest()) {
    Failure failure = InternalFailure("the node made another map of the ranks than the head",
                                      "use one version of rex on all nodes");
    failure.node = NameOf(from);
    if (from != kHeadNode) failure.kind = FailureKind::kNodeFailed;
    BlameAndStop(std::move(failure));
    return Ok{};
  }
  if (const auto expected = PlanDigestOf(from); expected && m.plan_digest != *expected) {
    Failure failure = InternalFailure(
        "the node numbers or binds its ranks otherwise than the head: its processors are not those "
        "that it told when it started",
        "were cores or cpusets changed there meanwhile? run the job again");
    failure.node = NameOf(from);
    BlameAndStop(std::move(failure));
    return Ok{};
  }
  parts_[from].planned = true;
  parts_[from].leases = {NameOf(from), CoresOf(from), m.cores_held, std::move(m.lease_trouble),
                         m.trouble_is_new};
  if (spec_.show_map) map_texts_[from] = std::move(m.map_text);
  if (spec_.show_topology) topology_texts_[from] = std::move(m.topology_text);
  const bool all =
      std::all_of(parts_.begin(), parts_.end(), [](const auto& p) { return p.second.planned; });
  if (all && state_ == JobState::kLaunching) {
    TellLeases();
    ShowPlan();
  }
  return Ok{};
}

void Job::TellLeases() {
  std::vector<LeaseNews> news;
  for (const auto& [node, part] : parts_) news.push_back(part.leases);
  for (Notice notice : LeaseNotices(news)) {
    // Those who hold them most likely are the spawned job's own parents, and that is no news.
    if (origin_.parent) notice.level = Notice::Level::kDetail;
    client_.notice(notice);
  }
}

uint32_t Job::CoresOf(NodeId node) const {
  const auto it =
      std::find_if(nodes_.begin(), nodes_.end(), [&](const JobNode& n) { return n.id == node; });
  return it == nodes_.end() ? 0 : it->cores;
}

// What the node must have made of its ranks, as far as its hardware is known here.
std::optional<uint64_t> Job::PlanDigestOf(NodeId node) const {
  const auto it =
      std::find_if(nodes_.begin(), nodes_.end(), [&](const JobNode& n) { return n.id == node; });
  if (it == nodes_.end() || !it->hardware) return std::nullopt;
  const auto plan = PlanNode(*it->hardware, NodeAppsOf(*placed_.spec, *placed_.map, node));
  if (!plan) return std::nullopt;  // the node says why
  return Digest(*plan);
}

Status Job::Take(NodeId from, PartReady&) {
  parts_[from].ready = true;
  Check(&PartRecord::ready, JobEvent::kAllReady);
  return Ok{};
}

Status Job::Take(NodeId from, PartBorn& m) {
  const std::vector<Rank> ranks = placed_.map->RanksOf(from);
  if (m.first > ranks.size() || m.pids.size() > ranks.size() - m.first) {
    return Impossible("PartBorn: more ranks than the part has");
  }
  for (size_t i = 0; i < m.pids.size(); ++i) {
    RankRecord& record = ranks_[ranks[m.first + i]];
    if (record.pid != 0) return Impossible("PartBorn: a rank that is born already");
    record.pid = m.pids[i];
    record.templated = m.templated[i];
  }
  parts_[from].born += m.pids.size();
  return Ok{};
}

Status Job::Take(NodeId from, PartRunning&) {
  parts_[from].running = true;
  Check(&PartRecord::running, JobEvent::kAllRunning);
  return Ok{};
}

// Wherever a process of rex ends on another node, and whoever tells of it first (the node itself,
// or the end of its link), it is that node that failed.
Status Job::Take(NodeId from, PartFailed& m) {
  const bool of_rex = m.failure.kind == FailureKind::kInternal;
  if (of_rex && from != kHeadNode) m.failure.kind = FailureKind::kNodeFailed;
  if (m.root_cause && state_ < JobState::kStopping) rules_.OnRootCause(InPhase(m.failure));
  BlameAndStop(std::move(m.failure));
  return Ok{};
}

Status Job::Take(NodeId from, PartOutput& m) {
  output_.OnOutput(from, std::move(m.payload));
  return Ok{};
}

Status Job::Take(NodeId from, PartStdinCredit& m) {
  stdin_.OnCredit(from, m.bytes);
  return Ok{};
}

Status Job::Take(NodeId from, PartStdinDone&) {
  stdin_.OnDone(from);
  return Ok{};
}

Status Job::Take(NodeId, PartNotice& m) {
  client_.notice(m.notice);
  return Ok{};
}

Status Job::Take(NodeId from, PartReport& m) {
  if (m.number != kTimeoutReport) {
    if (m.number == absence_number_) OnAbsenceReport(from, std::move(m.lines));
    return Ok{};
  }
  parts_[from].report = std::move(m.lines);
  CheckReports();
  return Ok{};
}

Status Job::Take(NodeId from, PartDrained&) {
  parts_[from].drained = true;
  CheckReaped();
  Check(&PartRecord::drained, JobEvent::kAllDrained);
  return Ok{};
}

Status Job::Take(NodeId from, PartEnded& m) {
  parts_[from].drained = true;
  parts_[from].ended = true;
  const auto offset = services_.clock_offset(from);
  for (Phase& phase : m.phases) {
    phase.begin += offset;
    phase.end += offset;
    phases_.push_back(std::move(phase));
  }
  if (!m.leftovers.empty()) {
    std::string text =
        "ended " + std::to_string(m.leftovers.size()) + " process(es) that the ranks left behind";
    if (parts_.size() > 1) text += " on node " + NameOf(from);
    text += ":";
    for (const std::string& process : m.leftovers) text += " " + process;
    client_.notice({Notice::Level::kInfo, text});
  }
  Check(&PartRecord::ended, JobEvent::kAllEnded);
  return Ok{};
}

// ---- ranks

Status Job::Take(NodeId from, PartProgress& m) {
  for (const Rank rank : m.connected) {
    if (!Owns(from, rank)) return Impossible("PartProgress: another node's rank");
    ranks_[rank].connected = true;
    any_connected_ = true;
  }
  for (const Rank rank : m.finalized) {
    if (!Owns(from, rank)) return Impossible("PartProgress: another node's rank");
    ranks_[rank].finalized = true;
  }
  if (any_absent_) AskAboutAbsent();
  if (spec_.progress && !progress_timer_.pending() && InitIsAwaited()) {
    progress_timer_.Set(kProgressAfter);
  }
  return Ok{};
}

Status Job::Take(NodeId from, RankEnds& m) {
  for (const RankEnd& end : m.ends) {
    if (!Owns(from, end.rank)) return Impossible("RankEnds: another node's rank");
    OnRankEnd(end);
  }
  if (any_absent_ && any_connected_) AskAboutAbsent();
  CheckReaped();
  return Ok{};
}

void Job::OnRankEnd(const RankEnd& end) {
  RankRecord& record = ranks_[end.rank];
  if (record.end) return;
  record.end = end;
  CountThreadsOf(end.rank, -1);
  record.connected |= end.connected;
  record.finalized |= end.finalized;
  ++ranks_ended_;
  if (services_.proc_gone) services_.proc_gone({name_space_, end.rank});
  if (services_.rank_ended) services_.rank_ended(end);
  if (end.consequence || record.excused || origin_.independent) return;
  Judge(end);
  any_absent_ |= end.signo == 0 && end.code == 0 && !record.connected;
}

void Job::Judge(const RankEnd& end) {
  const ExitStatus status{end.code, end.signo, end.core_dumped};
  auto failure = FailureOfEnd(status, end.connected, end.finalized);
  if (!failure) return;
  rules_.OnRankFailure(AboutRank(end.rank, std::move(*failure)));
  // Ranks that fail together get a moment to show their own ends before they are told to go.
  if (!settle_.pending() && state_ < JobState::kStopping) settle_.Set(bounds_.settle);
}

Failure Job::AboutRank(Rank rank, Failure failure) const {
  failure.rank = rank;
  failure.node = NameOf(placed_.map->NodeOf(rank));
  failure.pid = ranks_[rank].pid;
  failure.program = placed_.spec->apps[AppIndexOf(rank)].argv[0];
  return failure;
}

// ---- ranks that never came to MPI_Init

bool Job::SomebodyWaitsInInit() const {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [](const RankRecord& r) { return !r.end && r.connected && !r.finalized; });
}

bool Job::IsAbsent(const RankRecord& record) const {
  const bool well = record.end && record.end->signo == 0 && record.end->code == 0;
  return well && !record.connected && !record.excused && !record.end->consequence;
}

// What hosts know comes later than what kernels know: they are asked before anybody is blamed.
void Job::AskAboutAbsent() {
  if (state_ != JobState::kRunning || !asked_news_.empty() || !SomebodyWaitsInInit()) return;
  asked_about_.clear();
  for (Rank rank = 0; rank < ranks_.size(); ++rank) {
    if (IsAbsent(ranks_[rank])) asked_about_.push_back(rank);
  }
  if (asked_about_.empty()) return;
  ++news_number_;
  for (const auto& [node, part] : parts_) {
    if (!part.lost) asked_news_.insert(node);
  }
  services_.command_all(AskNews{news_number_});
}

Status Job::Take(NodeId from, PartNews& m) {
  if (m.number != news_number_ || asked_news_.erase(from) == 0) return Ok{};
  if (asked_news_.empty()) JudgeAbsent();
  return Ok{};
}

// MPI_Init waits for every rank of the job: one that has gone without it is waited for in vain.
void Job::JudgeAbsent() {
  if (!SomebodyWaitsInInit() || state_ != JobState::kRunning || settle_.pending()) return;
  for (const Rank rank : asked_about_) {
    if (!IsAbsent(ranks_[rank])) continue;
    Failure failure;
    failure.kind = FailureKind::kNoInit;
    rules_.OnRankFailure(AboutRank(rank, std::move(failure)));
    settle_.Set(bounds_.settle);
  }
  if (!settle_.pending()) AskAboutAbsent();  // others may have gone meanwhile
}

}  // namespace rex
