// A clock that stands until a test moves it.
#pragma once

#include "launcher/base/check.h"
#include "launcher/base/event_loop.h"

namespace rex::testing {

class FakeClock final : public Clock {
 public:
  Time Now() const override { return now_; }
  // `by` >= 0: a monotonic clock never goes back.
  void Advance(Time by) {
    REX_CHECK(by.count() >= 0);
    now_ += by;
  }

 private:
  Time now_{1'000'000};  // not zero, so that "never set" and "now" differ
};

}  // namespace rex::testing
