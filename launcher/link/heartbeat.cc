#include "launcher/link/heartbeat.h"

#include <algorithm>

namespace rex {

namespace {
constexpr std::chrono::seconds kInterval{5};
constexpr std::chrono::seconds kLate{15};
constexpr std::chrono::seconds kOwnLateness{2};
constexpr int kQuickPings = 5;
constexpr uint64_t kMostClock = uint64_t{1} << 62;  // microseconds; sums of two don't overflow
}  // namespace

Heartbeat::Heartbeat(const Clock& clock, std::chrono::seconds node_timeout)
    : clock_(clock),
      timeout_(node_timeout),
      interval_(std::min<std::chrono::microseconds>(kInterval, timeout_ / 4)),
      heard_(clock.Now()),
      next_ping_(heard_ + interval_) {
  SetNext();
}

void Heartbeat::SetNext() {
  next_ = std::min(next_ping_, heard_ + timeout_);
  if (!late_) next_ = std::min<Clock::Time>(next_, heard_ + kLate);
}

Heartbeat::TimerNews Heartbeat::OnTimer() {
  const Clock::Time now = clock_.Now();
  if (now - next_ > kOwnLateness) heard_ = now;
  TimerNews news;
  news.lost = now - heard_ >= timeout_;
  news.late = !late_ && now - heard_ >= kLate;
  late_ = late_ || news.late;
  news.ping = now >= next_ping_;
  if (news.ping) next_ping_ = now + interval_;
  SetNext();
  return news;
}

bool Heartbeat::OnHeard() {
  heard_ = clock_.Now();
  return std::exchange(late_, false);
}

void Heartbeat::StartQuickPings() {
  quick_left_ = kQuickPings;
  better_ = false;
}

uint64_t Heartbeat::OnPing() {
  ping_ = clock_.Now();
  return static_cast<uint64_t>(ping_->count());
}

Heartbeat::PongNews Heartbeat::OnPong(uint64_t ping, uint64_t peer_clock) {
  if (!ping_ || static_cast<uint64_t>(ping_->count()) != ping || peer_clock > kMostClock) return {};
  const Clock::Time sent = *ping_;
  ping_.reset();
  if (quick_left_ == 0) return {};
  Measure(sent, Clock::Time(static_cast<int64_t>(peer_clock)));
  --quick_left_;
  return {quick_left_ > 0, quick_left_ == 0 && better_};
}

void Heartbeat::Measure(Clock::Time sent, Clock::Time peer_clock) {
  const Clock::Time now = clock_.Now();
  const Clock::Time error = (now - sent + Clock::Time(1)) / 2;  // rounded up
  if (offset_ && offset_->error <= error) return;
  offset_ = {sent + (now - sent) / 2 - peer_clock, error};
  better_ = true;
}

}  // namespace rex
