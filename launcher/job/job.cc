#include "launcher/job/job.h"

#include <signal.h>

#include <algorithm>

#include "launcher/base/log.h"
#include "launcher/base/text.h"
#include "launcher/job/absences.h"
#include "launcher/job/job_display.h"

namespace rex {

Job::Job(JobServices services, JobSpec spec, JobClient client, JobBounds bounds, JobOrigin origin)
    : services_(std::move(services)),
      spec_(std::move(spec)),
      client_(std::move(client)),
      bounds_(bounds),
      origin_(std::move(origin)),
      name_space_(origin_.name_space.empty() ? NewNameSpace() : origin_.name_space),
      output_({[this](std::string payload) { client_.output(std::move(payload)); },
               [this](NodeId part, uint64_t bytes) { services_.command(part, PartCredit{bytes}); },
               [this](uint64_t bytes) { WantCredit(bytes); }}),
      stdin_({[this](uint64_t bytes) { client_.stdin_credit(bytes); },
              [this](NodeId part, const std::string& bytes) {
                services_.command(part, PartStdin{bytes});
              },
              [this](NodeId part) { services_.command(part, PartStdinEnd{}); },
              [this] {
                if (client_.stdin_done) client_.stdin_done();
              }}),
      absence_after_(spec_.report_after),
      grace_(spec_.grace),
      deadline_(services_.loop, [this] { OnDeadline(); }),
      settle_(services_.loop, [this] { On(JobEvent::kStop); }),
      timeout_(services_.loop, [this] { OnTimeout(); }),
      absence_timer_(services_.loop, [this] { OnAbsenceTimer(); }),
      progress_timer_(services_.loop, [this] { OnProgressTimer(); }),
      wait_(services_.loop, [this] { GiveUpWaiting(); }),
      report_(services_.loop, [this] { On(JobEvent::kStop); }) {}

void Job::Start() {
  begin_ = services_.loop.clock().Now();
  if (spec_.timeout.count() > 0) timeout_.Set(spec_.timeout);
  if (absence_after_.count() > 0) absence_timer_.Set(absence_after_);
  if (spec_.progress) progress_timer_.Set(kProgressAfter);
}

void Job::OnNodes(std::vector<JobNode> nodes, uint32_t dvm_nodes) {
  if (state_ != JobState::kPlanned) return;
  nodes_ = std::move(nodes);
  dvm_nodes_ = dvm_nodes;
  CountThreads(spec_, &nodes_);
  TryToPlace();
}

void Job::OnPlaced(PlacedJob placed) {
  placed_ = std::move(placed);
  ranks_.resize(placed_.map->total());
  for (Rank rank = 0; rank < ranks_.size(); ++rank) CountThreadsOf(rank, 1);
  if (spec_.stdin_rank >= static_cast<int64_t>(ranks_.size())) {
    Failure failure;
    failure.kind = FailureKind::kRefused;
    failure.detail = "option '--stdin': there is no rank " + std::to_string(spec_.stdin_rank);
    failure.remedy = "the job has ranks 0 to " + std::to_string(ranks_.size() - 1);
    return BlameAndStop(std::move(failure));
  }
  for (const NodeId node : placed_.map->nodes()) parts_[node] = {};  // from here on they are told
  // Who spawns knows how many ranks share the cores, and may do it a thousand times.
  const bool spawned = origin_.parent.has_value();
  for (const Notice& notice : placed_.notices) {
    if (!spawned) client_.notice(notice);
  }
  On(JobEvent::kPlaced);
}

// ---- states

void Job::On(JobEvent event) {
  if (const auto next = Next(state_, event)) Enter(*next);
}

void Job::Enter(JobState state) {
  if (LogEnabled(LogLevel::kInfo)) {
    Log(LogLevel::kInfo, "job state from=" + std::string(StateName(state_)) +
                             " to=" + std::string(StateName(state)));
  }
  state_ = state;
  deadline_.Cancel();
  switch (state) {
    case JobState::kPlanned:
      return;
    case JobState::kLaunching:
      return EnterLaunching();
    case JobState::kReleasing:
      return services_.command_all(OpenGates{});
    case JobState::kRunning:
      return EnterRunning();
    case JobState::kStopping:
      return EnterStopping();
    case JobState::kDraining:
      return EnterDraining();
    case JobState::kEnding:
      return EnterEnding();
    case JobState::kDone:
      return EnterDone();
  }
}

void Job::EnterLaunching() {
  LaunchPart launch;
  launch.name_space = name_space_;
  launch.spec = placed_.spec;
  launch.map = placed_.map;
  launch.slots = placed_.slots;
  launch.keep_templates = origin_.keep_templates;
  if (origin_.parent) launch.parent = SpawnedBy{origin_.parent->name_space, origin_.parent->rank};
  for (const NodeId node : placed_.map->nodes()) launch.node_names.push_back(NameOf(node));
  launch.unbuffered = ranks_.size() == 1;
  launch.virtual_nodes = spec_.dvm.bootstrap == Bootstrap::kVirtual && nodes_.size() > 1;
  services_.command_all(std::move(launch));
  output_.Start(placed_.map->nodes());
  if (spec_.stdin_rank == kStdinAll) stdin_.Start(placed_.map->nodes());
  if (spec_.stdin_rank >= 0) stdin_.Start({placed_.map->NodeOf(spec_.stdin_rank)});
  for (const int signo : std::exchange(held_signals_, {})) OnSignal(signo);
}

// The job's end has begun: nothing else begins it.
void Job::CancelTimers() {
  for (Timer* timer : {&settle_, &timeout_, &report_, &absence_timer_, &wait_}) timer->Cancel();
  reporting_ = false;
  EndProgress();
}

// What parts found, once all of them have: in mpirun's order.
void Job::ShowPlan() {
  const auto show = [this](const std::string& text) {
    client_.notice({Notice::Level::kPlain, text});
  };
  for (const auto& [node, text] : topology_texts_) show(text);
  if (spec_.show_allocation) {
    show(spec_.show_json ? AllocationJson(nodes_) : AllocationText(nodes_));
  }
  if (spec_.show_map) show(MapText(name_space_, placed_, nodes_, map_texts_));
  if (spec_.do_not_launch) On(JobEvent::kStop);
}

void Job::EnterRunning() {
  JobStarted started;
  started.job = origin_.number;
  started.name_space = name_space_;
  started.total = static_cast<uint32_t>(ranks_.size());
  for (Rank rank = 0; spec_.verbose && rank < ranks_.size(); ++rank) {
    const RankRecord& r = ranks_[rank];
    started.ranks.push_back(
        {rank, NameOf(placed_.map->NodeOf(rank)), r.pid, r.templated ? "template" : "exec"});
  }
  client_.started(started);
  LetOutputPass();
  if (any_absent_) AskAboutAbsent();
  CheckReaped();
}

void Job::EnterStopping() {
  LetOutputPass();
  CancelTimers();
  if (client_.stopping) client_.stopping();
  services_.command_all(StopPart{grace_, discard_});
  deadline_.Set(grace_ + bounds_.stopping);
  CheckReaped();
}

// Output may be held up by a reader for as long as he likes: no deadline here but the parts' own.
void Job::EnterDraining() {
  CancelTimers();
  if (rules_.failed() && client_.stopping) client_.stopping();  // its last rank failed
  Check(&PartRecord::drained, JobEvent::kAllDrained);
}

void Job::EnterEnding() {
  CancelTimers();
  services_.command_all(EndPart{});
  deadline_.Set(bounds_.ending);
  Check(&PartRecord::ended, JobEvent::kAllEnded);
}

void Job::EnterDone() {
  output_.Flush();
  for (Rank rank = 0; rank < ranks_.size(); ++rank) {
    if (!ranks_[rank].end) CountThreadsOf(rank, -1);  // never born, or nobody told
  }
  JobEnded ended = EndedBy(rules_.Verdict());
  ended.failure.job = origin_.number;
  ended.phases = std::move(phases_);
  for (const auto& [node, part] : parts_) {
    if (!part.report) continue;
    ended.state_report.insert(ended.state_report.end(), part.report->begin(), part.report->end());
  }
  client_.ended(ended);
}

// Parts that have not answered in time are left to their keepers, which end what is there when the
// agents' links close.
void Job::OnDeadline() {
  std::string silent;
  for (auto& [node, part] : parts_) {
    if (part.lost || (state_ == JobState::kEnding ? part.ended : IsReaped(node, part))) continue;
    MarkLost(node, part);
    silent += " " + NameOf(node);
  }
  if (!silent.empty()) {
    client_.notice({Notice::Level::kWarning, "no answer from" + silent + " while the job was " +
                                                 std::string(StateName(state_)) +
                                                 "; what runs there is left to its keeper"});
  }
  if (state_ == JobState::kEnding) return On(JobEvent::kAllEnded);
  CheckReaped();
}

void Job::Check(bool PartRecord::*done, JobEvent event) {
  const bool all = std::all_of(parts_.begin(), parts_.end(),
                               [&](const auto& p) { return p.second.lost || p.second.*done; });
  if (all) On(event);
}

// No rank of the part is alive or can come. A part that was stopped before all its ranks were born
// is drained when those that were have gone.
bool Job::IsReaped(NodeId node, const PartRecord& part) const {
  if (part.lost || part.drained) return true;
  const std::vector<Rank> ranks = placed_.map->RanksOf(node);
  if (part.born < ranks.size()) return false;
  return std::all_of(ranks.begin(), ranks.end(),
                     [this](Rank rank) { return ranks_[rank].end.has_value(); });
}

void Job::CheckReaped() {
  if (state_ != JobState::kRunning && state_ != JobState::kStopping) return;
  const bool all = ranks_ended_ == ranks_.size() ||
                   std::all_of(parts_.begin(), parts_.end(),
                               [this](const auto& p) { return IsReaped(p.first, p.second); });
  if (all) On(JobEvent::kAllReaped);
}

const std::string& Job::NameOf(NodeId node) const {
  const auto it =
      std::find_if(nodes_.begin(), nodes_.end(), [&](const JobNode& n) { return n.id == node; });
  REX_CHECK(it != nodes_.end());
  return it->name;
}

// ---- rexlaunch

void Job::OnSignal(int signo) {
  if (state_ == JobState::kPlanned) return held_signals_.push_back(signo);
  services_.command_all(SignalPart{signo, {}, false});
}

// rexlaunch hears of the job before it hears of its ranks: they may begin to write before the last
// of them is in its program.
void Job::OnOutputCredit(uint64_t bytes) {
  if (state_ >= JobState::kRunning) return output_.AddCredit(bytes);
  held_credit_ += bytes;
}

void Job::LetOutputPass() {
  if (held_credit_ > 0) output_.AddCredit(std::exchange(held_credit_, 0));
  if (const uint64_t wanted = std::exchange(held_want_, 0); wanted > 0) WantCredit(wanted);
}

void Job::WantCredit(uint64_t bytes) {
  if (state_ < JobState::kRunning) {
    held_want_ = bytes;
  } else if (client_.output_wanted) {
    client_.output_wanted(bytes);
  }
}

void Job::OnEndJob(int signo) {
  Failure failure;
  failure.kind = FailureKind::kUserSignal;
  failure.signo = signo;
  if (state_ != JobState::kStopping) rules_.OnCause(std::move(failure));
  if (state_ >= JobState::kStopping) EndHarder();
  end_asked_ = true;
  On(JobEvent::kStop);
}

void Job::OnKilled() {
  Failure failure;
  failure.kind = FailureKind::kJobKilled;
  failure.signo = SIGTERM;
  if (state_ != JobState::kStopping) rules_.OnCause(std::move(failure));
  if (state_ >= JobState::kStopping) EndHarder();
  end_asked_ = true;
  On(JobEvent::kStop);
}

// The end is under way and somebody wants it now: no more grace. When only output is waited for,
// the second word gives that up, too: nobody may be reading it.
void Job::EndHarder() {
  grace_ = std::chrono::milliseconds(0);
  if (end_asked_ && state_ == JobState::kDraining) Discard();
  services_.command_all(StopPart{grace_, discard_});
}

void Job::Discard() {
  discard_ = true;
  output_.Discard();
}

void Job::OnLost(const Failure& failure, bool quick) {
  if (quick) {
    grace_ = std::min(grace_, bounds_.quick_grace);
    Discard();
    if (state_ >= JobState::kStopping) services_.command_all(StopPart{grace_, true});
  }
  BlameAndStop(failure);
}

void Job::MarkLost(NodeId node, PartRecord& part) {
  part.lost = true;
  stdin_.OnDone(node);
  for (const Rank rank : placed_.map->RanksOf(node)) {
    if (!ranks_[rank].end) OnRankEnd({rank, 0, SIGKILL, false, false, false, true});
  }
}

void Job::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  if (busy_ && LeavesOut(nodes)) return TryToPlace();
  bool concerned = state_ == JobState::kPlanned && MayUse(nodes);
  for (const NodeId node : nodes) {
    const auto part = parts_.find(node);
    if (part == parts_.end() || part->second.lost || part->second.ended) continue;
    // When all ranks are gone and what it had to say has come, nothing is lost with it.
    concerned |= state_ < JobState::kDraining || !part->second.drained;
    MarkLost(node, part->second);
  }
  if (concerned && state_ < JobState::kEnding) rules_.OnRootCause(InPhase(failure));
  if (concerned) On(JobEvent::kStop);
  CheckReaped();
  Check(&PartRecord::drained, JobEvent::kAllDrained);
  Check(&PartRecord::ended, JobEvent::kAllEnded);
}

