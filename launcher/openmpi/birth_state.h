// The states of a batch of ranks in births.cc, as docs/design/launch-agent.md has them. Pure.
#pragma once

#include <cstdint>
#include <optional>

namespace rex::openmpi {

enum class BatchState : uint8_t {
  kWaiting,    // for its template's greeting
  kSent,       // with a maker
  kReturning,  // its template is gone; what is half-made leaves
  kReleased,   // gate open
  kLate,       // told as running; exec still under way
  kBorn,
  kFailed,
};

enum class BatchEvent : uint8_t {
  kToTemplate,  // the template is fit: sent to it
  kToSpawner,   // sent to the spawner
  kTold,        // pids recorded, gate opened
  kMakerLost,   // the template is gone or silent
  kNoMaker,     // the spawner is gone or silent, or cannot be had
  kSlow,        // the bound of the births ran out
  kOver,        // every rank reached its program or ended
};

struct BatchEdge {
  BatchState from;
  BatchEvent on;
  BatchState to;
};

inline constexpr BatchEdge kBatchEdges[] = {
    {BatchState::kWaiting, BatchEvent::kToTemplate, BatchState::kSent},
    {BatchState::kWaiting, BatchEvent::kToSpawner, BatchState::kSent},
    {BatchState::kWaiting, BatchEvent::kNoMaker, BatchState::kFailed},
    {BatchState::kSent, BatchEvent::kTold, BatchState::kReleased},
    {BatchState::kSent, BatchEvent::kMakerLost, BatchState::kReturning},
    {BatchState::kSent, BatchEvent::kNoMaker, BatchState::kFailed},
    {BatchState::kReturning, BatchEvent::kToSpawner, BatchState::kSent},
    {BatchState::kReturning, BatchEvent::kNoMaker, BatchState::kFailed},
    {BatchState::kReleased, BatchEvent::kOver, BatchState::kBorn},
    {BatchState::kReleased, BatchEvent::kSlow, BatchState::kLate},
    {BatchState::kLate, BatchEvent::kOver, BatchState::kBorn},
};

// nullopt: the event means nothing here.
constexpr std::optional<BatchState> Next(BatchState from, BatchEvent on) {
  for (const BatchEdge& edge : kBatchEdges) {
    if (edge.from == from && edge.on == on) return edge.to;
  }
  return std::nullopt;
}

}  // namespace rex::openmpi
