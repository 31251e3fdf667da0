// Every bound of the agent <-> host messages, from both sides where there are two.
#include <gtest/gtest.h>

#include <functional>

#include "pmix-server/proto/job_checks.h"
#include "tests/unit/pmix_proto/samples.h"

namespace rex::pmix {
namespace {

bool Accepted(const HostMessage& message) {
  const auto decoded = DecodeHostMessage(EncodeHostMessage(message));
  if (!decoded) {
    EXPECT_EQ(decoded.error().code, Errc::kProtocol);
  }
  return decoded.has_value();
}

bool AcceptedJob(const std::function<void(RegisterJob&)>& change) {
  RegisterJob job = SampleJob();
  change(job);
  return Accepted(job);
}

const std::string kNul("a\0b", 3);

TEST(HostBounds, NameSpace) {
  const auto accepted = [](const std::string& name) { return Accepted(DeregisterJob{name}); };
  EXPECT_FALSE(accepted(""));
  EXPECT_TRUE(accepted("a"));
  EXPECT_TRUE(accepted(std::string(255, 'a')));
  EXPECT_FALSE(accepted(std::string(256, 'a')));
  EXPECT_FALSE(accepted(kNul));
}

TEST(HostBounds, Rank) {
  EXPECT_TRUE(Accepted(DirectModex{1, {"a", 0}, std::chrono::seconds(1)}));
  EXPECT_TRUE(Accepted(DirectModex{1, {"a", 0xfffffffe}, std::chrono::seconds(1)}));
  EXPECT_FALSE(Accepted(DirectModex{1, {"a", 0xffffffff}, std::chrono::seconds(1)}));
}

TEST(HostBounds, Timeouts) {
  const ProcId proc{"a", 0};
  EXPECT_TRUE(Accepted(DirectModex{1, proc, std::chrono::hours(7 * 24)}));
  EXPECT_FALSE(
      Accepted(DirectModex{1, proc, std::chrono::hours(7 * 24) + std::chrono::seconds(1)}));
  EXPECT_FALSE(Accepted(Lookup{1, proc, {"k"}, true, 0, std::chrono::hours(1000), 4}));
  EXPECT_FALSE(Accepted(Publish{1, proc, {}, 4, 3, std::chrono::hours(1000)}));
}

// What programs name, publish, log and abort with is bytes; nobody promises an encoding.
TEST(HostBounds, TextNeedNotBeUtf8) {
  const ProcId proc{"a", 0};
  const std::string latin = "\xe9t\xe9";
  EXPECT_TRUE(AcceptedJob([&](RegisterJob& job) { job.apps[0].argv = {latin}; }));
  EXPECT_TRUE(Accepted(JobRegistered{"a", 0, latin, {"A=" + latin}, {}}));
  EXPECT_TRUE(Accepted(Abort{1, proc, 1, latin, {}}));
  EXPECT_TRUE(Accepted(LogText{1, proc, true, latin}));
  EXPECT_TRUE(Accepted(Publish{1, proc, {{latin, "v", proc}}, 4, 3, std::chrono::seconds(0)}));
}

TEST(HostBounds, TimesAreBounded) {
  using std::chrono::microseconds;
  constexpr microseconds kMost(int64_t{1} << 53);
  const auto accepted = [](microseconds at) {
    const ProcId proc{"a", 0};
    const bool client = Accepted(ClientEvent{proc, ClientEvent::What::kConnected, at});
    EXPECT_EQ(client, Accepted(Fence{1, {proc}, false, "", at})) << at.count();
    EXPECT_EQ(client, Accepted(FenceReleased{{proc}, at})) << at.count();
    return client;
  };
  EXPECT_TRUE(accepted(microseconds(0)));
  EXPECT_TRUE(accepted(kMost));
  EXPECT_FALSE(accepted(microseconds(-1)));
  EXPECT_FALSE(accepted(kMost + microseconds(1)));
  EXPECT_TRUE(Accepted(HostReady{"", microseconds(0), kMost}));
  EXPECT_FALSE(Accepted(HostReady{"", microseconds(0), microseconds::max()}));
  EXPECT_FALSE(Accepted(HostReady{"", microseconds(2), microseconds(1)}));
}

TEST(HostBounds, RunsWithStridesShareOutTheRanks) {
  const auto accepted = [](std::vector<RankRun> a, std::vector<RankRun> b) {
    return AcceptedJob([&](RegisterJob& job) {
      job.nodes[0].runs = std::move(a);
      job.nodes[1].runs = std::move(b);
    });
  };
  EXPECT_TRUE(accepted({{0, 3, 2}}, {{1, 2, 2}}));
  EXPECT_TRUE(accepted({{0, 2, 4}, {2, 1, 9}}, {{1, 2, 2}}));
  EXPECT_FALSE(accepted({{0, 3, 2}}, {{1, 1, 2}})) << "rank 3 is on no node";
  EXPECT_FALSE(accepted({{0, 3, 2}}, {{1, 3, 2}})) << "beyond the last rank";
  EXPECT_FALSE(accepted({{0, 3, 2}}, {{1, 2, 1}})) << "rank 2 twice";
  EXPECT_FALSE(accepted({{0, 3, 0}}, {{1, 2, 2}}));
  EXPECT_FALSE(accepted({{0, 3, 2}}, {{1, 2, 2}, {0, 0, 1}}));
  EXPECT_FALSE(accepted({{0, 3, 0x80000000}}, {{1, 2, 2}}));
}

TEST(HostBounds, AFenceHasAKindAndABound) {
  const ProcId proc{"a", 0};
  const auto fence = [&](int kind, std::chrono::seconds timeout) {
    return Accepted(Fence{1, {proc}, false, "", {}, static_cast<Fence::Kind>(kind), timeout});
  };
  EXPECT_TRUE(fence(2, std::chrono::hours(7 * 24)));
  EXPECT_FALSE(fence(3, std::chrono::seconds(0)));
  EXPECT_FALSE(fence(0, std::chrono::hours(7 * 24) + std::chrono::seconds(1)));
}

TEST(HostBounds, KeysAndRanges) {
  const ProcId proc{"a", 0};
  const auto lookup = [&](std::vector<std::string> keys, uint32_t wait_count, uint32_t range) {
    return Accepted(
        Lookup{1, proc, std::move(keys), true, wait_count, std::chrono::seconds(0), range});
  };
  EXPECT_TRUE(lookup({"k"}, 1, 255));
  EXPECT_FALSE(lookup({}, 0, 4));
  EXPECT_FALSE(lookup({""}, 0, 4));
  EXPECT_TRUE(lookup({std::string(511, 'k')}, 0, 4));
  EXPECT_FALSE(lookup({std::string(512, 'k')}, 0, 4));
  EXPECT_FALSE(lookup({kNul}, 0, 4));
  EXPECT_FALSE(lookup({"k"}, 2, 4));
  EXPECT_FALSE(lookup({"k"}, 1, 256));
  EXPECT_FALSE(Accepted(Unpublish{1, proc, {}, 256}));
  EXPECT_FALSE(Accepted(Publish{1, proc, {}, 4, 256, std::chrono::seconds(0)}));
  EXPECT_FALSE(lookup(std::vector<std::string>((1 << 16) + 1, "k"), 0, 4));
}

TEST(HostBounds, SignalsStatesAndEvents) {
  const ProcId proc{"a", 0};
  EXPECT_FALSE(Accepted(JobControl{1, proc, {}, 0}));
  EXPECT_TRUE(Accepted(JobControl{1, proc, {}, 64}));
  EXPECT_FALSE(Accepted(JobControl{1, proc, {}, 65}));
  EXPECT_FALSE(Accepted(JobControl{1, proc, {}, -9}));
}

TEST(HostBounds, Tools) {
  const ProcId proc{"rex-tool", 0};
  EXPECT_TRUE(Accepted(ToolConnected{1, proc, 1, "0.1.0", "", 0777, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, {}, 1, "0.1.0", "", 0, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, -1, "0.1.0", "", 0, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, int64_t{1} << 31, "0.1.0", "", 0, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, 1, std::string("0\0", 2), "", 0, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, 1, "", std::string("0\0", 2), 0, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, 1, "", "", 01000, 5, 5}));
  EXPECT_FALSE(Accepted(ToolConnected{1, proc, 1, "", "", 0, 6, 5}));
  EXPECT_TRUE(Accepted(ToolRead{proc, kToolWindowBytes}));
  EXPECT_FALSE(Accepted(ToolRead{proc, kToolWindowBytes + 1}));
  EXPECT_FALSE(Accepted(ToolRead{{}, 1}));
  EXPECT_FALSE(Accepted(ToolGone{}));
  EXPECT_FALSE(Accepted(ToolDrain{1, {}}));
  QueryDone query{1, 0, {}, {SampleState()}};
  query.procs[0].state = 256;
  EXPECT_FALSE(Accepted(query));
  query.procs[0] = SampleState();
  query.procs[0].pid = -1;
  EXPECT_FALSE(Accepted(query));
  EXPECT_FALSE(Accepted(QueryDone{1, 0, {""}, {}}));
  EXPECT_FALSE(Accepted(EventRaised{1, 0, proc, 256, "", 0, {}}));
  EXPECT_FALSE(Accepted(EventRaised{1, 0, proc, 3, "", 1, {}}));
  EXPECT_FALSE(Accepted(EventRaised{1, 0, proc, 3, "x", (1 << 16) + 1, {}}));
  EXPECT_TRUE(Accepted(EventRaised{0, -201, proc, 6, "", 0, {}, ProcExit{255, 64}}));
  EXPECT_FALSE(Accepted(EventRaised{0, -201, proc, 6, "", 0, {}, ProcExit{256, 0}}));
  EXPECT_FALSE(Accepted(EventRaised{0, -201, proc, 6, "", 0, {}, ProcExit{0, 65}}));
  EXPECT_FALSE(Accepted(Fence{1, {}, true, "", std::chrono::microseconds(0)}));
  EXPECT_FALSE(Accepted(HostReady{"", std::chrono::microseconds(2), std::chrono::microseconds(1)}));
}

TEST(HostBounds, EnvironmentOfRanksIsAscendingAndWithoutNul) {
  EXPECT_FALSE(Accepted(JobRegistered{"n", 0, "", {kNul}, {}}));
  EXPECT_FALSE(Accepted(JobRegistered{"n", 0, "", {}, {{1, {}}, {1, {}}}}));
  EXPECT_FALSE(Accepted(JobRegistered{"n", 0, "", {}, {{2, {}}, {1, {}}}}));
  EXPECT_FALSE(Accepted(JobRegistered{"n", 0, "", {}, {{kMaxJobRanks, {}}}}));
}

TEST(HostBounds, AppsShareOutTheRanks) {
  EXPECT_TRUE(AcceptedJob([](RegisterJob&) {}));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps.clear(); }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[1].first_rank = 4; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[1].ranks = 0; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[0].argv.clear(); }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[0].argv[0] = ""; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[1].ranks = 0xfffffff0; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.apps[0].argv[1] = kNul; }));
}

