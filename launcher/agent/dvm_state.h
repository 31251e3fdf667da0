// The states of a persistent DVM at its head as data. docs/design/dvm.md tells the story,
// docs/states.md shows the same table; tests walk the whole grid. Side effects are in head.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class DvmState : uint8_t {
  kStarting,  // nodes are being started
  kIdle,      // no job
  kBusy,
  kDraining,  // no new job; those that run go on
  kEnding,    // jobs are being ended
  kOver,
};
inline constexpr int kDvmStates = 6;

enum class DvmEvent : uint8_t {
  kNodesUp,
  kJobBegins,
  kJobsOver,  // the last of them
  kIdleOver,  // the idle timeout
  kDrain,     // rexctl stop --wait
  kStop,      // rexctl stop, SIGTERM, a process of rex on this node lost, a start that failed
};
inline constexpr int kDvmEvents = 6;

struct DvmEdge {
  DvmState from;
  DvmEvent on;
  DvmState to;
};
inline constexpr DvmEdge kDvmEdges[] = {
    {DvmState::kStarting, DvmEvent::kNodesUp, DvmState::kIdle},
    {DvmState::kStarting, DvmEvent::kStop, DvmState::kOver},
    {DvmState::kStarting, DvmEvent::kDrain, DvmState::kOver},
    {DvmState::kIdle, DvmEvent::kJobBegins, DvmState::kBusy},
    {DvmState::kIdle, DvmEvent::kIdleOver, DvmState::kOver},
    {DvmState::kIdle, DvmEvent::kDrain, DvmState::kOver},
    {DvmState::kIdle, DvmEvent::kStop, DvmState::kOver},
    {DvmState::kBusy, DvmEvent::kJobsOver, DvmState::kIdle},
    {DvmState::kBusy, DvmEvent::kDrain, DvmState::kDraining},
    {DvmState::kBusy, DvmEvent::kStop, DvmState::kEnding},
    {DvmState::kDraining, DvmEvent::kJobsOver, DvmState::kOver},
    {DvmState::kDraining, DvmEvent::kStop, DvmState::kEnding},
    {DvmState::kEnding, DvmEvent::kJobsOver, DvmState::kOver},
};

// Pure. nullopt: the event means nothing in this state; the caller stays where it is.
constexpr std::optional<DvmState> Next(DvmState from, DvmEvent on) {
  for (const DvmEdge& edge : kDvmEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(Next(DvmState::kBusy, DvmEvent::kStop) == DvmState::kEnding);
static_assert(!Next(DvmState::kOver, DvmEvent::kStop));

constexpr bool TakesJobs(DvmState state) {
  return state == DvmState::kIdle || state == DvmState::kBusy;
}

constexpr std::string_view StateName(DvmState state) {
  constexpr std::string_view kNames[] = {"starting", "idle", "busy", "draining", "ending", "over"};
  return kNames[static_cast<size_t>(state)];
}

constexpr std::string_view EventName(DvmEvent event) {
  constexpr std::string_view kNames[] = {"nodes up",  "job begins", "jobs over",
                                         "idle over", "drain",      "stop"};
  return kNames[static_cast<size_t>(event)];
}

}  // namespace rex
