// From nodes to places: a job is placed, refused, or waits until nodes are less loaded.
#include <algorithm>
#include <utility>

#include "launcher/job/job.h"

namespace rex {

void Job::TryToPlace() {
  if (services_.fill_loads) services_.fill_loads(&nodes_);
  auto placed = PlaceJob(spec_, nodes_, dvm_nodes_);
  if (PlacedJob* job = std::get_if<PlacedJob>(&placed)) {
    if (std::exchange(busy_, std::nullopt)) wait_.Cancel();
    return OnPlaced(std::move(*job));
  }
  Failure failure = std::get<Failure>(std::move(placed));
  const bool waits = spec_.load.wait.count() > 0 && OnlyTooBusy(spec_, nodes_, dvm_nodes_);
  if (!waits) return BlameAndStop(std::move(failure));
  WaitForLoads(std::move(failure));
}

void Job::WaitForLoads(Failure failure) {
  const bool first = !busy_;
  busy_ = std::move(failure);
  if (!first) return;
  EndProgress();
  wait_.Set(spec_.load.wait);
  client_.notice(
      {Notice::Level::kInfo,
       "waiting for at most " + std::to_string(spec_.load.wait.count()) + " s: " + busy_->detail});
}

void Job::OnLoads() {
  if (busy_ && state_ == JobState::kPlanned) TryToPlace();
}

void Job::GiveUpWaiting() {
  Failure failure = *busy_;
  failure.detail =
      "waited for " + std::to_string(spec_.load.wait.count()) + " s: " + failure.detail;
  failure.remedy = "raise --max-load or --max-wait";
  BlameAndStop(std::move(failure));
}

// Of a DVM that stays a job was given some nodes, and others may come and go.
bool Job::MayUse(const std::vector<NodeId>& some) const {
  return nodes_.empty() || std::any_of(nodes_.begin(), nodes_.end(), [&some](const JobNode& node) {
           return std::find(some.begin(), some.end(), node.id) != some.end();
         });
}

// Nodes that are lost while the job waits: without them it may be placed as well. False: that is
// not what was asked for.
bool Job::LeavesOut(const std::vector<NodeId>& lost) {
  if (state_ != JobState::kPlanned) return false;
  if (!spec_.dvm.pool && !spec_.dvm.allow_missing) return false;
  if (!MayUse(lost)) return false;
  for (JobNode& node : nodes_) {
    node.missing |= std::find(lost.begin(), lost.end(), node.id) != lost.end();
  }
  return std::any_of(nodes_.begin(), nodes_.end(), [](const JobNode& n) { return !n.missing; });
}

std::string Job::AwaitedLoad() const { return "waiting for less loaded nodes: " + busy_->detail; }

// As many as it was given cores.
int64_t Job::ThreadsOf(Rank rank) const {
  return std::max<int64_t>(placed_.spec->apps[AppIndexOf(rank)].place.cpus_per_rank, 1);
}

void Job::CountThreadsOf(Rank rank, int sign) {
  if (services_.add_threads)
    services_.add_threads(placed_.map->NodeOf(rank), sign * ThreadsOf(rank));
}

}  // namespace rex
