#include "launcher/tree/join_channel.h"

#include <string.h>
#include <unistd.h>

namespace rex {

JoinChannel::JoinChannel(EventLoop& loop, UniqueFd in, UniqueFd out, std::string_view version,
                         std::chrono::milliseconds bound, OnTicket on_ticket, OnFailed on_failed)
    : in_(std::move(in)),
      out_(std::move(out)),
      greeting_(MarkerLine(version)),
      on_ticket_(std::move(on_ticket)),
      on_failed_(std::move(on_failed)),
      read_watcher_(loop, in_.get(), [this] { OnReadable(); }),
      write_watcher_(loop, out_.get(), [this] { Greet(); }),
      bound_(loop, [this] {
        Fail({Errc::kTimeout, "no key came from the parent in time"});
      }) {
  REX_CHECK(SetNonBlocking(in_.get()).has_value() && SetNonBlocking(out_.get()).has_value());
  bound_.Set(bound);
  write_watcher_.Enable(true);
}

JoinChannel::~JoinChannel() { ::explicit_bzero(line_.data(), line_.size()); }

void JoinChannel::Greet() {
  const ssize_t n = ::write(out_.get(), greeting_.data(), greeting_.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Fail(Error::FromErrno(errno, "greet the parent"));
  greeting_.erase(0, static_cast<size_t>(n));
  if (greeting_.empty()) write_watcher_.Enable(false);
}

void JoinChannel::OnReadable() {
  const ssize_t n = ::read(in_.get(), line_.data() + have_, line_.size() - have_);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Fail(Error::FromErrno(errno, "read from the parent"));
  if (n == 0) return Fail({Errc::kClosed, "the parent closed the channel before it sent a key"});
  have_ += static_cast<size_t>(n);
  if (have_ == line_.size()) Finish();
}

void JoinChannel::Finish() {
  if (!greeting_.empty()) return Fail({Errc::kProtocol, "a key came before the greeting was out"});
  auto ticket = ParseKeyLine({line_.data(), line_.size()});
  ::explicit_bzero(line_.data(), line_.size());
  if (!ticket) return Fail(ticket.error());
  done_ = true;
  bound_.Cancel();
  read_watcher_.Enable(false);
  const auto on_ticket = on_ticket_;  // survives our destruction
  on_ticket(std::move(*ticket), std::move(in_), std::move(out_));
}

void JoinChannel::Fail(Error error) {
  if (done_) return;
  done_ = true;
  bound_.Cancel();
  read_watcher_.Enable(false);
  write_watcher_.Enable(false);
  const auto on_failed = on_failed_;  // survives our destruction
  on_failed(error);
}

}  // namespace rex
