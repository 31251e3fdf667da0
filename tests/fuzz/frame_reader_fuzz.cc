// A byte stream from a peer. Input: u8 size of pieces, u8 bound of messages (log 2), then the
// stream.
#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

using Message = std::tuple<uint8_t, FrameClass, std::string>;

struct Fed {
  std::vector<Message> messages;
  std::string error;
  bool operator==(const Fed&) const = default;
};

// The stream in pieces of `piece` bytes. Stops after `most_messages`, as a receiver does that
// closes its channel.
Fed Feed(std::string_view bytes, size_t piece, size_t max_bytes, size_t most_messages = SIZE_MAX) {
  FrameReader reader(max_bytes);
  Fed fed;
  bool go = most_messages > 0;
  const auto take = [&](uint8_t kind, FrameClass frame_class, std::string payload) {
    REX_CHECK(go);
    REX_CHECK(payload.size() <= max_bytes);
    fed.messages.emplace_back(kind, frame_class, std::move(payload));
    go = fed.messages.size() < most_messages;
  };
  while (!bytes.empty() && go) {
    const size_t n = std::min(piece, bytes.size());
    if (const Status status = reader.Feed(bytes.substr(0, n), take, go); !status) {
      REX_CHECK(status.error().code == Errc::kProtocol && !status.error().text.empty());
      fed.error = status.error().text;
      return fed;
    }
    bytes.remove_prefix(n);
  }
  return fed;
}

// `message` in frames of at most `frame_bytes`.
std::string Encode(const Message& message, size_t frame_bytes) {
  const auto& [kind, frame_class, payload] = message;
  std::string out;
  size_t at = 0;
  do {
    const size_t n = std::min(frame_bytes, payload.size() - at);
    const bool more = at + n < payload.size();
    const auto header = EncodeFrameHeader({static_cast<uint32_t>(n), kind, frame_class, more});
    out.append(header.data(), header.size()).append(payload, at, n);
    at += n;
  } while (at < payload.size());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t piece = 1 + size_t{in.Byte()};
  const size_t max_bytes = size_t{1} << (in.Byte() % 24);
  const std::string_view bytes = in.Rest();

  const Fed whole = Feed(bytes, std::max<size_t>(bytes.size(), 1), max_bytes);
  REX_CHECK(whole == Feed(bytes, piece, max_bytes));
  const size_t some = whole.messages.size() / 2;
  REX_CHECK(Feed(bytes, bytes.size(), max_bytes, some).messages.size() == some);

  size_t least_bytes = 0;
  std::string again;
  for (const Message& message : whole.messages) {
    least_bytes += kFrameHeaderBytes + std::get<2>(message).size();
    again += Encode(message, piece);
  }
  REX_CHECK(least_bytes <= bytes.size());
  REX_CHECK((Feed(again, piece, max_bytes) == Fed{whole.messages, ""}));
  return 0;
}

}  // namespace rex
