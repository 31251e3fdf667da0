#include "launcher/link/handshake_run.h"

#include <array>
#include <cstring>

namespace rex {

namespace {
std::string Seconds(std::chrono::milliseconds bound) {
  const auto tenths = bound.count() / 100;
  const std::string whole = std::to_string(tenths / 10);
  return (tenths % 10 == 0 ? whole : whole + "." + std::to_string(tenths % 10)) + " s";
}

Error EndOfStream(int error) {
  if (error == 0) return Error{Errc::kClosed, "the connection was closed during the handshake"};
  return Error{Errc::kClosed, std::string("the handshake broke off: ") + ::strerror(error), error};
}
}  // namespace

HandshakeRun::HandshakeRun(EventLoop& loop, ByteStream& stream, Handshake handshake,
                           std::chrono::milliseconds bound, OnDone on_done)
    : stream_(stream),
      handshake_(std::move(handshake)),
      on_done_(std::move(on_done)),
      bound_timer_(loop, [this, bound] {
        Finish(Error{Errc::kTimeout, "the handshake was not done within " + Seconds(bound)});
      }) {
  stream_.SetHandlers({[this] { OnReadable(); }, [this] { FinishWhenWritten(); }});
  bound_timer_.Set(bound);
  Write();
}

// A failure to write shows as end of file on the read side.
void HandshakeRun::Write() {
  stream_.output() += handshake_.TakeOutput();
  stream_.Write();
}

void HandshakeRun::OnReadable() {
  while (const size_t wanted = handshake_.wanted_bytes()) {
    std::string bytes(wanted, '\0');
    const ByteStream::Read read = stream_.ReadSome(bytes.data(), bytes.size());
    if (read.end) return Finish(EndOfStream(read.error));
    if (read.bytes == 0) return;
    const Status fed = handshake_.Feed(std::string_view(bytes).substr(0, read.bytes));
    Write();
    if (!fed) {
      DiscardUnread();
      return Finish(fed.error());
    }
  }
  FinishWhenWritten();
}

// Unread bytes would turn the close that follows into a reset, which can overtake our answer.
void HandshakeRun::DiscardUnread() {
  std::array<char, kHello2Bytes> bytes;
  stream_.ReadSome(bytes.data(), bytes.size());
}

void HandshakeRun::FinishWhenWritten() {
  if (stream_.Write() == ByteStream::Written::kAll && handshake_.done()) {
    return Finish(Done{handshake_.peer(), handshake_.stream(), handshake_.TakeKeys()});
  }
  // Done but not written: what else comes from the peer waits.
  if (handshake_.done()) stream_.EnableReading(false);
}

void HandshakeRun::Finish(Result<Done> result) {
  bound_timer_.Cancel();
  stream_.EnableReading(result.has_value());
  const auto on_done = std::move(on_done_);
  on_done(std::move(result));
}

}  // namespace rex
