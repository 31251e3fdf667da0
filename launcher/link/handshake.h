// The handshake of one stream between parent and child: both prove that they know the DVM's key,
// and get fresh keys for the stream. docs/design/trust.md says why, docs/protocol.md the bytes.
//
// Pure: it is fed what came from the peer and says what to send. After an error there may still be
// bytes to send (they tell the peer our version); then the stream is to be closed.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "launcher/base/result.h"
#include "launcher/link/link.h"

namespace rex {

enum class LinkStream : uint8_t {
  kChannel = 0,
  kTcp = 1,
  kUplink = 2,  // of a link of its own, the child's host's: docs/design/uplinks.md
};
inline constexpr uint32_t kLastLinkStream = 2;

using HandshakeNonce = std::array<unsigned char, 32>;
HandshakeNonce MakeHandshakeNonce();

inline constexpr size_t kHandshakePrefixBytes = 40;  // the same in every version
inline constexpr size_t kHello1Bytes = 84;
inline constexpr size_t kHello2Bytes = 104;
inline constexpr size_t kHello3Bytes = 72;

struct HandshakeParams {
  LinkRole role = LinkRole::kParent;
  LinkStream stream = LinkStream::kChannel;  // a parent with `wanted` learns it from the child
  NodeId self{};
  NodeId peer{};  // likewise
  DvmId dvm;
  const LinkKey* key = nullptr;  // borrowed; outlives the handshake
  std::string version;
  // Parent: instead of `peer` and `stream`.
  std::function<bool(NodeId child, LinkStream stream)> wanted = {};
};

class Handshake {
 public:
  Handshake(HandshakeParams params, const HandshakeNonce& own_nonce);

  // Bytes of the peer that it waits for now, and no more may be fed. 0: done or failed.
  size_t wanted_bytes() const;
  // Errors: kProtocol. Nothing may be fed after one.
  Status Feed(std::string_view bytes);
  // What is to be sent next; each byte is given out once.
  std::string TakeOutput();

  bool done() const { return state_ == State::kDone; }
  // The other end; for a parent with `wanted` known from the first message on, believed when done.
  NodeId peer() const { return params_.peer; }
  LinkStream stream() const { return params_.stream; }
  // Once, when done.
  SessionKeys TakeKeys();

 private:
  enum class State : uint8_t { kHello1, kHello2, kHello3, kDone, kFailed };

  Status TakePrefix();
  Status TakeBody();
  Status TakeHello1();
  Status TakeHello2();
  Status TakeHello3();
  Status CheckParent(NodeId parent) const;
  Status TakeCaller(NodeId child, uint32_t stream);
  Error OtherVersion(const std::string& theirs) const;
  void AppendPrefix(uint8_t number);
  Secret Derive(std::string_view label) const;
  bool Proves(std::string_view label, std::string_view proof) const;
  std::string PeerText() const;

  HandshakeParams params_;
  HandshakeNonce own_nonce_;
  HandshakeNonce peer_nonce_{};
  State state_;
  std::string message_;  // the peer's, as far as it has come
  std::string output_;
};

}  // namespace rex
