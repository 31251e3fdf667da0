// The states of a node's part of a job as data. docs/design/tree.md shows the same table; tests
// walk the whole grid. Side effects are in part.cc: entering a state runs one action.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class PartState : uint8_t {
  kPlanned,      // programs found; waits for the host
  kRegistering,  // waits for the host to know the namespace
  kForking,      // batches at their makers; what is born may run already
  kBorn,         // every rank exists; not all have exec'ed
  kRunning,      // every rank is in its program
  kStopping,     // TERM sent, KILL follows after the grace time
  kDraining,     // every rank reaped; the last output is read
  kDrained,      // waits for the head to end the part
  kEnded,
};
inline constexpr int kPartStates = 9;

enum class PartStep : uint8_t {
  kHostReady,
  kRegistered,
  kAllBorn,
  kAllRunning,
  kStop,       // the head's word, or a failure here that the head has been told of
  kAllReaped,  // no rank is alive and none can come
  kDrained,    // the output is complete, or its time is up
  kEnd,        // the head's word
};
inline constexpr int kPartSteps = 8;

struct PartEdge {
  PartState from;
  PartStep on;
  PartState to;
};
inline constexpr PartEdge kPartEdges[] = {
    {PartState::kPlanned, PartStep::kHostReady, PartState::kRegistering},
    {PartState::kPlanned, PartStep::kStop, PartState::kStopping},
    {PartState::kPlanned, PartStep::kEnd, PartState::kEnded},
    {PartState::kRegistering, PartStep::kRegistered, PartState::kForking},
    {PartState::kRegistering, PartStep::kStop, PartState::kStopping},
    {PartState::kForking, PartStep::kAllBorn, PartState::kBorn},
    {PartState::kForking, PartStep::kStop, PartState::kStopping},
    {PartState::kBorn, PartStep::kAllRunning, PartState::kRunning},
    {PartState::kBorn, PartStep::kStop, PartState::kStopping},
    {PartState::kRunning, PartStep::kAllReaped, PartState::kDraining},
    {PartState::kRunning, PartStep::kStop, PartState::kStopping},
    {PartState::kStopping, PartStep::kAllReaped, PartState::kDraining},
    {PartState::kDraining, PartStep::kDrained, PartState::kDrained},
    {PartState::kDrained, PartStep::kEnd, PartState::kEnded},
};

// Pure. nullopt: the step means nothing in this state; the caller stays where it is.
constexpr std::optional<PartState> Next(PartState from, PartStep on) {
  for (const PartEdge& edge : kPartEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(Next(PartState::kBorn, PartStep::kStop) == PartState::kStopping);
static_assert(!Next(PartState::kEnded, PartStep::kStop));

constexpr std::string_view StateName(PartState state) {
  constexpr std::string_view kNames[] = {"planned",  "registering", "forking", "born", "running",
                                         "stopping", "draining",    "drained", "ended"};
  return kNames[static_cast<size_t>(state)];
}

constexpr std::string_view StepName(PartStep step) {
  constexpr std::string_view kNames[] = {"host ready", "registered", "all born", "all running",
                                         "stop",       "all reaped", "drained",  "end"};
  return kNames[static_cast<size_t>(step)];
}

}  // namespace rex
