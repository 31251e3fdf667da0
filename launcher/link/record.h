// The records of one direction of one stream. Pure.
//
// A direction begins with the 24 bytes of secretstream's header; then records follow: u32 length of
// what is sealed, then that: u8 type, contents, and 17 bytes of secretstream. Sealed records must
// be opened in their order, each once, unchanged: anything else is an error, and the stream is
// over.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "launcher/base/frame.h"
#include "launcher/link/link_key.h"

namespace rex {

enum class RecordType : uint8_t {
  kFrame = 0,  // one frame of frame.h, header and payload
  kAck = 1,    // u64: bytes of frames below class control taken since the link's start
  kPing = 2,   // u64: the sender's clock
  kPong = 3,   // u64 of the ping, u64: the answerer's clock
  kMoved = 4,  // empty: the last of this direction of the channel, TCP goes on
};

inline constexpr size_t kRecordOverhead = 4 + 1 + 17;
// Frames in records are shorter than they may be elsewhere: less for a control message to wait for.
inline constexpr size_t kMostFrameBytes = 32 << 10;  // header and payload
inline constexpr size_t kMostRecordBytes = kRecordOverhead + kMostFrameBytes;

struct Record {
  RecordType type = RecordType::kFrame;
  std::string contents;
};

class RecordSealer {
 public:
  explicit RecordSealer(const Secret& key);
  ~RecordSealer();
  // Appends the sealed record to `out`, behind the stream's header when it is the first.
  void Seal(RecordType type, std::string_view contents, std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string header_;  // still to be sent
};

class RecordOpener {
 public:
  explicit RecordOpener(Secret key);
  ~RecordOpener();
  void Feed(std::string_view bytes);
  // The next record that is complete; nullopt: more bytes are wanted. Errors: kProtocol.
  Result<std::optional<Record>> Next();
  // Nothing is left of what was fed.
  bool empty() const { return used_ == buffer_.size(); }

 private:
  Status TakeHeader();
  Result<Record> Open(std::string_view sealed);

  struct State;
  Secret key_;
  std::unique_ptr<State> state_;  // null: the stream's header has not come yet
  std::string buffer_;
  size_t used_ = 0;  // of buffer_
};

}  // namespace rex
