// Messages over a local stream socket: the framing that every pair of rex processes uses.
//
// Wire format (little-endian): u32 payload bytes (0..kMaxFrameBytes), u8 kind, u8 class, u8 flags
// (bit 0: the message goes on in the next frame of this class), u8 zero; then the payload.
// A message longer than a frame is cut into frames; frames of a more urgent class go in between.
// A malformed or oversized frame ends the channel with kProtocol: a bad message costs a
// connection, never the daemon.
//
// Loop thread only. The destructor closes the socket; what is still queued is lost (see Flush).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"

namespace rex {

inline constexpr size_t kFrameHeaderBytes = 8;
inline constexpr size_t kMaxFrameBytes = 64 << 10;

// Most urgent first.
enum class FrameClass : uint8_t { kControl = 0, kData = 1, kStdio = 2, kImage = 3 };
inline constexpr size_t kFrameClasses = 4;

struct FrameHeader {
  uint32_t bytes = 0;
  uint8_t kind = 0;
  FrameClass frame_class = FrameClass::kControl;
  bool more = false;
};
std::array<char, kFrameHeaderBytes> EncodeFrameHeader(const FrameHeader& header);
Result<FrameHeader> DecodeFrameHeader(std::string_view bytes);

// Turns a byte stream back into messages. Pure; fuzzed.
class FrameReader {
 public:
  using OnMessage = std::function<void(uint8_t kind, FrameClass frame_class, std::string payload)>;
  explicit FrameReader(size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}
  // Calls `on_message` for each message completed by `bytes`. After an error: don't feed again.
  // `keep_going` false stops between two messages (the receiver was destroyed or closed).
  Status Feed(std::string_view bytes, const OnMessage& on_message, const bool& keep_going);

 private:
  Status TakeFrame(const FrameHeader& header, std::string_view payload,
                   const OnMessage& on_message);

  const size_t max_message_bytes_;
  std::string buffer_;  // an unfinished frame
  struct Partial {
    bool open = false;
    uint8_t kind = 0;
    std::string payload;
  };
  std::array<Partial, kFrameClasses> partial_;
};

class FrameChannel {
 public:
  struct Handlers {
    std::function<void(uint8_t kind, FrameClass frame_class, std::string payload)> on_message;
    // Called once, when the peer is gone (kClosed) or spoke nonsense (kProtocol). Nothing follows.
    std::function<void(const Error&)> on_closed;
    // Called when a queue that was above its mark has drained; may be empty.
    std::function<void()> on_drained = {};
  };

  // Takes `socket`, a connected stream socket. `max_message_bytes` bounds what a peer can make us
  // hold. Handlers may destroy the channel.
  FrameChannel(EventLoop& loop, UniqueFd socket, size_t max_message_bytes, Handlers handlers);
  ~FrameChannel();
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;

  // Queues a message; never blocks. No effect after the channel has closed.
  void Send(uint8_t kind, FrameClass frame_class, std::string payload);
  // Bytes queued and not yet given to the kernel.
  size_t QueuedBytes() const { return queued_bytes_; }
  // Stops reading from the peer until it is switched on again (back-pressure).
  void EnableReading(bool on);
  // Writes what is queued, blocking at most for `bound`. For the last message before an exit.
  void Flush(std::chrono::milliseconds bound);
  bool closed() const { return closed_; }

 private:
  struct Outgoing {
    uint8_t kind;
    std::string payload;
    size_t sent = 0;  // payload bytes already cut into frames
  };
  void OnReadable();
  void OnWritable();
  // Moves the next frame of the most urgent class into `chunk_`. False: nothing queued.
  bool NextFrame();
  // Writes until the kernel would block. False: the channel has closed.
  bool WriteSome();
  void Close(const Error& error);

  EventLoop& loop_;
  UniqueFd socket_;
  Handlers handlers_;
  FrameReader reader_;
  std::array<std::deque<Outgoing>, kFrameClasses> queues_;
  std::string chunk_;  // the frame being written
  size_t chunk_sent_ = 0;
  size_t queued_bytes_ = 0;
  bool closed_ = false;
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);  // false: destroyed or closed
  std::unique_ptr<ReadWatcher> read_watcher_;
  std::unique_ptr<WriteWatcher> write_watcher_;
};

}  // namespace rex
