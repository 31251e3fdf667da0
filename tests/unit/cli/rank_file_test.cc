#include "launcher/cli/rank_file.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

std::string Shown(const Result<std::vector<RankPlace>>& places) {
  if (!places) return places.error().text;
  std::string text;
  for (const RankPlace& place : *places) {
    text += (text.empty() ? "" : " ") + place.host.name +
            (place.host.kind == HostKind::kNth ? "+" + std::to_string(place.host.number) : "") +
            "=" + place.cpus;
  }
  return text;
}

TEST(Rankfile, RanksInAnyOrder) {
  EXPECT_EQ(Shown(ParseRankfile("# places\n"
                                "rank 1=n2 slot=1:0-2  // behind\n"
                                "\n"
                                "rank 0 = n1 slots = 0:*\r\n"
                                "rank 2=+n0 slot=0:1;1:c2\n"
                                "rank 3=joe@n4 slot=s1",
                                "f")),
            "n1=0:* n2=1:0-2 +0=0:1;1:c2 n4=s1");
}

struct BadFile {
  const char* text;
  const char* says;
};
class BadRankfile : public testing::TestWithParam<BadFile> {};
TEST_P(BadRankfile, SaysWhereAndWhat) {
  const auto places = ParseRankfile(GetParam().text, "f");
  ASSERT_FALSE(places) << Shown(places);
  EXPECT_EQ(places.error().text, GetParam().says);
}
INSTANTIATE_TEST_SUITE_P(
    Files, BadRankfile,
    testing::Values(
        BadFile{"", "f: no rank is named in it"}, BadFile{"# x\n", "f: no rank is named in it"},
        BadFile{"\nrank 0=a slot=0\nrank 0=b slot=1\n", "f:3: rank 0 stands in line 2 already"},
        BadFile{"rank 0=a slot=0\nrank 2=a slot=1\n",
                "f: rank 1 is missing; every rank from 0 on needs a line"},
        BadFile{"node n1 slots=2\n",
                "f:1: it does not begin with a rank's number; write rank N=HOST slot=CPUS, for "
                "example rank 0=n1 slot=0:1"},
        BadFile{"rank x=a slot=0",
                "f:1: it does not begin with a rank's number; write rank N=HOST slot=CPUS, for "
                "example rank 0=n1 slot=0:1"},
        BadFile{"rank 0",
                "f:1: rank 0 has no host; write rank N=HOST slot=CPUS, for example rank 0=n1 "
                "slot=0:1"},
        BadFile{"rank 0=a",
                "f:1: rank 0 has no slot=CPUS; write rank N=HOST slot=CPUS, for example rank 0=n1 "
                "slot=0:1"},
        BadFile{"rank 0=a slot=",
                "f:1: rank 0 has no slot=CPUS; write rank N=HOST slot=CPUS, for example rank 0=n1 "
                "slot=0:1"},
        BadFile{"rank 0=a slot=0 1",
                "f:1: '1' is too much; write rank N=HOST slot=CPUS, for example rank 0=n1 "
                "slot=0:1"},
        BadFile{"rank 0=a slot=x",
                "f:1: 'x' is not a list of cpus; write 1, 0-3, 0:1-2 (socket 0, cores 1 and 2), "
                "0:* or several with ';'"},
        BadFile{"rank 0=a,b slot=0", "f:1: 'a,b' is not one host; write its name, or +nNUMBER"},
        BadFile{"rank 0=^a slot=0", "f:1: '^a' is not one host; write its name, or +nNUMBER"},
        BadFile{"rank 9999999=a slot=0", "f:1: rank 9999999: a job has at most 1048576 ranks"}));

TEST(Sequence, IsLineByLineAndLeavesAHostfile) {
  std::string hostfile;
  const auto places = ParseSequence("n1 0-1\n# x\nn2 slots=4\nn1 1:2\n^n3\n", &hostfile);
  EXPECT_EQ(Shown(places), "n1=0-1 n2= n1=1:2");
  EXPECT_EQ(places[2].line, 4u);
  EXPECT_EQ(hostfile, "n1\n# x\nn2 slots=4\nn1\n^n3\n");
  EXPECT_EQ(Shown(SequenceOfHosts("a,b:2,a")), "a= b= b= a=");
}

}  // namespace
}  // namespace rex
