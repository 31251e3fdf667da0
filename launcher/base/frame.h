// The framing that every stream between two rex processes uses, and its reader.
//
// Wire format (little-endian): u32 payload bytes (0..kMaxFrameBytes), u8 kind, u8 class, u8 flags
// (bit 0: the message goes on in the next frame of this class), u8 zero; then the payload.
// A message longer than a frame is cut into frames; frames of a more urgent class go in between.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "launcher/base/result.h"

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

}  // namespace rex
