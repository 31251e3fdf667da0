#include "launcher/ship/sha256.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>

#include "launcher/ship/ship_bundle.h"

namespace rex {
namespace {

std::string Sodium(const std::string& bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  std::array<char, 2 * crypto_hash_sha256_BYTES + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
  return hex.data();
}

TEST(Sha256, KnownAnswer) {  // FIPS 180-4's own example
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, EveryLengthAroundItsBlocksAgreesWithLibsodium) {
  std::string bytes;
  for (size_t length = 0; length <= 300; ++length) {
    EXPECT_EQ(Sha256Hex(bytes), Sodium(bytes)) << length;
    bytes += static_cast<char>(length * 31 + 7);
  }
}

TEST(Sha256, PiecesMakeNoDifference) {
  std::string bytes(1000, 'x');
  for (size_t piece : {1, 63, 64, 65, 999}) {
    Sha256 hash;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      hash.Add(bytes.data() + at, std::min(piece, bytes.size() - at));
    }
    std::string hex(Sha256::kHexBytes, ' ');
    hash.Finish(hex.data());
    EXPECT_EQ(hex, Sodium(bytes)) << piece;
  }
}

}  // namespace
}  // namespace rex
