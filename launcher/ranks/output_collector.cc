#include "launcher/ranks/output_collector.h"

#include <unistd.h>

#include <algorithm>

namespace rex {

namespace {
constexpr size_t kMaxLineBytes = kMaxStdioPayloadBytes - kOutputHeaderBytes;
}  // namespace

OutputCollector::OutputCollector(EventLoop& loop, Sink sink)
    : loop_(loop),
      sink_(std::move(sink)),
      scratch_(kMaxLineBytes, '\0'),
      quiet_timer_(loop, [this] { OnQuietTimer(); }) {}

OutputCollector::~OutputCollector() = default;

void OutputCollector::Add(Rank rank, OutputStream kind, UniqueFd fd, bool prompts) {
  streams_.push_back(
      std::make_unique<Stream>(Stream{rank, kind, std::move(fd), prompts, {}, {}, {}}));
  Stream& stream = *streams_.back();
  ++open_;
  stream.watcher = std::make_unique<ReadWatcher>(loop_, stream.fd.get(),
                                                 [this, &stream] { OnReadable(stream); });
  if (credit_ <= 0 && !discard_) Pause(stream);
}

void OutputCollector::NoMorePrompts() {
  prompts_over_ = true;
  PostponeQuiet();
}

OutputCollector::Milliseconds OutputCollector::QuietTime(const Stream& stream) const {
  return stream.prompts && !prompts_over_ ? kQuietPrompt : kQuietLine;
}

void OutputCollector::AddCredit(uint64_t bytes) {
  const bool was_out = credit_ <= 0;
  credit_ += static_cast<int64_t>(bytes);
  if (was_out) PostponeQuiet();
  // Every paused stream gets its turn; those that find no credit left pause again, at the back.
  for (size_t n = paused_.size(); n > 0 && credit_ > 0; --n) {
    Stream* stream = paused_.front();
    paused_.pop_front();
    stream->watcher->Enable(true);
  }
}

void OutputCollector::DelayCloses(bool on) {
  delay_closes_ = on;
  if (!on) ended_.clear();
}

void OutputCollector::Discard() {
  discard_ = true;
  for (Stream* stream : paused_) stream->watcher->Enable(true);
  paused_.clear();
}

void OutputCollector::Pause(Stream& stream) {
  stream.watcher->Enable(false);
  paused_.push_back(&stream);
}

void OutputCollector::OnReadable(Stream& stream) {
  if (credit_ <= 0 && !discard_) return Pause(stream);
  const size_t before = stream.line.size();
  bool ended = false;
  // A pty gives at most 4 KiB at a time: gather, so that a message is worth its header.
  while (stream.line.size() < kMaxLineBytes) {
    const ssize_t n = ::read(stream.fd.get(), scratch_.data(), kMaxLineBytes - stream.line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    ended = n <= 0;  // 0, or EIO: the last writer of a pty has closed it
    if (ended) break;
    stream.line.append(scratch_.data(), static_cast<size_t>(n));
    bytes_ += static_cast<uint64_t>(n);
  }
  if (ended) return End(stream);
  OnBytes(stream, before);
}

void OutputCollector::OnBytes(Stream& stream, size_t before) {
  if (discard_) {
    stream.line.clear();
    return;
  }
  size_t ready = stream.line.size();
  if (!unbuffered_) {
    // What stood in the buffer before holds no newline: it would have been sent.
    const size_t newline = std::string_view(stream.line).substr(before).rfind('\n');
    if (newline != std::string_view::npos) {
      ready = before + newline + 1;
    } else if (ready < kMaxLineBytes) {
      ready = 0;
    }
  }
  if (ready > 0) Emit(stream, ready, false);
  WaitForQuiet(stream);
}

void OutputCollector::Emit(Stream& stream, size_t bytes, bool end) {
  const OutputHeader header{stream.rank, stream.kind, end};
  sink_.send(EncodeOutput(header, std::string_view(stream.line).substr(0, bytes)));
  stream.line.erase(0, bytes);
  credit_ -= static_cast<int64_t>(bytes);
}

void OutputCollector::Pass(Rank rank, OutputStream stream, std::string_view text) {
  for (size_t at = 0; at < text.size() && !discard_; at += kMaxLineBytes) {
    const std::string_view piece = text.substr(at, kMaxLineBytes);
    sink_.send(EncodeOutput({rank, stream, false}, piece));
    credit_ -= static_cast<int64_t>(piece.size());
  }
}

void OutputCollector::WaitForQuiet(Stream& stream) {
  if (stream.line.empty()) {
    unfinished_.erase(&stream);
    return;
  }
  const Milliseconds quiet = QuietTime(stream);
  stream.quiet_deadline = loop_.clock().Now() + quiet;
  unfinished_.insert(&stream);
  if (!quiet_timer_.pending() || quiet == kQuietPrompt) quiet_timer_.Set(quiet);
}

// While nothing could be read for want of credit, silence says nothing about the rank.
void OutputCollector::PostponeQuiet() {
  const auto now = loop_.clock().Now();
  for (Stream* stream : unfinished_) {
    stream->quiet_deadline = now + QuietTime(*stream);
  }
}

void OutputCollector::OnQuietTimer() {
  if (credit_ <= 0) PostponeQuiet();
  const auto now = loop_.clock().Now();
  auto next = Clock::Time::max();
  for (auto it = unfinished_.begin(); it != unfinished_.end();) {
    Stream& stream = **it;
    if (stream.quiet_deadline <= now) {
      Emit(stream, stream.line.size(), false);
      it = unfinished_.erase(it);
    } else {
      next = std::min(next, stream.quiet_deadline);
      ++it;
    }
  }
  if (!unfinished_.empty()) quiet_timer_.Set(next - now);
}

void OutputCollector::End(Stream& stream) {
  unfinished_.erase(&stream);
  std::erase(paused_, &stream);
  if (discard_) stream.line.clear();
  Emit(stream, stream.line.size(), true);
  stream.watcher.reset();
  if (delay_closes_) ended_.push_back(std::move(stream.fd));
  stream.fd.Reset();
  stream.line.shrink_to_fit();
  if (--open_ == 0) sink_.all_ended();
}

void OutputCollector::CloseAll() {
  for (const auto& stream : streams_) {
    if (stream->fd) End(*stream);
  }
}

}  // namespace rex
