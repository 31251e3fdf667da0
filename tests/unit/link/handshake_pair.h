// Both ends of a handshake with fixed nonces, and what went between them.
#pragma once

#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "launcher/link/handshake.h"
#include "tests/unit/link/link_pair.h"

namespace rex::testing {

inline HandshakeNonce NonceFrom(unsigned char first) {
  HandshakeNonce nonce;
  std::iota(nonce.begin(), nonce.end(), first);
  return nonce;
}

// Not movable: the parameters point to the key.
struct HandshakeEnd {
  LinkKey key = KeyOf(7);
  HandshakeParams params;
  HandshakeNonce nonce;
  std::optional<Handshake> handshake;
  std::optional<Error> error;

  explicit HandshakeEnd(LinkRole role) {
    const bool parent = role == LinkRole::kParent;
    params.role = role;
    params.stream = LinkStream::kTcp;
    params.self = NodeId{parent ? 0U : 3U};
    params.peer = NodeId{parent ? 3U : 0U};
    params.dvm = DvmOf(9);
    params.key = &key;
    params.version = "1.0";
    nonce = NonceFrom(parent ? 0x80 : 0x20);
  }
  HandshakeEnd(const HandshakeEnd&) = delete;
  HandshakeEnd& operator=(const HandshakeEnd&) = delete;

  void Start() { handshake.emplace(params, nonce); }
  // Feeds as much of `bytes` as is wanted, at most `piece` at once. What is left is dropped.
  void Feed(std::string_view bytes, size_t piece = SIZE_MAX) {
    while (!bytes.empty() && handshake->wanted_bytes() > 0) {
      const size_t n = std::min({bytes.size(), handshake->wanted_bytes(), piece});
      if (const Status fed = handshake->Feed(bytes.substr(0, n)); !fed) {
        error = fed.error();
        return;
      }
      bytes.remove_prefix(n);
    }
  }
  bool done() const { return handshake->done(); }
};

struct HandshakePair {
  HandshakeEnd parent{LinkRole::kParent};
  HandshakeEnd child{LinkRole::kChild};
  std::vector<std::string> said;  // what was sent, in turn, as it was before `change`
  std::function<void(size_t number, std::string& message)> change = [](size_t, std::string&) {};

  // Passes messages on until nobody has anything to say; they are numbered from 0.
  void Run(size_t piece = SIZE_MAX) {
    parent.Start();
    child.Start();
    HandshakeEnd* from = &child;
    HandshakeEnd* to = &parent;
    for (;;) {
      std::string message = from->handshake->TakeOutput();
      if (message.empty()) return;
      said.push_back(message);
      change(said.size() - 1, message);
      to->Feed(message, piece);
      std::swap(from, to);
    }
  }
  bool done() const { return parent.done() && child.done(); }
};

}  // namespace rex::testing
