// Sends rexlaunch's stdin to those who get it: jobs at the head, and within a job the parts whose
// ranks read it. The source is asked for as much as the slowest of them can take. One that joins
// later gets what is asked for from then on. Loop thread only; no I/O of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

template <typename Target>
class StdinRouterOf {
 public:
  struct Sink {
    std::function<void(uint64_t bytes)> give_credit;  // to the source
    std::function<void(Target, const std::string& bytes)> send;
    std::function<void(Target)> send_end;
    std::function<void()> all_done;  // the last target takes no more; may be empty
  };
  explicit StdinRouterOf(Sink sink) : sink_(std::move(sink)) {}

  void Start(const std::vector<Target>& targets) {
    for (const Target target : targets) {
      targets_.emplace(target, Position{asked_, asked_});
      if (ended_) sink_.send_end(target);
    }
  }
  // The target takes that many more bytes; it is none: no effect.
  void OnCredit(Target target, uint64_t bytes) {
    const auto it = targets_.find(target);
    if (it == targets_.end()) return;
    it->second.granted += bytes;
    GiveCredit();
  }
  // The target takes no more, or is gone.
  void OnDone(Target target) {
    if (targets_.erase(target) == 0) return;
    GiveCredit();
    if (targets_.empty() && sink_.all_done) sink_.all_done();
  }
  // From the source. Errors: kProtocol: more than was asked for.
  Status OnBytes(const std::string& bytes) {
    const uint64_t begin = received_;
    received_ += bytes.size();
    if (received_ > asked_) return Error{Errc::kProtocol, "more stdin than was asked for"};
    for (const auto& [target, position] : std::map<Target, Position>(targets_)) {
      if (position.from <= begin) {
        sink_.send(target, bytes);
      } else if (position.from < received_) {
        sink_.send(target, bytes.substr(position.from - begin));
      }
    }
    return Ok{};
  }
  void OnEnd() {
    if (ended_) return;
    ended_ = true;
    for (const auto& [target, position] : std::map<Target, Position>(targets_)) {
      sink_.send_end(target);
    }
  }

 private:
  struct Position {
    uint64_t from = 0;     // what came before is not the target's
    uint64_t granted = 0;  // it takes all up to here
  };
  void GiveCredit() {
    if (targets_.empty() || ended_) return;
    const auto slowest = std::min_element(targets_.begin(), targets_.end(), [](auto& a, auto& b) {
      return a.second.granted < b.second.granted;
    });
    if (slowest->second.granted <= asked_) return;
    const uint64_t more = slowest->second.granted - asked_;
    asked_ += more;
    sink_.give_credit(more);
  }

  Sink sink_;
  std::map<Target, Position> targets_;  // that still take bytes
  uint64_t asked_ = 0;                  // of the source, ever
  uint64_t received_ = 0;
  bool ended_ = false;
};

using StdinRouter = StdinRouterOf<NodeId>;

}  // namespace rex
