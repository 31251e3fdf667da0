// Sealed pieces: what goes over the wire, verbatim from hop to hop.
//
//   u32 piece number, u32 bytes of what follows (both little-endian), ciphertext, 16 bytes of tag
//
// ChaCha20-Poly1305 (IETF). The key is fresh for each transfer, so a piece's number is nonce
// enough; a number is sealed again only with the same content. Associated data: the transfer's id.
#pragma once

#include <string>
#include <string_view>

#include "launcher/image/image_messages.h"

namespace rex {

inline constexpr size_t kPieceHeaderBytes = 8;
inline constexpr size_t kSealBytes = 16;
inline constexpr size_t kMaxSealedBytes = kPieceHeaderBytes + kPieceBytes + kSealBytes;
inline constexpr uint32_t kEndOfPieces = 0xffffffff;  // number of a record without content

struct TransferKey {
  TransferKey() = default;
  ~TransferKey();
  TransferKey(const TransferKey&) = default;
  TransferKey& operator=(const TransferKey&) = default;
  std::array<unsigned char, 32> bytes{};
};
// H(secret, "rex image", id), H keyed BLAKE2b. `secret`: 32 bytes.
TransferKey MakeTransferKey(const std::array<unsigned char, 32>& secret, const TransferId& id);
TransferId MakeTransferId();  // random

std::string SealPiece(const TransferKey& key, const TransferId& id, uint32_t piece,
                      std::string_view content);
// False: damaged, or not of this transfer. True: `content` is what was sealed; a string that is
// used again and again costs nothing.
bool OpenPiece(const TransferKey& key, const TransferId& id, std::string_view record,
               std::string* content);

struct PieceHeader {
  uint32_t piece = 0;
  uint32_t bytes = 0;  // of ciphertext and tag; 0 with kEndOfPieces
};
// Errors: kProtocol: no piece is that long. `record` has kPieceHeaderBytes at least.
Result<PieceHeader> DecodePieceHeader(std::string_view record);
std::string EndRecord();

}  // namespace rex
