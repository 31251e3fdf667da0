// The states of a job as data. docs/design/one-machine.md shows the same table; tests walk the
// whole grid. Side effects are in job.cc: entering a state runs one action.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class JobState : uint8_t {
  kPlanned,      // accepted and planned; waits for the host
  kRegistering,  // waits for the host to know the namespace
  kForking,      // batches at the spawner, gates closed or opening
  kRunning,      // every rank has exec'ed
  kStopping,     // TERM sent, KILL follows after the grace time
  kDraining,     // every rank reaped; the last output is read
  kDone,         // JobEnded sent
};
inline constexpr int kJobStates = 7;

enum class JobEvent : uint8_t {
  kHostReady,
  kRegistered,
  kAllBorn,
  kStop,       // a failure, an abort, the user, a timeout, a lost process of ours
  kAllReaped,  // no rank is alive and none can come
  kDrained,    // the output is complete, or its time is up
};
inline constexpr int kJobEvents = 6;

struct JobEdge {
  JobState from;
  JobEvent on;
  JobState to;
};
inline constexpr JobEdge kJobEdges[] = {
    {JobState::kPlanned, JobEvent::kHostReady, JobState::kRegistering},
    {JobState::kPlanned, JobEvent::kStop, JobState::kStopping},
    {JobState::kRegistering, JobEvent::kRegistered, JobState::kForking},
    {JobState::kRegistering, JobEvent::kStop, JobState::kStopping},
    {JobState::kForking, JobEvent::kAllBorn, JobState::kRunning},
    {JobState::kForking, JobEvent::kStop, JobState::kStopping},
    {JobState::kRunning, JobEvent::kAllReaped, JobState::kDraining},
    {JobState::kRunning, JobEvent::kStop, JobState::kStopping},
    {JobState::kStopping, JobEvent::kAllReaped, JobState::kDraining},
    {JobState::kDraining, JobEvent::kDrained, JobState::kDone},
};

// Pure. nullopt: the event means nothing in this state; the caller stays where it is.
constexpr std::optional<JobState> Next(JobState from, JobEvent on) {
  for (const JobEdge& edge : kJobEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(Next(JobState::kForking, JobEvent::kStop) == JobState::kStopping);
static_assert(!Next(JobState::kDone, JobEvent::kStop));

constexpr std::string_view StateName(JobState state) {
  constexpr std::string_view kNames[] = {"planned",  "registering", "forking", "running",
                                         "stopping", "draining",    "done"};
  return kNames[static_cast<size_t>(state)];
}

}  // namespace rex