TEST(HostBounds, NodesShareOutTheRanks) {
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes.clear(); }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.local_node = 2; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[1].runs[0].first = 1; }));  // twice
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[1].runs[0].count = 1; }));  // a gap
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[0].runs[1].count = 5; }));  // beyond
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[0].runs[0].count = 0; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[0].runs[1] = {4, 0xffffffff}; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[0].name = ""; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.nodes[0].name = kNul; }));
}

TEST(HostBounds, DirectoriesSlotsAndCpusets) {
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.job_dir = "relative"; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.job_dir = ""; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.slots = 0; }));
  EXPECT_FALSE(AcceptedJob([](RegisterJob& j) { j.cpusets.pop_back(); }));
  EXPECT_TRUE(AcceptedJob([](RegisterJob& j) { j.cpusets.clear(); }));
}

TEST(JobChecks, RanksOfANodeAscend) {
  RegisterJob::Node node{"n", {{7, 2}, {0, 1}}};
  EXPECT_EQ(RanksOfNode(node), (std::vector<uint32_t>{0, 7, 8}));
  EXPECT_EQ(JobRanks(SampleJob()), 5u);
}

// ---- uplinks

UseUplink SampleUplink() {
  return {7, 2, "node n2", {1, 2, 3}, {4, 5, 6}, std::chrono::seconds(120), 1 << 20};
}

