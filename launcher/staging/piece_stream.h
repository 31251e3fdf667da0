// Sealed pieces over one TCP connection between two nodes, one way. Loop thread only. Handlers are
// called from the loop, never from inside a call of the owner's, and may destroy the stream.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/image/seal.h"

namespace rex {

using Record = std::shared_ptr<const std::string>;

inline constexpr size_t kFollowerHighBytes = 1 << 20;   // queued for one: its source pauses
inline constexpr size_t kFollowerLowBytes = 256 << 10;  // and goes on

class PieceSender {
 public:
  struct Handlers {
    std::function<void()> on_low;               // less than kFollowerLowBytes are queued
    std::function<void(const Error&)> on_gone;  // once, last
  };
  // `socket`: connected, non-blocking.
  PieceSender(EventLoop& loop, UniqueFd socket, Handlers handlers);
  void Send(Record record);
  void End();  // nothing more comes; `on_gone` once the other end has all of it
  size_t queued() const { return queued_; }
  uint64_t sent() const { return sent_; }  // bytes given to the kernel
  bool gone() const { return gone_; }

 private:
  bool Write();
  void HangUp();
  void OnWritable();
  void OnReadable();
  void Fail(const Error& why);

  UniqueFd socket_;
  Handlers handlers_;
  std::deque<Record> records_;
  size_t offset_ = 0;  // in the first
  size_t queued_ = 0;
  uint64_t sent_ = 0;
  bool ended_ = false;
  bool gone_ = false;
  ReadWatcher read_watcher_;
  WriteWatcher write_watcher_;
};

class PieceReceiver {
 public:
  struct Handlers {
    std::function<void(Record)> on_record;      // whole; the end too, and then nothing more
    std::function<void(const Error&)> on_gone;  // once, last: there was no end
  };
  PieceReceiver(EventLoop& loop, UniqueFd socket, Handlers handlers);
  void EnableReading(bool on);

 private:
  void OnReadable();
  Status TakeRecords();
  Record TakeRecord(size_t at, size_t bytes);
  void WaitForRest();
  void StopReading();
  void Fail(const Error& why);

  UniqueFd socket_;
  Handlers handlers_;
  std::string buffer_;    // of kMaxSealedBytes, or empty
  size_t have_ = 0;       // bytes of it that have come
  size_t low_water_ = 0;  // as the socket has it
  size_t most_low_water_ = 0;
  bool gone_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ReadWatcher watcher_;
};

}  // namespace rex
