#include "launcher/tree/start_queue.h"

#include <algorithm>

#include "launcher/base/check.h"

namespace rex {

namespace {
constexpr Clock::Time kNever = Clock::Time::max();
}

void StartQueue::Add(NodeId node, Clock::Time now) {
  Start& start = starts_[node];
  REX_CHECK(start.state == StartState::kQueued || start.state == StartState::kFailed);
  start = Start{};
  start.since = now;
}

std::vector<NodeId> StartQueue::TakeTurns(Clock::Time now) {
  std::vector<NodeId> turns;
  for (const auto& [node, start] : starts_) {
    if (under_way_ == kStartsAtOnce) break;
    if (start.state != StartState::kQueued || start.due > now) continue;
    On(node, StartEvent::kTurn, now);
    turns.push_back(node);
  }
  return turns;
}

std::vector<NodeId> StartQueue::Overdue(Clock::Time now) const {
  std::vector<NodeId> overdue;
  for (const auto& [node, start] : starts_) {
    if (StartBounded(start.state) && start.due <= now) overdue.push_back(node);
  }
  return overdue;
}

void StartQueue::StopClock(NodeId node) {
  const auto found = starts_.find(node);
  if (found != starts_.end() && StartBounded(found->second.state)) found->second.due = kNever;
}

void StartQueue::Extend(NodeId node, Clock::Time now) {
  const auto found = starts_.find(node);
  if (found == starts_.end() || !StartBounded(found->second.state)) return;
  if (found->second.due != kNever) found->second.due = now + bound_;
}

std::optional<StartState> StartQueue::On(NodeId node, StartEvent event, Clock::Time now) {
  const auto found = starts_.find(node);
  if (found == starts_.end()) return std::nullopt;
  Start& start = found->second;
  const auto next = NextStart(start.state, event);
  if (!next) return std::nullopt;
  under_way_ += StartUnderWay(*next) ? 1 : 0;
  under_way_ -= StartUnderWay(start.state) ? 1 : 0;
  start.state = *next;
  start.since = now;
  if (event == StartEvent::kTurn) start.due = now + bound_;
  if (event == StartEvent::kMissing) start.due = now;
  if (event == StartEvent::kServerBusy) start.due = now + Pause(start.retries++);
  return next;
}

bool StartQueue::MayRetry(NodeId node) const {
  const auto found = starts_.find(node);
  return found != starts_.end() && found->second.retries < kBusyRetries;
}

std::optional<StartState> StartQueue::state(NodeId node) const {
  const auto found = starts_.find(node);
  if (found == starts_.end()) return std::nullopt;
  return found->second.state;
}

std::optional<StartStage> StartQueue::stage(NodeId node) const {
  const auto found = starts_.find(node);
  if (found == starts_.end()) return std::nullopt;
  return StartStage{found->second.state, found->second.since};
}

std::optional<Clock::Time> StartQueue::NextDue() const {
  std::optional<Clock::Time> next;
  for (const auto& [node, start] : starts_) {
    const bool waits = start.state == StartState::kQueued && under_way_ < kStartsAtOnce;
    if (start.due == kNever || (!waits && !StartBounded(start.state))) continue;
    if (!next || start.due < *next) next = start.due;
  }
  return next;
}

Clock::Time StartQueue::Pause(int retry) const {
  const auto base = std::chrono::milliseconds(500) * (1 << retry);
  return std::chrono::duration_cast<Clock::Time>(base * (1.0 + random_()));
}

}  // namespace rex
