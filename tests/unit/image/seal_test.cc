#include "launcher/image/seal.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

const std::array<unsigned char, 32> kSecret = {1, 2, 3};
const TransferId kId = {4, 5, 6};

TEST(Seal, OpensWhatItSealed) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  EXPECT_EQ(record.size(), kPieceHeaderBytes + 7 + kSealBytes);
  const auto header = DecodePieceHeader(record);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->piece, 7u);
  EXPECT_EQ(OpenPiece(key, kId, record), "content");
  EXPECT_EQ(SealPiece(key, kId, 7, "content"), record);  // the same again: nothing new is told
}

TEST(Seal, GoldenHeader) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 0x01020304, "ab");
  EXPECT_EQ(record.substr(0, 8), std::string("\4\3\2\1\x12\0\0\0", 8));
  EXPECT_EQ(EndRecord(), std::string("\xff\xff\xff\xff\0\0\0\0", 8));
}

TEST(Seal, NoChangedBitOpens) {
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string bad = record;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(OpenPiece(key, kId, bad)) << bit;
  }
  for (size_t bytes = 0; bytes < record.size(); ++bytes) {
    EXPECT_FALSE(OpenPiece(key, kId, record.substr(0, bytes)));
  }
}

TEST(Seal, APieceOfAnotherTransferOrKeyDoesNotOpen) {
  const TransferId other = {9};
  const TransferKey key = MakeTransferKey(kSecret, kId);
  const std::string record = SealPiece(key, kId, 7, "content");
  EXPECT_FALSE(OpenPiece(key, other, record));
  EXPECT_FALSE(OpenPiece(MakeTransferKey(kSecret, other), kId, record));
  EXPECT_FALSE(OpenPiece(MakeTransferKey({7}, kId), kId, record));
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
