#include "launcher/wire/dvm_messages.h"

#include <gtest/gtest.h>

#include "launcher/wire/dvm.pb.h"

namespace rex {
namespace {

DvmRecord Record() {
  DvmRecord record;
  record.version = "1.2.3";
  record.name = "night";
  record.origin = "Slurm job 7";
  record.dvm.nodes.resize(2);
  record.dvm.nodes[0].name = "n1";
  record.dvm.nodes[1].name = "n2";
  record.dvm.nodes[1].here = true;
  record.dvm.nodes[1].slots = 8;
  record.dvm.ssh = {"ssh", "-F", "x"};
  record.slots = 3;
  record.inherited = {{"niceness", "0"}, {"the limit of stacks", "8388608"}};
  record.agent_pid = 100;
  record.keeper_pid = 99;
  record.started_s = 1'700'000'000;
  record.head = "login";
  return record;
}

// Equal when they look the same on the wire.
template <typename T>
void ExpectRoundTrip(const T& message) {
  const auto back = FromWire<T>(ToWire(message));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(ToWire(*back), ToWire(message));
}

template <typename T>
void ExpectEachTruncationIsTaken(const T& message) {
  const std::string wire = ToWire(message);
  for (size_t size = 0; size < wire.size(); ++size) {
    const auto cut = FromWire<T>(wire.substr(0, size));
    EXPECT_TRUE(cut || cut.error().code == Errc::kProtocol);
  }
}

TEST(DvmMessages, ComeBackAsTheyWere) {
  ExpectRoundTrip(Record());
  StartDvm start;
  start.name = "default";
  start.slots = 4;
  start.idle_timeout = std::chrono::seconds(60);
  start.verbose = true;
  ExpectRoundTrip(start);
  ExpectRoundTrip(Declined{"busy"});
  ExpectRoundTrip(AskDvm{true, true});
  ExpectRoundTrip(StopDvm{true});
  ExpectRoundTrip(KillJob{3, 15});
  ExpectRoundTrip(DvmReply{true, "done"});
  DvmStatus status;
  status.record = Record();
  status.state = 2;
  status.nodes = {{"n1", 4, 4, 1, false}, {"n2", 8, 4, 0, true}};
  status.up = std::chrono::milliseconds(1234);
  status.idle_timeout = std::chrono::seconds(60);
  status.jobs_ever = 7;
  ExpectRoundTrip(status);
  ExpectEachTruncationIsTaken(status);
  DvmJobList jobs;
  jobs.jobs.push_back(
      {2, "rex-1", 3, 4, 1, std::chrono::milliseconds(5), 1, 3, {"a", "b"}, "/", 9});
  ExpectRoundTrip(jobs);
  ExpectEachTruncationIsTaken(jobs);
  DvmRankList ranks;
  ranks.ranks.push_back({2, 1, "n1", 77, RankState::kExited, 3, 0, true, "a"});
  ExpectRoundTrip(ranks);
  ExpectEachTruncationIsTaken(ranks);
}

TEST(DvmMessages, TheRecordsFieldsAreThere) {
  const auto back = FromWire<DvmRecord>(ToWire(Record()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name, "night");
  EXPECT_EQ(back->dvm.nodes.at(1).name, "n2");
  EXPECT_TRUE(back->dvm.nodes.at(1).here);
  EXPECT_EQ(back->inherited, Record().inherited);
  EXPECT_EQ(back->keeper_pid, 99);
}

template <typename Change>
std::string WhyBad(Change change) {
  DvmRecord record = Record();
  change(record);
  const auto back = FromWire<DvmRecord>(ToWire(record));
  return back ? "" : back.error().text;
}

TEST(DvmMessages, ARecordThatCanNotBeIsRefusedByField) {
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.version.clear(); }), "bad field DvmRecord.version");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.version.assign(65, 'v'); }), "bad field DvmRecord.version");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.name = "../x"; }), "bad field DvmRecord.name");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.name = "none"; }), "bad field DvmRecord.name");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.slots = kMaxRanks + 1; }), "bad field DvmRecord.slots");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.agent_pid = -1; }), "bad field DvmRecord.agent_pid");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.inherited.resize(65); }), "bad field inherited");
  EXPECT_EQ(WhyBad([](DvmRecord& r) { r.dvm.nodes[0].name.clear(); }),
            "bad field NodeRequest.name");
  EXPECT_EQ(FromWire<DvmRecord>("\x01garbage").error().code, Errc::kProtocol);
}

TEST(DvmMessages, NumbersAreBounded) {
  EXPECT_FALSE(FromWire<KillJob>(ToWire(KillJob{0, 9})));
  EXPECT_FALSE(FromWire<KillJob>(ToWire(KillJob{1, 65})));
  StartDvm start;
  start.name = "x";
  start.idle_timeout = kMaxIdleTimeout + std::chrono::seconds(1);
  EXPECT_FALSE(FromWire<StartDvm>(ToWire(start)));
  DvmRankList ranks;
  ranks.ranks.resize(kMaxRanksInMessage + 1);
  for (DvmRank& rank : ranks.ranks) rank.job = 1;
  EXPECT_FALSE(FromWire<DvmRankList>(ToWire(ranks)));
  ranks.ranks.pop_back();
  EXPECT_TRUE(FromWire<DvmRankList>(ToWire(ranks)));
  DvmJobList jobs;
  jobs.jobs.resize(1);
  jobs.jobs[0].number = 1;
  jobs.jobs[0].ranks = 1;
  jobs.jobs[0].live = 2;
  EXPECT_FALSE(FromWire<DvmJobList>(ToWire(jobs)));
}

}  // namespace
}  // namespace rex
