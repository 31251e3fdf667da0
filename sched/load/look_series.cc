#include "sched/load/look_series.h"

#include <algorithm>

namespace rex {

void LookSeries::Add(uint32_t threads) { last_[looks_++ % last_.size()] = threads; }

uint32_t LookSeries::median() const {
  if (looks_ == 0) return 0;
  const size_t looks = std::min(looks_, last_.size());
  if (looks_ <= last_.size()) return *std::min_element(last_.begin(), last_.begin() + looks);
  std::array<uint32_t, 3> sorted = last_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[1];
}

bool LookSeries::settled() const {
  return looks_ >= 3 && last_[0] == last_[1] && last_[1] == last_[2];
}

std::chrono::microseconds PauseAfterLook(const LookPauses& pauses, const LookSeries& series,
                                         bool triggers, std::chrono::microseconds cpu_time) {
  if (series.looks() == 1) return pauses.first;
  if (!series.tells()) return pauses.second;
  const auto wanted = triggers && series.settled() ? pauses.calm : pauses.usual;
  return std::max(wanted, cpu_time * pauses.cost_factor);
}

}  // namespace rex
