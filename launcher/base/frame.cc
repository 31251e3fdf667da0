#include "launcher/base/frame.h"

namespace rex {

namespace {
constexpr uint8_t kFlagMore = 1;
}  // namespace

std::array<char, kFrameHeaderBytes> EncodeFrameHeader(const FrameHeader& header) {
  REX_CHECK(header.bytes <= kMaxFrameBytes);
  std::array<char, kFrameHeaderBytes> out{};
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<char>(header.bytes >> (8 * i));
  out[4] = static_cast<char>(header.kind);
  out[5] = static_cast<char>(header.frame_class);
  out[6] = header.more ? kFlagMore : 0;
  return out;
}

Result<FrameHeader> DecodeFrameHeader(std::string_view bytes) {
  REX_CHECK(bytes.size() >= kFrameHeaderBytes);
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  FrameHeader header;
  for (size_t i = 0; i < 4; ++i) header.bytes |= static_cast<uint32_t>(byte(i)) << (8 * i);
  header.kind = byte(4);
  if (header.bytes > kMaxFrameBytes) {
    return Error{Errc::kProtocol, "frame of " + std::to_string(header.bytes) + " bytes"};
  }
  if (byte(5) >= kFrameClasses) return Error{Errc::kProtocol, "unknown frame class"};
  header.frame_class = static_cast<FrameClass>(byte(5));
  if ((byte(6) & ~kFlagMore) != 0 || byte(7) != 0) {
    return Error{Errc::kProtocol, "unknown frame flags"};
  }
  header.more = (byte(6) & kFlagMore) != 0;
  return header;
}

Status FrameReader::Feed(std::string_view bytes, const OnMessage& on_message,
                         const bool& keep_going) {
  buffer_.append(bytes);
  size_t used = 0;
  while (keep_going) {
    const std::string_view rest = std::string_view(buffer_).substr(used);
    if (rest.size() < kFrameHeaderBytes) break;
    const auto header = DecodeFrameHeader(rest);
    if (!header) return header.error();
    if (rest.size() < kFrameHeaderBytes + header->bytes) break;
    // The payload is copied first: the receiver may destroy this reader's owner.
    const Status taken =
        TakeFrame(*header, rest.substr(kFrameHeaderBytes, header->bytes), on_message);
    if (!taken) return taken;
    if (!keep_going) return Ok{};
    used += kFrameHeaderBytes + header->bytes;
  }
  if (keep_going) buffer_.erase(0, used);
  return Ok{};
}

Status FrameReader::TakeFrame(const FrameHeader& header, std::string_view payload,
                              const OnMessage& on_message) {
  Partial& partial = partial_[static_cast<size_t>(header.frame_class)];
  if (partial.open && partial.kind != header.kind) {
    return Error{Errc::kProtocol, "a message was broken off"};
  }
  if (partial.payload.size() + payload.size() > max_message_bytes_) {
    return Error{Errc::kProtocol,
                 "message larger than " + std::to_string(max_message_bytes_) + " bytes"};
  }
  partial.payload.append(payload);
  partial.open = header.more;
  partial.kind = header.kind;
  if (header.more) return Ok{};
  std::string whole;
  whole.swap(partial.payload);
  on_message(header.kind, header.frame_class, std::move(whole));
  return Ok{};
}

}  // namespace rex
