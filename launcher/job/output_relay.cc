#include "launcher/job/output_relay.h"

#include <algorithm>

#include "launcher/wire/messages.h"

namespace rex {

namespace {
constexpr size_t kManyParts = 64;
constexpr uint64_t kWindowBytes = 256 << 10;
constexpr uint64_t kWindowOfManyBytes = 64 << 10;
}  // namespace

uint64_t OutputRelay::WindowFor(size_t parts) {
  return parts > kManyParts ? kWindowOfManyBytes : kWindowBytes;
}

void OutputRelay::Start(const std::vector<NodeId>& parts) {
  for (const NodeId part : parts) sink_.give_credit(part, WindowFor(parts.size()));
}

void OutputRelay::OnOutput(NodeId from, std::string payload) {
  if (discard_) return;
  Waiting waiting{from, std::move(payload)};
  if (credit_ > 0 && waiting_.empty()) return Pass(std::move(waiting));
  waiting_bytes_ += waiting.payload.size() - kOutputHeaderBytes;
  waiting_.push_back(std::move(waiting));
  Want();
}

// Credit may be overdrawn by one message, which is made up for here.
void OutputRelay::Want() {
  const int64_t wanted = static_cast<int64_t>(waiting_bytes_) - credit_;
  if (sink_.want && !waiting_.empty())
    sink_.want(static_cast<uint64_t>(std::max<int64_t>(wanted, 1)));
}

void OutputRelay::AddCredit(uint64_t bytes) {
  credit_ += static_cast<int64_t>(bytes);
  while (credit_ > 0 && !waiting_.empty()) PassFirst();
  Want();
}

void OutputRelay::PassFirst() {
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= next.payload.size() - kOutputHeaderBytes;
  Pass(std::move(next));
}

void OutputRelay::Flush() {
  while (!waiting_.empty()) PassFirst();
}

void OutputRelay::Discard() {
  discard_ = true;
  waiting_.clear();
  waiting_bytes_ = 0;
}

void OutputRelay::Pass(Waiting waiting) {
  const uint64_t bytes = waiting.payload.size() - kOutputHeaderBytes;
  credit_ -= static_cast<int64_t>(bytes);
  sink_.pass(std::move(waiting.payload));
  if (bytes > 0) sink_.give_credit(waiting.from, bytes);
}

}  // namespace rex
