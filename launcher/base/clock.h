// Where time comes from: CLOCK_MONOTONIC in the product, a hand-set value in unit tests.
#pragma once

#include <chrono>

namespace rex {

class Clock {
 public:
  using Time = std::chrono::microseconds;  // since an arbitrary start; never goes back
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
};

class MonotonicClock final : public Clock {
 public:
  Time Now() const override;
};

}  // namespace rex
