// What the copies of a tool write, on its standard output and error: by a thread, which may block
// for as long as nobody reads, while libpmix's goes on. Bytes that are out, or can't be written,
// are told to `on_written`, on that thread. Any thread may call.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace rex {

class OutputWriter {
 public:
  explicit OutputWriter(std::function<void(uint64_t bytes)> on_written)
      : on_written_(std::move(on_written)) {}
  // Waits until all is out.
  ~OutputWriter();
  OutputWriter(const OutputWriter&) = delete;
  OutputWriter& operator=(const OutputWriter&) = delete;

  void Write(bool to_stderr, std::string bytes);

 private:
  struct Piece {
    bool to_stderr;
    std::string bytes;
  };
  void Run();

  const std::function<void(uint64_t)> on_written_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Piece> queue_;
  bool closed_ = false;
  std::thread thread_;  // started with the first piece
};

}  // namespace rex
