// When the phases of a launch began and ended on this node: what --timeline shows of the agent.
// Times are CLOCK_MONOTONIC. Plain bookkeeping, no clock of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/base/phase.h"

namespace rex {

class StartUpTimes {
 public:
  using Time = Clock::Time;
  struct Span {
    std::optional<Time> begin;
    std::optional<Time> end;
  };
  Span keeper;  // keeper's main to agent's main
  Span agent;   // agent's main to the job's arrival
  Span host;    // libpmix initialising
  Span image;   // programs looked for, and received where they were missing
  std::string image_note;
  Span name_space;          // registration of the job with libpmix
  Span births;              // first batch sent to last rank in its program
  std::string births_note;  // which way they came

  void OnConnect(Time at) {
    if (!first_connect_) first_connect_ = at;
  }
  // A fence of the whole namespace was released. Hosts tell of the first few only.
  void OnFence(Time at) {
    if (!first_finalize_) fences_.push_back(at);
  }
  void OnFinalize(Time at) {
    if (!first_finalize_) first_finalize_ = at;
  }
  void OnExit(Time at) {
    if (!first_exit_) first_exit_ = at;
    last_exit_ = at;
  }

  // The release of the job's last start-up fence. Open MPI fences once or twice in MPI_Init and
  // once in MPI_Finalize, right before it finalizes PMIx: that one is not a start-up fence.
  std::optional<Time> LastOutOfInit() const;

  std::vector<Phase> Phases(const std::string& node) const;

 private:
  std::optional<Time> first_connect_;
  std::vector<Time> fences_;
  std::optional<Time> first_finalize_;
  std::optional<Time> first_exit_;
  std::optional<Time> last_exit_;
};

}  // namespace rex
