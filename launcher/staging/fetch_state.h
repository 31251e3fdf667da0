// The states of a part's image on its node as data. docs/design/image.md shows the same table;
// tests walk the whole grid.
#pragma once

#include <cstdint>
#include <optional>

namespace rex {

enum class FetchState : uint8_t {
  kChecking,  // a thread looks what is there
  kAwaiting,  // for a route, pieces, or what another job receives
  kPlaced,    // everything lies where programs run
  kFailed,
};
inline constexpr int kFetchStates = 4;

enum class FetchStep : uint8_t { kAllThere, kSomeMissing, kWhole, kFail };
inline constexpr int kFetchSteps = 4;

struct FetchEdge {
  FetchState from;
  FetchStep on;
  FetchState to;
};
inline constexpr FetchEdge kFetchEdges[] = {
    {FetchState::kChecking, FetchStep::kAllThere, FetchState::kPlaced},
    {FetchState::kChecking, FetchStep::kSomeMissing, FetchState::kAwaiting},
    {FetchState::kChecking, FetchStep::kFail, FetchState::kFailed},
    {FetchState::kAwaiting, FetchStep::kWhole, FetchState::kPlaced},
    {FetchState::kAwaiting, FetchStep::kFail, FetchState::kFailed},
};

// Pure. nullopt: the step means nothing in this state.
constexpr std::optional<FetchState> Next(FetchState from, FetchStep on) {
  for (const FetchEdge& edge : kFetchEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}
static_assert(!Next(FetchState::kPlaced, FetchStep::kFail));

}  // namespace rex
