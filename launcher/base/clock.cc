#include "launcher/base/clock.h"

#include <time.h>

namespace rex {

Clock::Time MonotonicClock::Now() const {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_nsec / 1000);
}

}  // namespace rex
