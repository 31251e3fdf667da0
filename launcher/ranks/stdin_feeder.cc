#include "launcher/ranks/stdin_feeder.h"

#include <unistd.h>

#include <algorithm>

namespace rex {

StdinFeeder::StdinFeeder(EventLoop& loop, Source source)
    : loop_(loop), source_(std::move(source)) {}

void StdinFeeder::AddTarget(UniqueFd fd) {
  auto target = std::make_unique<Target>();
  target->fd = std::move(fd);
  Target* t = target.get();
  target->watcher = std::make_unique<WriteWatcher>(loop_, t->fd.get(), [this, t] { Feed(*t); });
  targets_.push_back(std::move(target));
}

void StdinFeeder::Start() {
  if (ended_) targets_.clear();  // the end came before them
  if (targets_.empty()) return;
  credit_ = kWindowBytes;
  source_.give_credit(kWindowBytes);
}

Status StdinFeeder::OnBytes(std::string bytes) {
  if (bytes.size() > credit_) return Error{Errc::kProtocol, "more stdin than was asked for"};
  credit_ -= bytes.size();
  buffer_ += bytes;
  // By index: a target may be dropped while it is fed.
  for (size_t i = targets_.size(); i > 0; --i) Feed(*targets_[i - 1]);
  return Ok{};
}

void StdinFeeder::OnEnd() {
  ended_ = true;
  for (size_t i = targets_.size(); i > 0; --i) Feed(*targets_[i - 1]);
}

void StdinFeeder::Feed(Target& target) {
  bool drop = false;
  while (!drop && target.taken - released_ < buffer_.size()) {
    const size_t from = target.taken - released_;
    const ssize_t n = ::write(target.fd.get(), buffer_.data() + from, buffer_.size() - from);
    if (n >= 0) {
      target.taken += static_cast<uint64_t>(n);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      drop = true;  // EPIPE: the rank has closed its stdin
    }
  }
  const bool all_taken = target.taken - released_ == buffer_.size();
  target.watcher->Enable(!all_taken && !drop);
  if (drop || (ended_ && all_taken)) {
    std::erase_if(targets_, [&](const auto& t) { return t.get() == &target; });
  }
  Release();
}

void StdinFeeder::Release() {
  if (targets_.empty()) {
    buffer_.clear();
    if (!ended_) source_.done();
    ended_ = true;
    return;
  }
  uint64_t lowest = released_ + buffer_.size();
  for (const auto& target : targets_) lowest = std::min(lowest, target->taken);
  const uint64_t done = lowest - released_;
  if (done == 0) return;
  buffer_.erase(0, done);
  released_ = lowest;
  if (ended_) return;
  credit_ += done;
  source_.give_credit(done);
}

}  // namespace rex
