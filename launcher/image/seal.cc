#include "launcher/image/seal.h"

#include <sodium.h>

#include <cstring>

#include "launcher/image/wide_chacha.h"

namespace rex {

namespace {
constexpr std::string_view kLabel = "rex image";
static_assert(kSealBytes == crypto_aead_chacha20poly1305_IETF_ABYTES);
static_assert(sizeof(TransferKey::bytes) == crypto_aead_chacha20poly1305_IETF_KEYBYTES);

using Nonce = std::array<unsigned char, crypto_aead_chacha20poly1305_IETF_NPUBBYTES>;

void Start() {
  static const bool started = ::sodium_init() >= 0;
  REX_CHECK(started);
}

unsigned char* Bytes(char* text) { return reinterpret_cast<unsigned char*>(text); }
const unsigned char* Bytes(const char* text) {
  return reinterpret_cast<const unsigned char*>(text);
}

void Put32(char* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> 8 * i);
}

uint32_t Get32(const char* from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(from[i])} << 8 * i;
  return value;
}

Nonce NonceOf(uint32_t piece) {
  Nonce nonce{};
  Put32(reinterpret_cast<char*>(nonce.data()), piece);
  return nonce;
}

// What seals a piece: RFC 8439's construction, by libsodium in one go, or, where the processor can
// do more at once, from its parts. The result is the same.
struct Sealer {
  const TransferKey& key;
  const TransferId& id;
  const Nonce nonce;

  // `out`: kSealBytes more than `content`.
  void Seal(std::string_view content, char* out) const {
    if (!HasWideChacha()) {
      ::crypto_aead_chacha20poly1305_ietf_encrypt(Bytes(out), nullptr, Bytes(content.data()),
                                                  content.size(), id.data(), id.size(), nullptr,
                                                  nonce.data(), key.bytes.data());
      return;
    }
    Cipher(content, out);
    const Tag tag = TagOf({out, content.size()});
    std::memcpy(out + content.size(), tag.data(), tag.size());
  }
  // False: it was damaged. `out`: kSealBytes less than `sealed`.
  bool Open(std::string_view sealed, char* out) const {
    if (!HasWideChacha()) {
      return ::crypto_aead_chacha20poly1305_ietf_decrypt(
                 Bytes(out), nullptr, nullptr, Bytes(sealed.data()), sealed.size(), id.data(),
                 id.size(), nonce.data(), key.bytes.data()) == 0;
    }
    const std::string_view text = sealed.substr(0, sealed.size() - kSealBytes);
    const Tag tag = TagOf(text);
    if (::sodium_memcmp(tag.data(), text.data() + text.size(), tag.size()) != 0) return false;
    Cipher(text, out);
    return true;
  }

 private:
  using Tag = std::array<unsigned char, kSealBytes>;
  static constexpr size_t kCipherBlock = 64;

  // The first block of the key stream makes the tag's key.
  void Cipher(std::string_view in, char* out) const {
    const size_t wide = in.size() - in.size() % kWideChachaBytes;
    WideChacha(key.bytes, nonce, 1, in.data(), out, wide);
    ::crypto_stream_chacha20_ietf_xor_ic(
        Bytes(out + wide), Bytes(in.data() + wide), in.size() - wide, nonce.data(),
        static_cast<uint32_t>(1 + wide / kCipherBlock), key.bytes.data());
  }
  Tag TagOf(std::string_view text) const {
    std::array<unsigned char, crypto_onetimeauth_poly1305_KEYBYTES> once;
    ::crypto_stream_chacha20_ietf(once.data(), once.size(), nonce.data(), key.bytes.data());
    crypto_onetimeauth_poly1305_state state;
    ::crypto_onetimeauth_poly1305_init(&state, once.data());
    ::crypto_onetimeauth_poly1305_update(&state, id.data(), id.size());
    static_assert(std::tuple_size_v<TransferId> % kSealBytes == 0);  // else it would be filled up
    ::crypto_onetimeauth_poly1305_update(&state, Bytes(text.data()), text.size());
    const std::array<unsigned char, kSealBytes> zeros{};
    const size_t over = text.size() % kSealBytes;
    if (over > 0) ::crypto_onetimeauth_poly1305_update(&state, zeros.data(), kSealBytes - over);
    std::array<char, kSealBytes> sizes{};
    Put32(sizes.data(), static_cast<uint32_t>(id.size()));
    Put32(sizes.data() + 8, static_cast<uint32_t>(text.size()));
    ::crypto_onetimeauth_poly1305_update(&state, Bytes(sizes.data()), sizes.size());
    Tag tag;
    ::crypto_onetimeauth_poly1305_final(&state, tag.data());
    ::sodium_memzero(once.data(), once.size());
    return tag;
  }
};
}  // namespace

TransferKey::~TransferKey() { ::sodium_memzero(bytes.data(), bytes.size()); }

TransferKey MakeTransferKey(const std::array<unsigned char, 32>& secret, const TransferId& id) {
  Start();
  TransferKey key;
  crypto_generichash_state state;
  ::crypto_generichash_init(&state, secret.data(), secret.size(), key.bytes.size());
  ::crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(kLabel.data()),
                              kLabel.size());
  ::crypto_generichash_update(&state, id.data(), id.size());
  ::crypto_generichash_final(&state, key.bytes.data(), key.bytes.size());
  ::sodium_memzero(&state, sizeof state);
  return key;
}

TransferId MakeTransferId() {
  Start();
  TransferId id;
  ::randombytes_buf(id.data(), id.size());
  return id;
}

std::string SealPiece(const TransferKey& key, const TransferId& id, uint32_t piece,
                      std::string_view content) {
  std::string record(kPieceHeaderBytes + content.size() + kSealBytes, '\0');
  Put32(record.data(), piece);
  Put32(record.data() + 4, static_cast<uint32_t>(content.size() + kSealBytes));
  Sealer{key, id, NonceOf(piece)}.Seal(content, record.data() + kPieceHeaderBytes);
  return record;
}

bool OpenPiece(const TransferKey& key, const TransferId& id, std::string_view record,
               std::string* content) {
  if (record.size() < kPieceHeaderBytes + kSealBytes) return false;
  const std::string_view sealed = record.substr(kPieceHeaderBytes);
  if (Get32(record.data() + 4) != sealed.size()) return false;
  content->resize(sealed.size() - kSealBytes);
  return Sealer{key, id, NonceOf(Get32(record.data()))}.Open(sealed, content->data());
}

Result<PieceHeader> DecodePieceHeader(std::string_view record) {
  REX_CHECK(record.size() >= kPieceHeaderBytes);
  const PieceHeader header{Get32(record.data()), Get32(record.data() + 4)};
  const bool end = header.piece == kEndOfPieces;
  const bool good = end ? header.bytes == 0
                        : header.bytes >= kSealBytes && header.bytes <= kPieceBytes + kSealBytes;
  if (!good) return Error{Errc::kProtocol, "a piece of impossible size"};
  return header;
}

std::string EndRecord() {
  std::string record(kPieceHeaderBytes, '\0');
  Put32(record.data(), kEndOfPieces);
  return record;
}

}  // namespace rex
