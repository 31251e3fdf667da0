// The states of a job at its head as data. docs/design/tree.md shows the same table; tests walk the
// whole grid. Side effects are in job.cc: entering a state runs one action.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class JobState : uint8_t {
  kPlanned,    // accepted; waits for its nodes
  kLaunching,  // every node with ranks has been told; waits until all know the namespace
  kReleasing,  // gates are open: ranks begin as they are born
  kRunning,    // every rank is in its program
  kStopping,   // parts end their ranks
  kDraining,   // no rank is left; the last output comes
  kEnding,     // parts clean up
  kDone,       // JobEnded sent
};
inline constexpr int kJobStates = 8;

enum class JobEvent : uint8_t {
  kPlaced,
  kAllReady,
  kAllRunning,
  kStop,  // a failure, an abort, the user, a timeout, a lost node or process of ours
  kAllReaped,
  kAllDrained,
  kAllEnded,
};
inline constexpr int kJobEvents = 7;

struct JobEdge {
  JobState from;
  JobEvent on;
  JobState to;
};
inline constexpr JobEdge kJobEdges[] = {
    {JobState::kPlanned, JobEvent::kPlaced, JobState::kLaunching},
    {JobState::kPlanned, JobEvent::kStop, JobState::kEnding},  // no part has been told
    {JobState::kLaunching, JobEvent::kAllReady, JobState::kReleasing},
    {JobState::kLaunching, JobEvent::kStop, JobState::kStopping},
    {JobState::kReleasing, JobEvent::kAllRunning, JobState::kRunning},
    {JobState::kReleasing, JobEvent::kStop, JobState::kStopping},
    {JobState::kRunning, JobEvent::kAllReaped, JobState::kDraining},
    {JobState::kRunning, JobEvent::kStop, JobState::kStopping},
    {JobState::kStopping, JobEvent::kAllReaped, JobState::kDraining},
    {JobState::kDraining, JobEvent::kAllDrained, JobState::kEnding},
    {JobState::kEnding, JobEvent::kAllEnded, JobState::kDone},
};

// Pure. nullopt: the event means nothing in this state; the caller stays where it is.
constexpr std::optional<JobState> Next(JobState from, JobEvent on) {
  for (const JobEdge& edge : kJobEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(Next(JobState::kReleasing, JobEvent::kStop) == JobState::kStopping);
static_assert(!Next(JobState::kDone, JobEvent::kStop));

constexpr std::string_view StateName(JobState state) {
  constexpr std::string_view kNames[] = {"planned",  "launching", "releasing", "running",
                                         "stopping", "draining",  "ending",    "done"};
  return kNames[static_cast<size_t>(state)];
}

constexpr std::string_view EventName(JobEvent event) {
  constexpr std::string_view kNames[] = {"placed",     "all ready",   "all running", "stop",
                                         "all reaped", "all drained", "all ended"};
  return kNames[static_cast<size_t>(event)];
}

}  // namespace rex
