#include "launcher/image/seal.h"

#include <sodium.h>

#include <cstring>

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
  const Nonce nonce = NonceOf(piece);
  ::crypto_aead_chacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(record.data() + kPieceHeaderBytes), nullptr,
      reinterpret_cast<const unsigned char*>(content.data()), content.size(), id.data(), id.size(),
      nullptr, nonce.data(), key.bytes.data());
  return record;
}

std::optional<std::string> OpenPiece(const TransferKey& key, const TransferId& id,
                                     std::string_view record) {
  if (record.size() < kPieceHeaderBytes + kSealBytes) return std::nullopt;
  const std::string_view sealed = record.substr(kPieceHeaderBytes);
  if (Get32(record.data() + 4) != sealed.size()) return std::nullopt;
  std::string content(sealed.size() - kSealBytes, '\0');
  const Nonce nonce = NonceOf(Get32(record.data()));
  const int bad = ::crypto_aead_chacha20poly1305_ietf_decrypt(
      reinterpret_cast<unsigned char*>(content.data()), nullptr, nullptr,
      reinterpret_cast<const unsigned char*>(sealed.data()), sealed.size(), id.data(), id.size(),
      nonce.data(), key.bytes.data());
  if (bad != 0) return std::nullopt;
  return content;
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
