#include "launcher/link/handshake.h"

#include <sodium.h>

#include <algorithm>

#include "launcher/link/little_endian.h"

namespace rex {

namespace {

constexpr std::string_view kMagic = "rexlink";  // then u8 number of the message: 1, 2, 3
constexpr size_t kVersionBytes = 32;
constexpr size_t kProofBytes = 32;
constexpr size_t kLabelBytes = 16;
static_assert(kHandshakePrefixBytes == kMagic.size() + 1 + kVersionBytes);

std::string_view View(const HandshakeNonce& nonce) {
  return {reinterpret_cast<const char*>(nonce.data()), nonce.size()};
}

HandshakeNonce NonceAt(std::string_view message, size_t at) {
  HandshakeNonce nonce;
  std::copy_n(message.data() + at, nonce.size(), reinterpret_cast<char*>(nonce.data()));
  return nonce;
}

std::string Padded(std::string_view text, size_t bytes) {
  REX_CHECK(text.size() <= bytes);
  std::string out(text);
  out.resize(bytes, '\0');
  return out;
}

bool Printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// The text of a NUL-padded field; empty: it has none.
std::string VersionText(std::string_view field) {
  const size_t end = std::min(field.find('\0'), field.size());
  const std::string_view text = field.substr(0, end);
  const bool padded = field.find_first_not_of('\0', end) == field.npos;
  return padded && Printable(text) ? std::string(text) : "";
}

Error Refused(std::string text) { return Error{Errc::kProtocol, std::move(text)}; }

}  // namespace

HandshakeNonce MakeHandshakeNonce() {
  const Secret started;  // libsodium is
  HandshakeNonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

Handshake::Handshake(HandshakeParams params, const HandshakeNonce& own_nonce)
    : params_(std::move(params)),
      own_nonce_(own_nonce),
      state_(params_.role == LinkRole::kParent ? State::kHello1 : State::kHello2) {
  REX_CHECK(params_.key != nullptr);
  REX_CHECK(!params_.version.empty() && params_.version.size() <= kVersionBytes);
  REX_CHECK(Printable(params_.version));
  if (params_.role == LinkRole::kParent) return;
  AppendPrefix(1);
  AppendLe(output_, Index(params_.self));
  AppendLe(output_, Index(params_.peer));
  AppendLe(output_, static_cast<uint32_t>(params_.stream));
  output_ += View(own_nonce_);
}

void Handshake::AppendPrefix(uint8_t number) {
  output_ += kMagic;
  output_ += static_cast<char>(number);
  output_ += Padded(params_.version, kVersionBytes);
}

std::string Handshake::TakeOutput() { return std::exchange(output_, {}); }

size_t Handshake::wanted_bytes() const {
  constexpr size_t kBytes[] = {kHello1Bytes, kHello2Bytes, kHello3Bytes};
  if (state_ == State::kDone || state_ == State::kFailed) return 0;
  const bool prefix = message_.size() < kHandshakePrefixBytes;
  return (prefix ? kHandshakePrefixBytes : kBytes[static_cast<size_t>(state_)]) - message_.size();
}

Status Handshake::Feed(std::string_view bytes) {
  REX_CHECK(bytes.size() <= wanted_bytes());
  const bool had_prefix = message_.size() >= kHandshakePrefixBytes;
  message_ += bytes;
  Status taken = Ok{};
  if (!had_prefix && message_.size() == kHandshakePrefixBytes) {
    taken = TakePrefix();
  } else if (wanted_bytes() == 0) {
    taken = TakeBody();
    message_.clear();
  }
  if (!taken) state_ = State::kFailed;
  return taken;
}

Status Handshake::TakePrefix() {
  const std::string_view prefix = message_;
  if (prefix.substr(0, kMagic.size()) != kMagic)
    return Refused(PeerText() + " does not speak rex's protocol");
  const auto number = static_cast<uint8_t>(prefix[kMagic.size()]);
  if (number == 1 && params_.role == LinkRole::kChild) {
    return Refused(PeerText() + " takes itself for a child too");
  }
  const std::string theirs = VersionText(prefix.substr(kMagic.size() + 1));
  if (theirs.empty()) return Refused(PeerText() + " sent no version");
  if (theirs != params_.version) {
    if (params_.role == LinkRole::kParent) AppendPrefix(2);  // so that it can name both too
    return OtherVersion(theirs);
  }
  if (number != static_cast<uint8_t>(state_) + 1) {
    return Refused(PeerText() + " sent message " + std::to_string(number) +
                   " of the handshake instead of " + std::to_string(static_cast<int>(state_) + 1));
  }
  return Ok{};
}

Error Handshake::OtherVersion(const std::string& theirs) const {
  return Refused(PeerText() + " runs version " + theirs + " of rex, this node " + params_.version);
}

Status Handshake::TakeBody() {
  switch (state_) {
    case State::kHello1:
      return TakeHello1();
    case State::kHello2:
      return TakeHello2();
    default:
      return TakeHello3();
  }
}

Status Handshake::TakeHello1() {
  const std::string_view body = std::string_view(message_).substr(kHandshakePrefixBytes);
  const NodeId child{ReadLe<uint32_t>(body)};
  const NodeId parent{ReadLe<uint32_t>(body.substr(4))};
  if (Status addressed = CheckParent(parent); !addressed) return addressed;
  if (Status taken = TakeCaller(child, ReadLe<uint32_t>(body.substr(8))); !taken) return taken;
  peer_nonce_ = NonceAt(body, 12);
  AppendPrefix(2);
  output_ += View(own_nonce_);
  const Secret proof = Derive("rex parent");
  output_.append(reinterpret_cast<const char*>(proof.bytes.data()), kProofBytes);
  state_ = State::kHello3;
  return Ok{};
}

Status Handshake::CheckParent(NodeId parent) const {
  if (parent == params_.self) return Ok{};
  return Refused(PeerText() + " looks for node " + std::to_string(Index(parent)) +
                 ", this is node " + std::to_string(Index(params_.self)));
}

Status Handshake::TakeCaller(NodeId child, uint32_t stream) {
  const bool any = params_.wanted != nullptr;
  if (any ? stream == 0 || stream > kLastLinkStream
          : stream != static_cast<uint32_t>(params_.stream)) {
    return Refused(
        PeerText() + " opens stream " + std::to_string(stream) +
        (any ? "" : " instead of " + std::to_string(static_cast<uint32_t>(params_.stream))));
  }
  params_.stream = static_cast<LinkStream>(stream);
  if (!(any ? params_.wanted(child, params_.stream) : child == params_.peer)) {
    return Refused(PeerText() + " says that it is node " + std::to_string(Index(child)) +
                   ", which is not awaited here");
  }
  params_.peer = child;
  return Ok{};
}

Status Handshake::TakeHello2() {
  const std::string_view body = std::string_view(message_).substr(kHandshakePrefixBytes);
  peer_nonce_ = NonceAt(body, 0);
  if (!Proves("rex parent", body.substr(peer_nonce_.size()))) {
    return Refused(PeerText() + " does not prove that it is the parent of this DVM");
  }
  AppendPrefix(3);
  const Secret proof = Derive("rex child");
  output_.append(reinterpret_cast<const char*>(proof.bytes.data()), kProofBytes);
  state_ = State::kDone;
  return Ok{};
}

Status Handshake::TakeHello3() {
  const std::string_view proof = std::string_view(message_).substr(kHandshakePrefixBytes);
  if (!Proves("rex child", proof)) {
    return Refused(PeerText() + " does not prove that it belongs to this DVM");
  }
  state_ = State::kDone;
  return Ok{};
}

Secret Handshake::Derive(std::string_view label) const {
  const bool parent = params_.role == LinkRole::kParent;
  std::string said = Padded(label, kLabelBytes) + Padded(params_.version, kVersionBytes);
  said.append(reinterpret_cast<const char*>(params_.dvm.bytes.data()), params_.dvm.bytes.size());
  AppendLe(said, Index(parent ? params_.self : params_.peer));
  AppendLe(said, Index(parent ? params_.peer : params_.self));
  AppendLe(said, static_cast<uint32_t>(params_.stream));
  said += View(parent ? peer_nonce_ : own_nonce_);
  said += View(parent ? own_nonce_ : peer_nonce_);
  Secret out;
  crypto_generichash(out.bytes.data(), out.bytes.size(),
                     reinterpret_cast<const unsigned char*>(said.data()), said.size(),
                     params_.key->bytes.data(), params_.key->bytes.size());
  return out;
}

bool Handshake::Proves(std::string_view label, std::string_view proof) const {
  REX_CHECK(proof.size() == kProofBytes);
  return sodium_memcmp(Derive(label).bytes.data(), proof.data(), kProofBytes) == 0;
}

SessionKeys Handshake::TakeKeys() {
  REX_CHECK(done());
  return {Derive("rex down"), Derive("rex up")};
}

std::string Handshake::PeerText() const {
  if (params_.wanted && state_ == State::kHello1) return "the other end";
  return "node " + std::to_string(Index(params_.peer));
}

}  // namespace rex
