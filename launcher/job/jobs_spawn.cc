// A request to spawn, from a rank's host to its answer.
#include <algorithm>

#include "launcher/base/log.h"
#include "launcher/job/jobs.h"

namespace rex {

std::optional<Jobs::Asker> Jobs::FindAsker(const pmix::ProcId& asker) {
  if (IsTool(asker)) {
    if (!tool_present_) return std::nullopt;
    return Asker{tool_->base, tool_->base.apps[0]};
  }
  Job* const parent = FindByName(asker.name_space);
  if (parent == nullptr || asker.rank >= parent->total()) return std::nullopt;
  return Asker{parent->spec(), parent->AppOf(asker.rank)};
}

std::optional<NodeId> Jobs::NodeOfAsker(const pmix::ProcId& asker) {
  if (IsTool(asker)) return tool_present_ ? std::optional(tool_->node) : std::nullopt;
  const Job* parent = FindByName(asker.name_space);
  return parent == nullptr ? std::nullopt : parent->NodeOfLive(asker.rank);
}

void Jobs::OnSpawn(NodeId from, const pmix::Spawn& m) {
  SpawnRecord record{from, m.request, m.proc, SpawnState::kAsked, services_.loop.clock().Now(), 0};
  const auto asker = FindAsker(m.proc);
  if (ending_ || !asker) {
    return Refuse(record, {pmix::kErrUnreach, "the job is ending"});
  }
  const std::vector<JobNode> nodes = dvm_.FreeNodes();
  auto planned = PlanSpawn(m, {asker->spec, asker->app, nodes, services_.read_file});
  if (const auto* refusal = std::get_if<SpawnRefusal>(&planned)) return Refuse(record, *refusal);
  auto& plan = std::get<SpawnPlan>(planned);
  if (deadline_.count() > 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - record.asked);
    plan.spec.timeout = std::max(left, std::chrono::milliseconds(1));
  }
  record.ranks = plan.spec.TotalRanks();
  record.tells_ends = plan.tells_ends;
  record.independent = plan.independent || IsTool(m.proc);
  record.attached = plan.attached;
  record.state = *Next(record.state, SpawnEvent::kPlaced);
  const JobNumber number = Make(std::move(plan.spec), std::move(record));
  jobs_.at(number).job->Start();
  Prepare(number, std::any_of(plan.nodes.begin(), plan.nodes.end(),
                              [](const JobNode& node) { return node.id != kHeadNode; }));
  Place(number, std::move(plan.nodes));
}

void Jobs::Refuse(const SpawnRecord& record, const SpawnRefusal& refusal) {
  const std::string who =
      IsTool(record.parent) ? "" : "rank " + std::to_string(record.parent.rank) + " cannot spawn: ";
  client_.notice({Notice::Level::kWarning, who + refusal.text});
  services_.answer(record.node, pmix::SpawnDone{record.request, refusal.status, ""});
}

void Jobs::OnRunning(JobNumber number, const JobStarted& started) {
  client_.started(started);
  Entry& entry = jobs_.at(number);
  if (!entry.spawn || entry.spawn->state != SpawnState::kLaunching) return;
  entry.spawn->state = *Next(entry.spawn->state, SpawnEvent::kAllRunning);
  const SpawnRecord& spawn = *entry.spawn;
  if (shown_jobs_ < kMostShownJobs) {
    phases_.push_back({"spawn", spawn.asked, services_.loop.clock().Now(), "",
                       "job " + std::to_string(entry.shown),
                       std::to_string(spawn.ranks) + (spawn.ranks == 1 ? " rank" : " ranks") +
                           ", asked for by rank " + std::to_string(spawn.parent.rank)});
  }
  services_.answer(spawn.node, pmix::SpawnDone{spawn.request, pmix::kSuccess, started.name_space});
}

void Jobs::OnRankEnded(JobNumber number, const RankEnd& end) {
  const Entry& entry = jobs_.at(number);
  const pmix::ProcId rank{entry.job->name_space(), end.rank};
  if (entry.spawn && entry.spawn->tells_ends) TellParent(*entry.spawn, rank, end);
  // Its job is on the stack below us.
  services_.loop.Post([this, rank, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) EndAttached(rank);
  });
}

void Jobs::TellParent(const SpawnRecord& spawn, const pmix::ProcId& child, const RankEnd& end) {
  const auto node = NodeOfAsker(spawn.parent);
  if (!node) return;
  pmix::EventRaised event;
  event.code = pmix::kEventProcTerminated;
  event.source = child;
  event.targets = {spawn.parent};
  event.exit = pmix::ProcExit{end.code, end.signo};
  services_.answer(*node, event);
}

void Jobs::EndAttached(const pmix::ProcId& parent) {
  ForLive([&](JobNumber number, Job& job) {
    const auto& spawn = jobs_.at(number).spawn;
    if (spawn && spawn->attached && spawn->parent == parent) job.OnOthersFailed();
  });
}

void Jobs::AnswerSpawn(Entry& entry, const Failure& failure) {
  entry.spawn->state = *Next(entry.spawn->state, SpawnEvent::kJobStopped);
  SpawnRefusal refusal{StatusOfSpawnFailure(failure), failure.detail};
  if (failure.kind == FailureKind::kNone) refusal = {pmix::kErrUnreach, "the job is ending"};
  if (!failure.node.empty()) refusal.text += " (node " + failure.node + ")";
  if (!failure.remedy.empty()) refusal.text += "; " + failure.remedy;
  if (refusal.text.empty()) refusal.text = "its job " + std::to_string(entry.shown) + " has failed";
  Refuse(*entry.spawn, refusal);
}

}  // namespace rex
