// Messages between head and part. Input: u8 kind, then the payload. What is accepted is encoded and
// decoded again to the same bytes.
#include "launcher/part/part_messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr uint32_t kNodes = 64;

template <typename Variant, typename Decode>
void RoundTrip(const Result<PartMessage<Variant>>& first, Decode decode) {
  if (!first) {
    REX_CHECK(first.error().code == Errc::kProtocol && !first.error().text.empty());
    return;
  }
  const PartFrame frame = EncodePart(first->job, first->body);
  const auto second = decode(frame);
  REX_CHECK(second.has_value() && second->job == first->job);
  REX_CHECK(EncodePart(second->job, second->body).payload == frame.payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.Byte();
  const std::string payload(in.Rest());
  RoundTrip(DecodeCommand(kind, payload, kNodes), [](const PartFrame& frame) {
    return DecodeCommand(frame.kind, frame.payload, kNodes);
  });
  RoundTrip(DecodeEvent(kind, payload),
            [](const PartFrame& frame) { return DecodeEvent(frame.kind, frame.payload); });
  return 0;
}

}  // namespace rex
