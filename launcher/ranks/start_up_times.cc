#include "launcher/ranks/start_up_times.h"

#include <algorithm>

namespace rex {

std::optional<StartUpTimes::Time> StartUpTimes::LastOutOfInit() const {
  constexpr size_t kMostInInit = 2;
  size_t start_up = fences_.size();
  if (first_finalize_ && start_up > 1) --start_up;
  if (start_up == 0) return std::nullopt;
  return fences_[std::min(start_up, kMostInInit) - 1];
}

std::vector<Phase> StartUpTimes::Phases(const std::string& node) const {
  std::vector<Phase> phases;
  const auto add = [&](const char* name, const char* process, std::optional<Time> begin,
                       std::optional<Time> end) {
    if (begin && end) phases.push_back({name, *begin, *end, node, process, ""});
  };
  add("keeper", "keeper", keeper.begin, keeper.end);
  add("agent", "agent", agent.begin, agent.end);
  add("host", "host", host.begin, host.end);
  add("image", "agent", image.begin, image.end);
  if (image.begin && image.end) phases.back().note = image_note;
  add("namespace", "host", name_space.begin, name_space.end);
  add("births", "agent", births.begin, births.end);
  if (births.begin && births.end) phases.back().note = births_note;
  add("first connect", "ranks", births.begin, first_connect_);
  add("last out of MPI_Init", "ranks", first_connect_, LastOutOfInit());
  const auto ran_from = LastOutOfInit() ? LastOutOfInit() : births.end;
  add("first exit", "ranks", ran_from, first_exit_);
  add("last exit", "ranks", first_exit_, last_exit_);
  return phases;
}

}  // namespace rex