bool AcceptedUplink(const std::function<void(UseUplink&)>& change) {
  UseUplink uplink = SampleUplink();
  change(uplink);
  return Accepted(uplink);
}

TEST(HostBounds, UplinksEnds) {
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.self = kMaxJobNodes - 1; }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.self = kMaxJobNodes; }));
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.peer = kMaxJobNodes - 1; }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.peer = kMaxJobNodes; }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.peer = u.self; })) << "the head has none";
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.peer_name = std::string(4096, 'n'); }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.peer_name = std::string(4097, 'n'); }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.peer_name = kNul; }));
}

// Whatever --node-timeout and --max-modex allow must be allowed here: the host ends at what is not.
TEST(HostBounds, UplinksTakeWhatNodesMayHave) {
  using std::chrono::seconds;
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.node_timeout = seconds(0); }));
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.node_timeout = seconds(1); }));
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.node_timeout = std::chrono::hours(24); }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.node_timeout = std::chrono::hours(1000); }));
  EXPECT_FALSE(AcceptedUplink([](UseUplink& u) { u.max_message_bytes = 0; }));
  EXPECT_TRUE(AcceptedUplink([](UseUplink& u) { u.max_message_bytes = kMaxHostMessageBytes; }));
  EXPECT_FALSE(
      AcceptedUplink([](UseUplink& u) { u.max_message_bytes = kMaxHostMessageBytes + 1; }));
}

