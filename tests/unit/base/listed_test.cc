#include "launcher/base/listed.h"

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

}  // namespace
}  // namespace rex
