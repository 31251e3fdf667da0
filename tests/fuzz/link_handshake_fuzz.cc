// A peer's side of a link's handshake. Input: u8 (bit 0: we are the child, bit 1: a parent that
// asks which children are wanted, and for which stream, bit 2: our stream is an uplink), u8 size of
// pieces, then what the peer sends. Nonces are fixed, so that a corpus can hold whole handshakes.
#include <algorithm>
#include <numeric>

#include "launcher/link/handshake.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

struct Fed {
  size_t used = 0;
  bool done = false;
  std::string error;
  std::string said;
  bool operator==(const Fed&) const = default;
};

HandshakeParams Params(uint8_t settings, const LinkKey& key) {
  HandshakeParams params;
  params.role = (settings & 1) != 0 ? LinkRole::kChild : LinkRole::kParent;
  params.stream = (settings & 4) != 0 ? LinkStream::kUplink : LinkStream::kTcp;
  params.self = NodeId{(settings & 1) != 0 ? 3U : 0U};
  params.peer = NodeId{(settings & 1) != 0 ? 0U : 3U};
  params.dvm.bytes.fill(9);
  params.key = &key;
  params.version = "1.0";
  if ((settings & 2) != 0)
    params.wanted = [](NodeId child, LinkStream stream) {
      REX_CHECK(stream == LinkStream::kTcp || stream == LinkStream::kUplink);
      return Index(child) == 3;
    };
  return params;
}

Fed Feed(uint8_t settings, const LinkKey& key, std::string_view bytes, size_t piece) {
  HandshakeNonce nonce;
  std::iota(nonce.begin(), nonce.end(), (settings & 1) != 0 ? 0x20 : 0x80);
  Handshake handshake(Params(settings, key), nonce);
  Fed fed;
  while (const size_t wanted = handshake.wanted_bytes()) {
    REX_CHECK(wanted <= kHello2Bytes);
    fed.said += handshake.TakeOutput();
    const size_t n = std::min({piece, wanted, bytes.size() - fed.used});
    if (n == 0) break;
    const Status status = handshake.Feed(bytes.substr(fed.used, n));
    fed.used += n;
    if (!status) {
      REX_CHECK(status.error().code == Errc::kProtocol && !status.error().text.empty());
      REX_CHECK(status.error().text.find('\n') == std::string::npos);
      fed.error = status.error().text;
      REX_CHECK(handshake.wanted_bytes() == 0);
    }
  }
  fed.said += handshake.TakeOutput();
  fed.done = handshake.done();
  REX_CHECK(!fed.done || fed.error.empty());
  if (fed.done) handshake.TakeKeys();
  // What a parent did not ask for it does not get.
  REX_CHECK(!fed.done || (settings & 2) != 0 || handshake.stream() == Params(settings, key).stream);
  return fed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const LinkKey* const key = [] {
    auto* made = new LinkKey;
    made->bytes.fill(7);
    return made;
  }();
  fuzz::Input in(data, size);
  const uint8_t settings = in.Byte();
  const size_t piece = 1 + size_t{in.Byte()};
  const std::string_view bytes = in.Rest();
  const Fed whole = Feed(settings, *key, bytes, SIZE_MAX);
  REX_CHECK(whole == Feed(settings, *key, bytes, piece));
  REX_CHECK(whole.used <= kHello1Bytes + kHello3Bytes);
  return 0;
}

}  // namespace rex
