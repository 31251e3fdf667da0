// The states of a request to spawn as data. docs/design/dynamic.md shows the same table; tests walk
// the whole grid. Side effects are in jobs.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

enum class SpawnState : uint8_t {
  kAsked,      // decoded; its job is not made yet
  kLaunching,  // its job does not run yet
  kAnswered,   // every child runs; the parent has the name space
  kRefused,    // the parent has a status
};
inline constexpr int kSpawnStates = 4;

enum class SpawnEvent : uint8_t {
  kPlaced,      // directives honoured, ranks placed
  kUnfit,       // a directive, a host, slots
  kAllRunning,  // every child is in its program
  kJobStopped,  // for whatever reason, before that
};
inline constexpr int kSpawnEvents = 4;

struct SpawnEdge {
  SpawnState from;
  SpawnEvent on;
  SpawnState to;
};
inline constexpr SpawnEdge kSpawnEdges[] = {
    {SpawnState::kAsked, SpawnEvent::kPlaced, SpawnState::kLaunching},
    {SpawnState::kAsked, SpawnEvent::kUnfit, SpawnState::kRefused},
    {SpawnState::kLaunching, SpawnEvent::kAllRunning, SpawnState::kAnswered},
    {SpawnState::kLaunching, SpawnEvent::kJobStopped, SpawnState::kRefused},
};

constexpr std::optional<SpawnState> Next(SpawnState from, SpawnEvent on) {
  for (const SpawnEdge& edge : kSpawnEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(Next(SpawnState::kLaunching, SpawnEvent::kJobStopped) == SpawnState::kRefused);
static_assert(!Next(SpawnState::kAnswered, SpawnEvent::kJobStopped));

constexpr std::string_view StateName(SpawnState state) {
  constexpr std::string_view kNames[] = {"asked", "launching", "answered", "refused"};
  return kNames[static_cast<size_t>(state)];
}

constexpr std::string_view EventName(SpawnEvent event) {
  constexpr std::string_view kNames[] = {"placed", "unfit", "all running", "job stopped"};
  return kNames[static_cast<size_t>(event)];
}

}  // namespace rex