// ---- time limit

void Job::OnTimeout() {
  Failure failure;
  failure.kind = FailureKind::kTimeout;
  failure.detail = WhatIsMissing();
  rules_.OnCause(InPhase(std::move(failure)));  // whatever happens while the report is made
  if (!spec_.report_state || state_ == JobState::kPlanned) return On(JobEvent::kStop);
  reporting_ = true;
  report_.Set(bounds_.reports);
  services_.command_all(AskReport{spec_.stack_traces});
}

void Job::CheckReports() {
  if (!reporting_) return;
  for (const auto& [node, part] : parts_) {
    if (!part.lost && !part.report) return;
  }
  On(JobEvent::kStop);
}

// ---- phases

JobPhase Job::PhaseNow() const {
  if (state_ == JobState::kPlanned) return JobPhase::kNodes;
  if (state_ == JobState::kLaunching) return JobPhase::kPrepare;
  if (state_ == JobState::kReleasing) return JobPhase::kBirths;
  return state_ == JobState::kRunning && InitIsAwaited() ? JobPhase::kInit : JobPhase::kRun;
}

Failure Job::InPhase(Failure failure) const {
  failure.phase = PhaseNow();
  return failure;
}

// For a job that is ended while it waits.
std::string Job::WhatIsMissing() const {
  switch (PhaseNow()) {
    case JobPhase::kNodes:
      if (busy_) return AwaitedLoad();
      return "still missing: " + Listed(services_.missing_nodes());
    case JobPhase::kPrepare:
    case JobPhase::kBirths:
      return "still missing: ranks on " + Listed(UnbornParts());
    case JobPhase::kInit:
      return RanksNotInInit(AbsentFromInit(), ranks_.size());
    case JobPhase::kRun:
      break;
  }
  return "the job was " + std::string(StateName(state_)) + ", " +
         std::to_string(ranks_.size() - ranks_ended_) + " of " + std::to_string(ranks_.size()) +
         " ranks alive";
}

void Job::OnOthersFailed() { On(JobEvent::kStop); }

void Job::BlameAndStop(Failure failure) {
  rules_.OnCause(InPhase(std::move(failure)));
  On(JobEvent::kStop);
}

}  // namespace rex
