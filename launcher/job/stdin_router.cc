#include "launcher/job/stdin_router.h"

#include <algorithm>

namespace rex {

void StdinRouter::Start(const std::vector<NodeId>& targets) {
  for (const NodeId target : targets) {
    granted_.emplace(target, 0);
    if (ended_) sink_.send_end(target);
  }
}

void StdinRouter::OnCredit(NodeId part, uint64_t bytes) {
  const auto it = granted_.find(part);
  if (it == granted_.end()) return;
  it->second += bytes;
  GiveCredit();
}

void StdinRouter::OnDone(NodeId part) {
  if (granted_.erase(part) > 0) GiveCredit();
}

void StdinRouter::GiveCredit() {
  if (granted_.empty() || ended_) return;
  const auto slowest = std::min_element(granted_.begin(), granted_.end(),
                                        [](auto& a, auto& b) { return a.second < b.second; });
  if (slowest->second <= asked_) return;
  const uint64_t more = slowest->second - asked_;
  asked_ += more;
  sink_.give_credit(more);
}

Status StdinRouter::OnBytes(const std::string& bytes) {
  received_ += bytes.size();
  if (received_ > asked_) return Error{Errc::kProtocol, "more stdin than was asked for"};
  for (const auto& [part, granted] : granted_) sink_.send(part, bytes);
  return Ok{};
}

void StdinRouter::OnEnd() {
  if (ended_) return;
  ended_ = true;
  for (const auto& [part, granted] : granted_) sink_.send_end(part);
}

}  // namespace rex