TEST(HostBounds, UplinksKeysAreWhole) {
  const std::string bytes = EncodeHostMessage(SampleUplink());
  const size_t key = bytes.find(std::string("\x01\x02\x03", 3));
  ASSERT_NE(key, std::string::npos);
  for (const int more : {-1, 1}) {
    std::string changed = bytes;
    ASSERT_EQ(changed[key - 1], 32);  // the field's length
    changed[key - 1] = static_cast<char>(32 + more);
    more < 0 ? changed.erase(key + 31, 1) : changed.insert(key + 32, 1, 'x');
    const size_t length = changed.find_first_of(static_cast<char>(bytes.size() - 3));
    ASSERT_EQ(length, 2U) << "the message's own length";
    changed[length] = static_cast<char>(changed[length] + more);
    const auto decoded = DecodeHostMessage(changed);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().text.find("UseUplink.key_down"), std::string::npos)
        << decoded.error().text;
  }
}

TEST(HostBounds, GivenSeries) {
  EXPECT_TRUE(Accepted(SeriesGiven{kMaxJobNodes - 1, 0, 0, "h"}));
  EXPECT_TRUE(Accepted(SeriesGiven{0, 0, kMaxModexBytes, "h"})) << "the head is its own parent";
  EXPECT_FALSE(Accepted(SeriesGiven{kMaxJobNodes, 0, 0, "h"}));
  EXPECT_FALSE(Accepted(SeriesGiven{0, kMaxJobNodes, 0, "h"}));
  EXPECT_FALSE(Accepted(SeriesGiven{0, 0, kMaxModexBytes + 1, "h"}));
}

TEST(HostBounds, WhyAnUplinkIsLost) {
  EXPECT_TRUE(Accepted(UplinkLost{std::string(8 << 10, 'w')}));
  EXPECT_FALSE(Accepted(UplinkLost{std::string((8 << 10) + 1, 'w')}));
  EXPECT_FALSE(Accepted(UplinkLost{kNul}));
}

}  // namespace
}  // namespace rex::pmix
