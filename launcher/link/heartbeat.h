// Is the peer there, and what does its clock say? Pure but for the clock.
//
// A ping every 5 s (a quarter of `node_timeout` when that is less); any record counts as a word
// from the peer. 15 s without one: late; `node_timeout`: lost. A timer of our own that comes more
// than 2 s late means that this process was stopped: then the peer had no chance, and its time
// starts anew.
//
// At the start, and again after the move to TCP, five pings follow each other as fast as they are
// answered. The fastest of all gives the clock's offset; half its round trip is the error.
#pragma once

#include <optional>

#include "launcher/base/clock.h"
#include "launcher/link/link.h"

namespace rex {

class Heartbeat {
 public:
  struct TimerNews {
    bool ping = false;  // send one
    bool late = false;  // has just become late
    bool lost = false;
  };
  struct PongNews {
    bool ping = false;   // send one
    bool clock = false;  // offset() is new
  };

  // `clock` is borrowed and outlives this. Time runs from here on.
  Heartbeat(const Clock& clock, std::chrono::seconds node_timeout);

  // When OnTimer wants to be called next.
  Clock::Time next() const { return next_; }
  TimerNews OnTimer();
  // A record came. True: the peer was late.
  bool OnHeard();
  // Begins a round of quick pings: send one now.
  void StartQuickPings();
  // A ping goes out; its number is our clock.
  uint64_t OnPing();
  // Pongs of other pings than the last are passed over.
  PongNews OnPong(uint64_t ping, uint64_t peer_clock);
  std::optional<ClockOffset> offset() const { return offset_; }

 private:
  void SetNext();
  void Measure(Clock::Time sent, Clock::Time peer_clock);

  const Clock& clock_;
  const std::chrono::microseconds timeout_;
  const std::chrono::microseconds interval_;
  Clock::Time heard_;
  Clock::Time next_ping_;
  Clock::Time next_{};
  bool late_ = false;
  int quick_left_ = 0;
  bool better_ = false;  // a quick ping of this round gave a better offset
  std::optional<Clock::Time> ping_;
  std::optional<ClockOffset> offset_;
};

}  // namespace rex
