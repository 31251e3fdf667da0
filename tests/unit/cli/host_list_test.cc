#include "launcher/values/host_list.h"

#include <gtest/gtest.h>

#include "launcher/wire/messages.h"

namespace rex {
namespace {

std::string Shown(const Result<std::vector<HostEntry>>& hosts) {
  if (!hosts) {
    EXPECT_EQ(hosts.error().code, Errc::kInvalid);
    return hosts.error().text;
  }
  std::string text;
  for (const HostEntry& host : *hosts) {
    text += text.empty() ? "" : " ";
    if (host.kind == HostKind::kExcluded) text += "^" + host.name;
    if (host.kind == HostKind::kEmpty) text += "+e" + std::to_string(host.number);
    if (host.kind == HostKind::kNth) {
      text += "+n" + std::to_string(host.number) +
              (host.slots_given ? "/" + std::to_string(host.slots) : "");
    }
    if (host.kind != HostKind::kName) continue;
    text += host.user.empty() ? "" : host.user + "@";
    text += host.name + "/" + (host.all_cores ? "*" : std::to_string(host.slots));
    text += host.max_slots == 0 ? "" : "<" + std::to_string(host.max_slots);
    text += host.port == 0 ? "" : "#" + std::to_string(host.port);
  }
  return text;
}

struct Row {
  const char* text;
  std::string shown;  // or the error
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.text; }

class HostOption : public testing::TestWithParam<Row> {};
TEST_P(HostOption, MeansWhatTheTableSays) {
  EXPECT_EQ(Shown(ParseHosts(GetParam().text)), GetParam().shown);
}

const Row kHostRows[] = {
    {"n1", "n1/1"},
    {"a,b:3,a", "a/2 b/3"},
    {"a:2,a:3", "a/5"},
    {"a:1048576,a:9", "a/1048576"},
    {"a:*,b:auto", "a/* b/*"},
    {"a:*,a", "a/2"},
    {"joe@a:2,a,joe@a", "joe@a/3 a/1"},
    {"joe@dom@a", "joe@dom@a/1"},
    {"fe80::1", "fe80::1/1"},
    {"[fe80::1]", "fe80::1/1"},
    {"[fe80::1]:4,fe80::1", "fe80::1/5"},
    {"joe@[fe80::1%eth0]:2", "joe@fe80::1%eth0/2"},
    {"10.0.0.1:2", "10.0.0.1/2"},
    {"::1", "::1/1"},
    {"n1.example.org:2", "n1.example.org/2"},
    {"", "a host's name is empty"},
    {"a,,b", "a host's name is empty"},
    {":2", "a host's name is empty"},
    {"joe@", "a host's name is empty"},
    {"[]", "[]/1"},  // a name like any other, that nobody has
    {"@a", "a user's name is empty"},
    {"a:x", "'a:x' has no number of slots after ':'"},
    {"a:0", "'a:0' has no number of slots after ':'"},
    {"a:", "'a:' has no number of slots after ':'"},
    {"a:1048577", "'a:1048577' has no number of slots after ':'"},
    {"[fe80::1]:x", "'[fe80::1]:x' has no number of slots after ':'"},
    {"^a,b,^a", "^a b/1"},
    {"^", "a host's name is empty"},
    {"+n1,+N0:3,+n1", "+n1 +n0/3 +n1"},
    {"+e,+E:2", "+e0 +e2"},
    {"+n", "'+n' is no relative host; write +nNUMBER, +e or +e:COUNT"},
    {"+x", "'+x' is no relative host; write +nNUMBER, +e or +e:COUNT"},
    {"+n65535", "'+n65535' is no relative host; write +nNUMBER, +e or +e:COUNT"},
    {"+n1:x", "'+n1:x' has no number after ':'"},
    {"+e:0", "'+e:0' has no number after ':'"},
    {"-oProxyCommand=x", "'-oProxyCommand=x' is not a host's name: it begins with '-'"},
    {"-lroot@a", "'-lroot' is not a user's name: it begins with '-'"},
    {"a\nb", "a host's name has control characters in it"},
};
INSTANTIATE_TEST_SUITE_P(Table, HostOption, testing::ValuesIn(kHostRows));

TEST(HostOption, NamesAreBounded) {
  EXPECT_TRUE(ParseHosts(std::string(kMaxHostNameBytes, 'a')));
  EXPECT_EQ(Shown(ParseHosts(std::string(kMaxHostNameBytes + 1, 'a'))),
            "a host's name is longer than 255 bytes");
  EXPECT_EQ(Shown(ParseHosts(std::string(kMaxHostNameBytes + 1, 'a') + "@b")),
            "a user's name is longer than 255 bytes");
}

class Hostfile : public testing::TestWithParam<Row> {};
TEST_P(Hostfile, MeansWhatTheTableSays) {
  EXPECT_EQ(Shown(ParseHostfile(GetParam().text, "h")), GetParam().shown);
}

const std::string kOnly =
    " is not supported here; write slots=N, max_slots=N, username=NAME or port=N";
const Row kFileRows[] = {
    {"# one\n\"n 1\" slots = 2 max_slots=4 // two\n/* three\n lines */ n2 cpus=3\nn3\r\n",
     "n 1/2<4 n2/3 n3/*"},
    {"n3\nn3\n", "n3/2"},  // once for each slot, as mpirun counts
    {"n3 slots=2\nn3\n", "n3/3"},
    {"a max_slots=3", "a/3<3"},  // mpirun: then it has as many slots
    {"a max-slots=3 slots=1", "a/1<3"},
    {"joe@a slots=2\nb username=jim\nc user-name = jo port = 22", "joe@a/2 jim@b/* jo@c/*#22"},
    {"a port=2201\na port=2202", "a/*#2201 a/*#2202"},  // two machines behind one address
    {"fe80::1 slots=2\n[fe80::2]\n10.0.0.1", "fe80::1/2 fe80::2/* 10.0.0.1/*"},
    {"a\nb user=x\n", "h:2:3: 'user=x'" + kOnly},
    {"a slots", "h:1:3: 'slots'" + kOnly},
    {"a slots=0", "h:1:3: 'slots=0' has no number of slots, which is at least 1"},
    {"a max_slots=x", "h:1:3: 'max_slots=x' has no number of slots, which is at least 1"},
    {"a slots=3 max_slots=2", "h:1:1: more slots than max_slots"},
    {"a port=0", "h:1:3: 'port=0' has no port, which is 1 to 65535"},
    {"a slots=1 port=65536", "h:1:11: 'port=65536' has no port, which is 1 to 65535"},
    {"a username=", "h:1:3: a user's name is empty"},
    {"a username=-x", "h:1:3: '-x' is not a user's name: it begins with '-'"},
    {" -a", "h:1:2: '-a' is not a host's name: it begins with '-'"},
    {"a\n^b", "a/* ^b"},
    {"\"^b\" slots=2", "^b"},
    {"+n1", "h:1:1: '+n1': relative names belong to --host"},
    {"a:2\nfe80::1\n[fe80::2]:3", "a/2 fe80::1/* fe80::2/3"},  // MPICH's and Intel MPI's way
    {"a\n b:x", "h:2:2: 'b:x' has no number of slots after ':'"},
    {"# nothing\n", "h: no host is named in it"},
    {"", "h: no host is named in it"},
};
INSTANTIATE_TEST_SUITE_P(Table, Hostfile, testing::ValuesIn(kFileRows));

TEST(Hostfile, OneThatNamesNobodyMayBeWanted) {
  EXPECT_EQ(Shown(ParseHostfileOrNothing("# nothing\n", "h")), "");
  EXPECT_EQ(Shown(ParseHostfileOrNothing("a", "h")), "a/*");
}

TEST(Hostfile, SeveralAreAsOne) {
  std::vector<HostEntry> all;
  AppendHosts(*ParseHostfile("a slots=2\nb", "h"), &all);
  AppendHosts(*ParseHostfile("b\na slots=3 max_slots=9", "h"), &all);
  EXPECT_EQ(Shown(all), "a/5<9 b/2");
}

TEST(Hostfile, ManyNodesTakeLittleTime) {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += "n" + std::to_string(i) + " slots=2\n";
  const auto hosts = ParseHostfile(text, "h");
  ASSERT_TRUE(hosts);
  EXPECT_EQ(hosts->size(), 60'000u);
}

}  // namespace
}  // namespace rex
