#include "launcher/link/record.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/link/link_pair.h"

namespace rex::testing {
namespace {

constexpr size_t kStreamHeaderBytes = 24;

Secret SecretOf(unsigned char byte) {
  Secret secret;
  secret.bytes.fill(byte);
  return secret;
}

struct Opened {
  std::vector<Record> records;
  std::optional<Error> error;
};

Opened OpenAll(std::string_view bytes, size_t piece = SIZE_MAX) {
  RecordOpener opener(SecretOf(1));
  Opened opened;
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    opener.Feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    for (;;) {
      auto record = opener.Next();
      if (!record) {
        opened.error = record.error();
        return opened;
      }
      if (!record->has_value()) break;
      opened.records.push_back(std::move(**record));
    }
  }
  return opened;
}

std::vector<std::string> Sealed(const std::vector<std::string>& contents) {
  RecordSealer sealer(SecretOf(1));
  std::vector<std::string> out;
  for (const std::string& text : contents)
    sealer.Seal(RecordType::kFrame, text, out.emplace_back());
  return out;
}

TEST(Record, RoundTrip) {
  RecordSealer sealer(SecretOf(1));
  std::string bytes;
  sealer.Seal(RecordType::kFrame, "frame", bytes);
  EXPECT_EQ(bytes.size(), kStreamHeaderBytes + kRecordOverhead + 5);
  sealer.Seal(RecordType::kMoved, "", bytes);
  sealer.Seal(RecordType::kFrame, std::string(kMostFrameBytes, 'x'), bytes);
  for (const size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    const Opened opened = OpenAll(bytes, piece);
    EXPECT_FALSE(opened.error.has_value());
    ASSERT_EQ(opened.records.size(), 3U);
    EXPECT_EQ(opened.records[0].type, RecordType::kFrame);
    EXPECT_EQ(opened.records[0].contents, "frame");
    EXPECT_EQ(opened.records[1].type, RecordType::kMoved);
    EXPECT_EQ(opened.records[1].contents, "");
    EXPECT_EQ(opened.records[2].contents, std::string(kMostFrameBytes, 'x'));
  }
}

TEST(Record, TheSealHidesWhatIsSealed) {
  const std::string bytes = Sealed({"attack at dawn"})[0];
  EXPECT_EQ(bytes.find("dawn"), std::string::npos);
  EXPECT_NE(bytes, Sealed({"attack at dawn"})[0]) << "two streams must not look alike";
}

TEST(Record, EveryTruncationWaitsForTheRest) {
  const std::string bytes = Sealed({"frame"})[0];
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Opened opened = OpenAll(std::string_view(bytes).substr(0, n));
    EXPECT_TRUE(opened.records.empty());
    EXPECT_FALSE(opened.error.has_value());
  }
}

TEST(Record, NoFlippedBitOpens) {
  const std::string bytes = Sealed({"frame"})[0];
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const Opened opened = OpenAll(changed);
    EXPECT_TRUE(opened.records.empty()) << bit;
    const bool longer = bit >= 8 * kStreamHeaderBytes && bit < 8 * (kStreamHeaderBytes + 2);
    if (!longer) {  // else it waits for more bytes
      EXPECT_TRUE(opened.error.has_value()) << bit;
    }
  }
}

TEST(Record, OutOfTurnRepeatedOrLeftOutIsAnError) {
  const auto sealed = Sealed({"one", "two", "three"});
  const std::string_view header = std::string_view(sealed[0]).substr(0, kStreamHeaderBytes);
  for (const std::string& bytes :
       {std::string(header) + sealed[1], sealed[0] + sealed[2],
        sealed[0] + sealed[0].substr(kStreamHeaderBytes), sealed[0] + sealed[1] + sealed[1]}) {
    const Opened opened = OpenAll(bytes);
    ASSERT_TRUE(opened.error.has_value());
    EXPECT_EQ(opened.error->code, Errc::kProtocol);
  }
}

TEST(Record, AnotherKeyOpensNothing) {
  RecordOpener opener(SecretOf(2));
  opener.Feed(Sealed({"frame"})[0]);
  EXPECT_FALSE(opener.Next().has_value());
}

TEST(Record, LengthsOutOfBoundsAreRefusedAtOnce) {
  const std::string header = Sealed({""})[0].substr(0, kStreamHeaderBytes);
  for (const uint32_t length : {0U, 17U, static_cast<uint32_t>(kMostRecordBytes - 4 + 1), ~0U}) {
    std::string bytes = header;
    for (size_t i = 0; i < 4; ++i) bytes += static_cast<char>(length >> (8 * i));
    const Opened opened = OpenAll(bytes);
    ASSERT_TRUE(opened.error.has_value()) << length;
    EXPECT_NE(opened.error->text.find(std::to_string(length)), std::string::npos);
  }
}

TEST(Record, AnUnknownTypeIsRefused) {
  RecordSealer sealer(SecretOf(1));
  std::string bytes;
  sealer.Seal(static_cast<RecordType>(5), "", bytes);
  EXPECT_TRUE(OpenAll(bytes).error.has_value());
}

}  // namespace
}  // namespace rex::testing
