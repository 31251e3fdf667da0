#include "launcher/cli/suggest.h"

#include <gtest/gtest.h>

#include <array>

namespace rex {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(EditDistance("same", "same"), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 12u);
  EXPECT_EQ(EditDistance("abc", ""), 12u);
  EXPECT_EQ(EditDistance("timout", "timeout"), 4u);
  EXPECT_EQ(EditDistance("timeuot", "timeout"), 4u);  // neighbours swapped
  EXPECT_EQ(EditDistance("N", "n"), 1u);              // case counts little
}

TEST(NearestWord, OnlyWhenNearEnough) {
  const std::array<std::string_view, 4> words = {"n", "timeout", "timeline", "quiet"};
  EXPECT_EQ(NearestWord("timelin", words), "timeline");
  EXPECT_EQ(NearestWord("TIMEOUT", words), "timeout");
  EXPECT_EQ(NearestWord("quite", words), "quiet");
  EXPECT_EQ(NearestWord("k", words), "");
  EXPECT_EQ(NearestWord("hostfile", words), "");
  EXPECT_EQ(NearestWord("", words), "");
}

}  // namespace
}  // namespace rex
