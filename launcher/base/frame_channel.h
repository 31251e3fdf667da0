// Messages over a local stream socket, in the framing of frame.h. A malformed or oversized frame
// ends the channel with kProtocol: a bad message costs a connection, never the daemon.
//
// Loop thread only. The destructor closes the socket; what is still queued is lost (see Flush).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/base/frame.h"
#include "launcher/base/frame_queue.h"

namespace rex {

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
  // Queues a message that goes out before the next one, at the latest with Push().
  void SendLater(uint8_t kind, FrameClass frame_class, std::string payload);
  void Push();
  // As Send, with a descriptor, which the peer has no later than the message. Unix sockets only.
  void SendWithFd(uint8_t kind, FrameClass frame_class, std::string payload, UniqueFd fd);
  // Takes descriptors from the peer from now on, up to kMostFds that nobody has taken yet; those
  // beyond are closed.
  void AllowFds() { takes_fds_ = true; }
  // The one that came first; none: nothing has come.
  UniqueFd TakeFd();
  // Bytes queued and not yet given to the kernel.
  size_t QueuedBytes() const { return queue_.bytes(); }
  // Stops reading from the peer until it is switched on again (back-pressure).
  void EnableReading(bool on);
  // Writes what is queued, blocking at most for `bound`. For the last message before an exit.
  void Flush(std::chrono::milliseconds bound);
  bool closed() const { return closed_; }

 private:
  void OnReadable();
  void OnWritable();
  // Moves the next frame, or several small ones, into `chunk_`. False: nothing queued.
  bool NextChunk();
  void SetBlocked(bool blocked);
  // Writes until the kernel would block. False: the channel has closed.
  bool WriteSome();
  ssize_t WriteOnce();
  ssize_t ReadOnce(char* to, size_t most);
  void Close(const Error& error);

  EventLoop& loop_;
  UniqueFd socket_;
  Handlers handlers_;
  FrameReader reader_;
  FrameQueue queue_;
  std::string chunk_;  // the frames being written
  size_t chunk_sent_ = 0;
  std::deque<UniqueFd> fds_out_;  // one goes with the first byte of each chunk
  std::deque<UniqueFd> fds_in_;
  bool takes_fds_ = false;
  bool closed_ = false;
  bool blocked_ = false;  // the kernel takes no more; OnWritable goes on
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);  // false: destroyed or closed
  std::unique_ptr<ReadWatcher> read_watcher_;
  std::unique_ptr<WriteWatcher> write_watcher_;
};

}  // namespace rex
