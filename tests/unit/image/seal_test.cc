#include "launcher/image/seal.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <optional>

#include "launcher/image/wide_chacha.h"

namespace rex {
namespace {

const std::array<unsigned char, 32> kSecret = {1, 2, 3};
const TransferId kId = {4, 5, 6};

std::optional<std::string> Opened(const TransferKey& key, const TransferId& id,
                                  std::string_view record) {
  std::string content = "left over";
  return OpenPiece(key, id, record, &content) ? std::optional(content) : std::nullopt;
}

TEST(Seal, OpensWhatItSealed) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  EXPECT_EQ(record.size(), kPieceHeaderBytes + 7 + kSealBytes);
  const auto header = DecodePieceHeader(record);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->piece, 7u);
  EXPECT_EQ(Opened(key, kId, record), "content");
  EXPECT_EQ(SealPiece(key, kId, 7, "content"), record);  // the same again: nothing new is told
}

TEST(Seal, GoldenHeader) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 0x01020304, "ab");
  EXPECT_EQ(record.substr(0, 8), std::string("\4\3\2\1\x12\0\0\0", 8));
  EXPECT_EQ(EndRecord(), std::string("\xff\xff\xff\xff\0\0\0\0", 8));
}

// Whatever this processor does it with.
TEST(Seal, IsRfc8439) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  for (const size_t bytes :
       {0, 1, 15, 16, 17, 63, 64, 1023, 1024, 1025, 2048, 5000, 65535, 65536}) {
    std::string content(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(i * 31 + i / 251);
    std::string expected(bytes + kSealBytes, '\0');
    const std::array<unsigned char, 12> nonce = {7, 1};
    ::crypto_aead_chacha20poly1305_ietf_encrypt(
        reinterpret_cast<unsigned char*>(expected.data()), nullptr,
        reinterpret_cast<const unsigned char*>(content.data()), bytes, kId.data(), kId.size(),
        nullptr, nonce.data(), key.bytes.data());
    const std::string record = SealPiece(key, kId, 0x107, content);
    EXPECT_EQ(record.substr(kPieceHeaderBytes), expected) << bytes;
    EXPECT_EQ(Opened(key, kId, record), content) << bytes;
    std::string bad = record;
    bad[bytes / 2 + kPieceHeaderBytes] ^= 4;
    EXPECT_FALSE(Opened(key, kId, bad));
  }
}

TEST(Seal, TheCounterGoesOnBeyondAPiece) {
  if (!HasWideChacha()) GTEST_SKIP() << "this processor has no AVX-512";
  const std::string in(3 * kWideChachaBytes, 'x');
  std::string out(in.size(), '\0');
  std::string expected(in.size(), '\0');
  const std::array<unsigned char, 32> key = {1, 2, 3};
  const std::array<unsigned char, 12> nonce = {9};
  WideChacha(key, nonce, 77, in.data(), out.data(), in.size());
  ::crypto_stream_chacha20_ietf_xor_ic(reinterpret_cast<unsigned char*>(expected.data()),
                                       reinterpret_cast<const unsigned char*>(in.data()), in.size(),
                                       nonce.data(), 77, key.data());
  EXPECT_EQ(out, expected);
}

TEST(Seal, NoChangedBitOpens) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string bad = record;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(Opened(key, kId, bad)) << bit;
  }
  for (size_t bytes = 0; bytes < record.size(); ++bytes) {
    EXPECT_FALSE(Opened(key, kId, record.substr(0, bytes)));
  }
}

TEST(Seal, APieceOfAnotherTransferOrKeyDoesNotOpen) {
  const TransferId other = {9};
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  EXPECT_FALSE(Opened(key, other, record));
  EXPECT_FALSE(Opened(MakeTransferKey(kSecret, other), kId, record));
  EXPECT_FALSE(Opened(MakeTransferKey({7}, kId), kId, record));
  EXPECT_NE(MakeTransferId(), MakeTransferId());
}

TEST(Seal, ImpossibleHeadersAreRefused) {
  const auto header = [](uint32_t piece, uint32_t bytes) {
    std::string text(8, '\0');
    for (int i = 0; i < 4; ++i) {
      text[i] = static_cast<char>(piece >> 8 * i);
      text[4 + i] = static_cast<char>(bytes >> 8 * i);
    }
    return DecodePieceHeader(text).has_value();
  };
  EXPECT_FALSE(header(0, 0));
  EXPECT_FALSE(header(0, kSealBytes - 1));
  EXPECT_TRUE(header(0, kSealBytes));
  EXPECT_TRUE(header(0, kPieceBytes + kSealBytes));
  EXPECT_FALSE(header(0, kPieceBytes + kSealBytes + 1));
  EXPECT_FALSE(header(kEndOfPieces, kSealBytes));
  EXPECT_TRUE(header(kEndOfPieces, 0));
}

}  // namespace
}  // namespace rex
