#include "launcher/cli/manual.h"

#include <gtest/gtest.h>

#include <sstream>

#include "launcher/cli/option_help.h"
#include "launcher/cli/option_table.h"

namespace rex {
namespace {

std::string Filled(std::string_view text) {
  auto filled = FillManual(text, "1.2.3");
  if (filled) return *std::move(filled);
  ADD_FAILURE() << filled.error().text;
  return "";
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST(RoffText, ShowsWhatItIsGiven) {
  EXPECT_EQ(RoffText("--wdir"), "\\-\\-wdir");
  EXPECT_EQ(RoffText("a\\b"), "a\\eb");
  EXPECT_EQ(RoffText(".5 s"), "\\&.5 s");
  EXPECT_EQ(RoffText("'-' prints"), "\\&'\\-' prints");
  EXPECT_EQ(RoffText("in.the'middle"), "in.the'middle");
  EXPECT_EQ(RoffText("end\n.and"), "end\n\\&.and");
}

TEST(FillManual, KeepsWhatIsNoPlaceholder) {
  EXPECT_EQ(Filled("a@b.c @ @VERSION@@lower@ @"), "a@b.c @ 1.2.3@lower@ @");
  EXPECT_EQ(Filled("@VERSIO"), "@VERSIO");
  EXPECT_EQ(Filled(""), "");
}

TEST(FillManual, RefusesAPlaceholderItDoesNotKnow) {
  const auto filled = FillManual("x @NO_SUCH@ y", "1");
  ASSERT_FALSE(filled.has_value());
  EXPECT_EQ(filled.error().code, Errc::kInvalid);
  EXPECT_NE(filled.error().text.find("@NO_SUCH@"), std::string::npos) << filled.error().text;
}

TEST(FillManual, TheManPageHasEachOptionInItsGroup) {
  const std::string of_app = Filled("@MAN_APP_OPTIONS@");
  const std::string of_job = Filled("@MAN_JOB_OPTIONS@");
  for (const Option& option : OptionTable()) {
    const bool for_app = option.scope == OptionScope::kApp;
    for (const std::string_view spelling : option.spellings) {
      const std::string shown = "\\fB" + RoffText(WithDashes(spelling)) + "\\fR";
      EXPECT_EQ(CountOf(of_app, shown), for_app ? 1u : 0u) << shown;
      EXPECT_EQ(CountOf(of_job, shown), for_app ? 0u : 1u) << shown;
    }
    const std::string text = RoffText(OptionText(option, ""));
    EXPECT_EQ(CountOf(for_app ? of_app : of_job, text), 1u) << text;
  }
  EXPECT_EQ(CountOf(of_app + of_job, ".TP\n"), OptionTable().size());
  EXPECT_EQ(CountOf(of_app, "{cores}"), 0u);
}

TEST(FillManual, BashKnowsEachOptionAndItsValues) {
  std::string all;
  for (const Option& option : OptionTable()) {
    for (const std::string_view spelling : option.spellings) {
      all += (all.empty() ? "" : " ") + WithDashes(spelling);
    }
  }
  EXPECT_EQ(Filled("@BASH_OPTIONS@"), all);
  const std::string values = Filled("@BASH_VALUES@");
  EXPECT_EQ(CountOf(values, "    n | np | c) values=('N') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    mca) values=('KEY' 'VALUE') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    x) values=('VARIABLE') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    output-filename) values=('DIR') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    bind-to) values=('none|core|hwthread|l3cache|"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    output) values=('tag|timestamp|merge') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    tree) values=('auto|flat|two-level') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "    export) values=('all|mpirun|none') ;;\n"), 1u) << values;
  EXPECT_EQ(CountOf(values, "quiet"), 0u) << values;
}

TEST(FillManual, ZshHasALineForEachSpelling) {
  const std::vector<std::string> lines = Lines(Filled("@ZSH_OPTIONS@"));
  size_t spellings = 0;
  for (const Option& option : OptionTable()) spellings += option.spellings.size();
  EXPECT_EQ(lines.size(), spellings);
  const std::string all = Filled("@ZSH_OPTIONS@");
  EXPECT_EQ(CountOf(all, "]:pty|pipe:(pty pipe)'\n"), 1u) << all;
  EXPECT_EQ(CountOf(all, "]:RANK|all|none:(all none)'\n"), 1u) << all;
  EXPECT_EQ(CountOf(all, "  '*--wdir=["), 1u) << all;
  EXPECT_EQ(CountOf(all, "]:DIR:_files -/'\n"), 4u) << all;
  EXPECT_EQ(CountOf(all, "]:KEY: :VALUE: '\n"), 2u) << all;
  EXPECT_EQ(CountOf(all, "\\[1,RANK\\]<stdout>"), 1u) << all;
  EXPECT_EQ(CountOf(all, "]:DIR[\\:nocopy]:_files -/'\n"), 1u) << all;
  EXPECT_EQ(CountOf(all, "]:NAME[\\:SLOTS],...: '\n"), 2u) << all;
}

}  // namespace
}  // namespace rex
