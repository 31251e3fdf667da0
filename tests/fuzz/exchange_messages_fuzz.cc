// Messages between the exchanges of two agents. Input: a byte that picks the decoder, the payload.
#include "launcher/exchange/exchange_messages.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

template <typename T>
bool Refused(const Result<T>& result) {
  if (result) return false;
  REX_CHECK(result.error().code == Errc::kProtocol && !result.error().text.empty());
  return true;
}

void Collective(const std::string& payload) {
  const auto first = DecodeCollective(payload);
  if (Refused(first)) return;
  const CollectiveHeader& header = first->header;
  REX_CHECK(!header.nodes.empty() && !header.participants.empty() && header.status <= 0);
  for (size_t i = 1; i < header.nodes.size(); ++i) {
    REX_CHECK(header.nodes[i - 1] < header.nodes[i]);
  }
  for (size_t i = 1; i < header.participants.size(); ++i) {
    REX_CHECK(header.participants[i - 1] < header.participants[i]);
  }
  const std::string wire = EncodeCollective(header, 0);
  const auto second = DecodeCollective(wire);
  REX_CHECK(second.has_value() && EncodeCollective(second->header, 0) == wire);
  REX_CHECK(second->header.nodes == header.nodes);
}

void Modex(const std::string& payload, bool is_ask) {
  const auto first = DecodeModex(payload, is_ask);
  if (Refused(first)) return;
  const std::string wire = EncodeModex(first->header, first->bulk.view());
  const auto second = DecodeModex(wire, is_ask);
  REX_CHECK(second.has_value() && second->bulk.view() == first->bulk.view());
}

void State(const std::string& payload) {
  const auto first = DecodeHostState(payload);
  if (!Refused(first)) REX_CHECK(DecodeHostState(EncodeHostState(*first)).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t decoder = input.Byte() % 4;
  const std::string payload(input.Rest());
  if (decoder == 0) Collective(payload);
  if (decoder == 1) Modex(payload, true);
  if (decoder == 2) Modex(payload, false);
  if (decoder == 3) State(payload);
  return 0;
}

}  // namespace rex
