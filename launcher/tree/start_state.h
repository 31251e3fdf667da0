// The states of a node's start. docs/design/tree.md has the same table.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class StartState : uint8_t {
  kQueued,   // waits for its turn
  kSpawned,  // ssh runs; the marker is awaited
  kGreeted,  // the key is sent; the handshake is awaited
  kJoined,   // Welcome is sent; the node's facts are awaited
  kReady,
  kFailed,
};
inline constexpr uint8_t kStartStates = 6;

enum class StartEvent : uint8_t {
  kTurn,        // fewer than the limit are under way
  kMarker,      // rexd of our version has greeted
  kHandshake,   // done
  kFacts,       // NodeReady came
  kServerBusy,  // ssh's end, with words that say so, and tries are left
  kMissing,     // ssh's end: rex is not there, and is sent at the next turn
  kEnd,         // ssh's end, an end of file, a bad greeting or handshake, the bound
};
inline constexpr uint8_t kStartEvents = 7;

struct StartEdge {
  StartState from;
  StartEvent on;
  StartState to;
};
inline constexpr StartEdge kStartEdges[] = {
    {StartState::kQueued, StartEvent::kTurn, StartState::kSpawned},
    {StartState::kSpawned, StartEvent::kMarker, StartState::kGreeted},
    {StartState::kSpawned, StartEvent::kServerBusy, StartState::kQueued},
    {StartState::kSpawned, StartEvent::kMissing, StartState::kQueued},
    {StartState::kSpawned, StartEvent::kEnd, StartState::kFailed},
    {StartState::kGreeted, StartEvent::kHandshake, StartState::kJoined},
    {StartState::kGreeted, StartEvent::kEnd, StartState::kFailed},
    {StartState::kJoined, StartEvent::kFacts, StartState::kReady},
    {StartState::kJoined, StartEvent::kEnd, StartState::kFailed},
};

// Pure. nullopt: the event means nothing here and changes nothing.
constexpr std::optional<StartState> NextStart(StartState from, StartEvent on) {
  for (const StartEdge& edge : kStartEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}

constexpr bool StartUnderWay(StartState state) {
  return state == StartState::kSpawned || state == StartState::kGreeted;
}
constexpr bool StartBounded(StartState state) {
  return StartUnderWay(state) || state == StartState::kJoined;
}

// How far a start has come and since when.
struct StartStage {
  StartState state = StartState::kQueued;
  std::chrono::microseconds since{0};  // CLOCK_MONOTONIC
};

// For people: what is awaited in that state. `program`: what starts the node, e.g. "ssh".
constexpr std::string_view AwaitedOf(StartState state, std::string_view program) {
  switch (state) {
    case StartState::kQueued:
      return "its turn to be started";
    case StartState::kSpawned:
      return program;
    case StartState::kGreeted:
      return "its agent's handshake";
    case StartState::kJoined:
      return "its agent's report";
    default:
      return "";
  }
}

}  // namespace rex
