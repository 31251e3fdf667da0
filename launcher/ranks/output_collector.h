// Reads the ranks' stdout and stderr and sends them up as whole lines, within the credit that
// rexlaunch has given. Loop thread only.
//
// Order: bytes of one stream never change places. Lines of different streams are not mixed: an
// unfinished line waits until its end comes, it fills a message, its stream ends, or nothing was
// added to it for a while (kQuietLine; kQuietPrompt for ranks that read stdin, until its end).
// A job of one rank has nothing to mix: its bytes go up at once.
// Memory: at most kMaxStdioPayloadBytes for each stream, and reading stops without credit.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/wire/messages.h"

namespace rex {

class OutputCollector {
 public:
  struct Sink {
    std::function<void(std::string payload)> send;  // EncodeOutput's result
    std::function<void()> all_ended;                // whenever the last open stream has ended
  };
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kQuietLine{1000};
  static constexpr Milliseconds kQuietPrompt{50};

  OutputCollector(EventLoop& loop, Sink sink);
  ~OutputCollector();

  // Bytes go up as they come: for jobs of one rank.
  void SetUnbuffered(bool on) { unbuffered_ = on; }
  // Takes `fd`, our non-blocking end of a rank's stream. `prompts`: the rank reads stdin.
  void Add(Rank rank, OutputStream stream, UniqueFd fd, bool prompts);
  // stdin is at its end: nobody is there to be prompted any more.
  void NoMorePrompts();
  // More bytes may be sent.
  void AddCredit(uint64_t bytes);
  // What a rank has written by another way: goes up at once, on the same credit.
  void Pass(Rank rank, OutputStream stream, std::string_view text);
  // While on, the descriptors of streams that have ended are kept. Closing a terminal takes the
  // kernel some 10 us: what is being born meanwhile need not wait for what has ended.
  void DelayCloses(bool on);
  // rexlaunch is gone: read and drop, so that ranks don't block while they end.
  void Discard();

  size_t open_streams() const { return open_; }
  uint64_t bytes() const { return bytes_; }  // ever read
  // Reading stands still because whoever gets the output is slow, not because there is none.
  bool starved() const { return credit_ <= 0 && !discard_; }
  // Sends what is buffered and closes every stream that is still open.
  void CloseAll();

 private:
  struct Stream {
    Rank rank;
    OutputStream kind;
    UniqueFd fd;
    bool prompts;
    std::string line;               // read, not yet sent
    Clock::Time quiet_deadline{0};  // of a waiting unfinished line; 0: none
    std::unique_ptr<ReadWatcher> watcher;
  };

  void OnReadable(Stream& stream);
  void OnBytes(Stream& stream, size_t before);
  void Emit(Stream& stream, size_t bytes, bool end);
  void End(Stream& stream);
  void Pause(Stream& stream);
  Milliseconds QuietTime(const Stream& stream) const;
  void WaitForQuiet(Stream& stream);
  void PostponeQuiet();
  void OnQuietTimer();

  EventLoop& loop_;
  Sink sink_;
  std::deque<std::unique_ptr<Stream>> streams_;
  std::deque<Stream*> paused_;    // out of credit, in the order they stopped
  std::set<Stream*> unfinished_;  // streams with a quiet_deadline
  std::vector<UniqueFd> ended_;   // not yet closed
  std::string scratch_;           // where bytes are read to first
  int64_t credit_ = 0;            // may go below zero by one message
  size_t open_ = 0;
  uint64_t bytes_ = 0;
  bool unbuffered_ = false;
  bool prompts_over_ = false;
  bool discard_ = false;
  bool delay_closes_ = false;
  Timer quiet_timer_;
};

}  // namespace rex
