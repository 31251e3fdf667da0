#include "launcher/base/text.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(Listed, NamesEightAndCountsTheRest) {
  EXPECT_EQ(Listed({}), "");
  EXPECT_EQ(Listed({"n1"}), "n1");
  std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g", "h"};
  EXPECT_EQ(Listed(names), "a, b, c, d, e, f, g, h");
  EXPECT_EQ(Listed(names, "; "), "a; b; c; d; e; f; g; h");
  names.emplace_back("i");
  EXPECT_EQ(Listed(names), "a, b, c, d, e, f, g, h and 1 more");
}

TEST(Split, KeepsEmptyParts) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(Split("", ','), Parts{""});
  EXPECT_EQ(Split("a,b", ','), (Parts{"a", "b"}));
  EXPECT_EQ(Split(",a,,", ','), (Parts{"", "a", "", ""}));
}

}  // namespace
}  // namespace rex
