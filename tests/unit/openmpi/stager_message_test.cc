#include "launcher/openmpi/stager_message.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "launcher/openmpi/stager_link.h"

namespace rex::openmpi {
namespace {

StagerMessage Failed() {
  return {REX_STAGER_FAILED, 7, 3, {"the disk is full", std::string("a\0b", 3)}};
}

TEST(StagerMessage, ComesBackAsItWas) {
  const auto back = DecodeStagerMessage(EncodeStagerMessage(Failed()));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->kind, REX_STAGER_FAILED);
  EXPECT_EQ(back->job, 7u);
  EXPECT_EQ(back->node, 3u);
  EXPECT_EQ(back->words, Failed().words);
}

TEST(StagerMessage, HasTheseBytes) {
  const std::string bytes = EncodeStagerMessage({REX_STAGER_HERE, 0x01020304, 2, {"n1"}});
  EXPECT_EQ(bytes, std::string("\2\0\0\0\x0d\0\0\0\4\3\2\1\2\0\0\0\1\0\0\0\2\0\0\0n1", 26));
}

TEST(StagerMessage, AnyTruncationIsRefused) {
  const std::string bytes = EncodeStagerMessage(Failed());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = DecodeStagerMessage(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().code, Errc::kProtocol);
  }
  EXPECT_FALSE(DecodeStagerMessage(bytes + "x"));
}

TEST(StagerMessage, NonsenseIsRefused) {
  std::string bytes = EncodeStagerMessage(Failed());
  bytes[0] = 1;  // protocol
  EXPECT_FALSE(DecodeStagerMessage(bytes));
  for (const int kind : {0, REX_STAGER_LAST_KIND + 1}) {
    bytes = EncodeStagerMessage(Failed());
    bytes[4] = static_cast<char>(kind);
    EXPECT_FALSE(DecodeStagerMessage(bytes)) << kind;
  }
  // Fewer words than the kind has.
  EXPECT_FALSE(DecodeStagerMessage(EncodeStagerMessage({REX_STAGER_FAILED, 7, 3, {"only one"}})));
  EXPECT_FALSE(DecodeStagerMessage(EncodeStagerMessage({REX_STAGER_BEGIN, 7, 3, {"a", "b", "c"}})));
  EXPECT_FALSE(DecodeStagerMessage(EncodeStagerMessage({REX_STAGER_MAKE, 7, 3, {"a", "b"}})));
}

TEST(StagerMessage, PartsOfAWordComeBack) {
  const std::vector<std::string> parts{"/a/b", "", "c"};
  EXPECT_EQ(SplitParts(JoinParts(parts)), parts);
  EXPECT_TRUE(SplitParts("").empty());
}

TEST(StagerMessage, CarriedByAPlugInItIsTheSame) {
  const std::string zero("x\0y", 3);
  const rex_stager_word words[] = {{"why", 3}, {zero.c_str(), zero.size()}};
  const rex_stager_message message{REX_STAGER_FAILED, 1, 2, 2, words};
  size_t size = 0;
  char* bytes = rex_stager_pack(&message, &size);
  ASSERT_NE(bytes, nullptr);
  std::vector<std::string> taken;
  const auto take = [](void* self, const rex_stager_message* lent) {
    for (size_t i = 0; i < lent->count; ++i) {
      static_cast<std::vector<std::string>*>(self)->emplace_back(lent->words[i].bytes,
                                                                 lent->words[i].size);
    }
  };
  EXPECT_EQ(rex_stager_unpack(bytes, size, &taken, take), 1);
  EXPECT_EQ(taken, (std::vector<std::string>{"why", zero}));
  EXPECT_EQ(rex_stager_unpack(bytes, size - 1, &taken, take), 0);
  std::free(bytes);
}

}  // namespace
}  // namespace rex::openmpi
