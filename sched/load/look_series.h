// What a node makes of its looks: the number that counts, and when to look again. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rex {

// The median of the last three looks, of the first three the lowest: what ran by chance in one look
// does not count, and a change is known after two.
class LookSeries {
 public:
  void Add(uint32_t threads);
  uint32_t median() const;
  size_t looks() const { return looks_; }
  // There is something to say: nothing was found in one of two looks, or three are done.
  bool tells() const { return looks_ > 2 || (looks_ == 2 && median() == 0); }
  // The last three agree.
  bool settled() const;

 private:
  std::array<uint32_t, 3> last_{};
  size_t looks_ = 0;
};

struct LookPauses {
  std::chrono::microseconds first{5'000};      // between the first two looks
  std::chrono::microseconds second{15'000};    // and to the third, if these found something
  std::chrono::microseconds usual{1'000'000};  // without triggers, or as long as things change
  std::chrono::microseconds calm{5'000'000};   // with triggers, when looks agree
  int64_t cost_factor = 200;  // a look that took CPU time t is followed by a pause of this times t
};

// From the end of a look to the next one. `triggers`: the kernel tells when threads wait for cores.
std::chrono::microseconds PauseAfterLook(const LookPauses& pauses, const LookSeries& series,
                                         bool triggers, std::chrono::microseconds cpu_time);

}  // namespace rex
