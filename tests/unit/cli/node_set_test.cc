#include "launcher/cli/allocation/node_set.h"

#include <gtest/gtest.h>

#include "launcher/wire/messages.h"

namespace rex {
namespace {

std::string Shown(const Result<std::vector<std::string>>& names) {
  if (!names) return names.error().text;
  std::string text;
  for (const std::string& name : *names) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::string Shown(const Result<std::vector<uint32_t>>& numbers) {
  if (!numbers) return numbers.error().text;
  std::string text;
  for (const uint32_t number : *numbers) text += (text.empty() ? "" : " ") + std::to_string(number);
  return text;
}

struct Row {
  const char* text;
  const char* shown;  // or the error
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.text; }

class SlurmNodeSet : public testing::TestWithParam<Row> {};
TEST_P(SlurmNodeSet, MeansWhatTheTableSays) {
  EXPECT_EQ(Shown(ExpandNodeSet(GetParam().text, ZeroFill::kEachRange)), GetParam().shown);
}

const Row kSlurmRows[] = {
    {"gnode[10,20,25,37]", "gnode10 gnode20 gnode25 gnode37"},  // environment of a real job
    {"node[001-003]", "node001 node002 node003"},
    {"n[8-11]", "n8 n9 n10 n11"},
    {"n[08-11,1]", "n08 n09 n10 n11 n1"},
    {"n[098-101]", "n098 n099 n100 n101"},
    {"tux[1-3,5],n04", "tux1 tux2 tux3 tux5 n04"},
    {"rack[0-1]_blade[0-1]", "rack0_blade0 rack0_blade1 rack1_blade0 rack1_blade1"},
    {"a[1-2]-ib.example.org", "a1-ib.example.org a2-ib.example.org"},
    {"login", "login"},
    {"", ""},
    {"n1,n1", "n1 n1"},
    {"n[1-3", "'n[1-3' has no ']'"},
    {"n1-3]", "'n1-3]' has no '['"},
    {"n[]", "'' is not a number of at most 9 digits"},
    {"n[1,]", "'' is not a number of at most 9 digits"},
    {"n[1-]", "'' is not a number of at most 9 digits"},
    {"n[a-c]", "'a' is not a number of at most 9 digits"},
    {"n[1-2-3]", "'2-3' is not a number of at most 9 digits"},
    {"n[000x113]", "'000x113' is not a number of at most 9 digits"},  // a Blue Gene's box
    {"n[1234567890]", "'1234567890' is not a number of at most 9 digits"},
    {"n[3-1]", "'3-1' runs backwards"},
    {"n[0-65535]", "more than 65535 are listed"},
    {"n[0-999]m[0-999]", "more than 65535 nodes are listed"},
    {"a,,b", "a host's name is empty"},
    {"a,", "the list ends with ','"},
    {"-l[1-2]", "'-l1' is not a host's name: it begins with '-'"},
};
INSTANTIATE_TEST_SUITE_P(Table, SlurmNodeSet, testing::ValuesIn(kSlurmRows));

// The test vectors of Flux RFC 29.
class FluxHostlist : public testing::TestWithParam<Row> {};
TEST_P(FluxHostlist, MeansWhatTheTableSays) {
  EXPECT_EQ(Shown(ExpandNodeSet(GetParam().text, ZeroFill::kWholeBrackets)), GetParam().shown);
}
const Row kFluxRows[] = {
    {"", ""},
    {"foox,fooy,fooz", "foox fooy fooz"},
    {"[1-3,5-6]", "1 2 3 5 6"},
    {"foo[1-5]", "foo1 foo2 foo3 foo4 foo5"},
    {"foo[0-4]-eth2", "foo0-eth2 foo1-eth2 foo2-eth2 foo3-eth2 foo4-eth2"},
    {"foo1,foo1,foo1", "foo1 foo1 foo1"},
    {"[00-02]", "00 01 02"},
    {"[00-2]", "00 01 02"},
    {"foo[1,1,2,1]", "foo1 foo1 foo2 foo1"},
    {"[005,4,11-13]", "005 004 011 012 013"},
};
INSTANTIATE_TEST_SUITE_P(Rfc29, FluxHostlist, testing::ValuesIn(kFluxRows));

TEST(NodeSet, TheLargestListIsTaken) {
  const auto names = ExpandNodeSet("n[1-65535]", ZeroFill::kEachRange);
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), kMaxJobNodes);
  EXPECT_EQ(names->back(), "n65535");
}

class Counts : public testing::TestWithParam<Row> {};
TEST_P(Counts, MeanWhatTheTableSays) {
  EXPECT_EQ(Shown(ExpandCounts(GetParam().text)), GetParam().shown);
}
const Row kCountRows[] = {
    {"2(x3),1", "2 2 2 1"},  // sbatch(1)
    {"72(x2),36", "72 72 36"},
    {"40,8", "40 8"},
    {"1", "1"},
    {"2(x65535),1", "more than 65535 counts are listed"},
    {"", "'' is not a count; expected for example 2(x3)"},
    {"2(x3", "'2(x3' is not a count; expected for example 2(x3)"},
    {"2(x0)", "'2(x0)' is not a count; expected for example 2(x3)"},
    {"2(xx)", "'2(xx)' is not a count; expected for example 2(x3)"},
    {"0", "'0' is not a count; expected for example 2(x3)"},
    {"1048577", "'1048577' is not a count; expected for example 2(x3)"},
    {"2,", "'' is not a count; expected for example 2(x3)"},
};
INSTANTIATE_TEST_SUITE_P(Table, Counts, testing::ValuesIn(kCountRows));

TEST(Numbers, AreExpandedAndCounted) {
  EXPECT_EQ(Shown(ExpandNumbers("0-3,7", 5)), "0 1 2 3 7");
  EXPECT_EQ(Shown(ExpandNumbers("0-3,7", 4)), "more than 4 are listed");
  EXPECT_EQ(*CountNumbers("0-47"), 48u);
  EXPECT_FALSE(CountNumbers(""));
  EXPECT_FALSE(CountNumbers("0-1048576"));
}

}  // namespace
}  // namespace rex
