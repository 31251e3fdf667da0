// A handshake over a byte stream, with a bound. Takes exactly the handshake's bytes from the
// stream.
#pragma once

#include <chrono>
#include <functional>

#include "launcher/link/byte_stream.h"
#include "launcher/link/handshake.h"

namespace rex {

class HandshakeRun {
 public:
  struct Done {
    NodeId peer{};
    LinkStream stream = LinkStream::kChannel;
    SessionKeys keys;
  };
  // Called once, never from the constructor; may destroy the run and the stream.
  // Errors: kProtocol (with what the peer did wrong), kClosed, kTimeout.
  using OnDone = std::function<void(Result<Done>)>;

  // `stream` is borrowed and outlives the run, which takes over its handlers.
  HandshakeRun(EventLoop& loop, ByteStream& stream, Handshake handshake,
               std::chrono::milliseconds bound, OnDone on_done);

 private:
  void OnReadable();
  void Write();
  void DiscardUnread();
  void FinishWhenWritten();
  void Finish(Result<Done> result);

  ByteStream& stream_;
  Handshake handshake_;
  OnDone on_done_;
  Timer bound_timer_;
};

}  // namespace rex
