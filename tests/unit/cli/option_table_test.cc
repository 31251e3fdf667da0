#include "launcher/cli/option_table.h"
#include "launcher/cli/option_help.h"

#include <gtest/gtest.h>

#include <set>

namespace rex {
namespace {

TEST(OptionTable, SpellingsAreUnique) {
  std::set<std::string_view> seen;
  for (const Option& option : OptionTable()) {
    EXPECT_FALSE(option.spellings.empty());
    for (const std::string_view spelling : option.spellings) {
      EXPECT_TRUE(seen.insert(spelling).second) << spelling;
      EXPECT_EQ(FindOption(spelling), &option);
    }
  }
}

TEST(OptionTable, ValuesAreShownForOptionsThatHaveThem) {
  for (const Option& option : OptionTable()) {
    EXPECT_EQ(option.arity == 0, option.values.empty()) << option.spellings[0];
    EXPECT_EQ(option.arity == 0, option.type == OptionValue::kNone) << option.spellings[0];
    EXPECT_LE(option.arity, 2);
    EXPECT_FALSE(option.help.empty()) << option.spellings[0];
  }
}

TEST(OptionTable, FindsWholeNamesOnly) {
  EXPECT_EQ(FindOption("oversub"), nullptr);
  EXPECT_EQ(FindOption(""), nullptr);
  EXPECT_EQ(FindOption("-n"), nullptr);
}

TEST(HelpText, ShowsEveryOptionAndThisMachinesDefault) {
  const std::string help = HelpText(12);
  for (const Option& option : OptionTable()) {
    for (const std::string_view spelling : option.spellings) {
      EXPECT_NE(help.find(WithDashes(spelling)), std::string::npos) << spelling;
    }
  }
  EXPECT_NE(help.find("here 12"), std::string::npos);
  EXPECT_EQ(help.find('{'), std::string::npos);
}

TEST(HelpText, FitsTheWidth) {
  const std::string help = HelpText(1048576);
  size_t begin = 0;
  for (size_t end; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(end - begin, 100u) << help.substr(begin, end - begin);
  }
  EXPECT_EQ(begin, help.size());
}

TEST(WithDashes, AsPeopleWriteThem) {
  EXPECT_EQ(WithDashes("n"), "-n");
  EXPECT_EQ(WithDashes("np"), "-np");
  EXPECT_EQ(WithDashes("timeout"), "--timeout");
}

}  // namespace
}  // namespace rex
