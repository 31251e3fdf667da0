#include "pmix-server/proto/host_types.h"

#include <gtest/gtest.h>

#include "pmix-server/proto/job_checks.h"
#include "tests/unit/pmix_proto/samples.h"

namespace rex::pmix {
namespace {

TEST(HostTypes, EveryKindIsSampled) {
  std::vector<bool> seen(std::variant_size_v<HostMessage>);
  for (const auto& message : SampleMessages()) seen[message.index()] = true;
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_TRUE(seen[i]) << "no sample of alternative " << i;
}

// Encoding is a function of the fields, so equal bytes after a round trip mean equal fields,
// provided every field is encoded: FieldsArrive looks at that.
TEST(HostTypes, RoundTripOfEveryMessage) {
  for (const auto& message : SampleMessages()) {
    const std::string bytes = EncodeHostMessage(message);
    const auto decoded = DecodeHostMessage(bytes);
    ASSERT_TRUE(decoded) << message.index() << ": " << decoded.error().text;
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(EncodeHostMessage(*decoded), bytes) << message.index();
  }
}

TEST(HostTypes, EveryTruncationIsRefusedOrWellFormed) {
  for (const auto& message : SampleMessages()) {
    const std::string bytes = EncodeHostMessage(message);
    for (size_t n = 0; n < bytes.size(); ++n) {
      const auto decoded = DecodeHostMessage(bytes.substr(0, n));
      if (!decoded) {
        EXPECT_EQ(decoded.error().code, Errc::kProtocol);
        continue;
      }
      EXPECT_TRUE(DecodeHostMessage(EncodeHostMessage(*decoded)));
    }
  }
}

TEST(HostTypes, EverySingleByteChangeIsRefusedOrWellFormed) {
  for (const auto& message : SampleMessages()) {
    const std::string bytes = EncodeHostMessage(message);
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ change);
        const auto decoded = DecodeHostMessage(changed);
        if (decoded) {
          EXPECT_TRUE(DecodeHostMessage(EncodeHostMessage(*decoded)));
        }
      }
    }
  }
}

TEST(HostTypes, EmptyAndUnknownAreRefused) {
  EXPECT_FALSE(DecodeHostMessage(""));
  EXPECT_FALSE(DecodeHostMessage(std::string("\xfa\x07\x00", 3)));  // field 127, empty
}

template <typename T>
T RoundTrip(const T& message) {
  const auto decoded = DecodeHostMessage(EncodeHostMessage(message));
  EXPECT_TRUE(decoded) << decoded.error().text;
  return decoded ? std::get<T>(*decoded) : T{};
}

TEST(HostTypes, FieldsOfRegisterJobArrive) {
  const RegisterJob sent = SampleJob();
  const RegisterJob got = RoundTrip(sent);
  EXPECT_EQ(got.name_space, sent.name_space);
  ASSERT_EQ(got.nodes.size(), 2u);
  EXPECT_EQ(got.nodes[0].name, "node-a");
  ASSERT_EQ(got.nodes[0].runs.size(), 2u);
  EXPECT_EQ(got.nodes[0].runs[1].first, 4u);
  EXPECT_EQ(got.nodes[0].runs[1].count, 1u);
  ASSERT_EQ(got.apps.size(), 2u);
  EXPECT_EQ(got.apps[0].argv, sent.apps[0].argv);
  EXPECT_EQ(got.apps[1].first_rank, 3u);
  EXPECT_EQ(got.apps[0].wdir, "/tmp");
  EXPECT_EQ(got.job_dir, sent.job_dir);
  EXPECT_EQ(got.slots, 8u);
  EXPECT_EQ(got.cpusets, sent.cpusets);
}

TEST(HostTypes, StridesArrive) {
  const RegisterJob got = RoundTrip(SampleDealtJob());
  EXPECT_EQ(RanksOfNode(got.nodes[0]), (std::vector<uint32_t>{0, 2, 4}));
  EXPECT_EQ(RanksOfNode(got.nodes[1]), (std::vector<uint32_t>{1, 3}));
}

TEST(HostTypes, FieldsOfRequestsArrive) {
  const ProcId proc{"rex-job", 3};
  const Lookup lookup = RoundTrip(Lookup{6, proc, {"k", "l"}, true, 2, std::chrono::seconds(9), 4});
  EXPECT_EQ(lookup.request, 6u);
  EXPECT_EQ(lookup.proc, proc);
  EXPECT_EQ(lookup.keys, (std::vector<std::string>{"k", "l"}));
  EXPECT_TRUE(lookup.wait);
  EXPECT_EQ(lookup.wait_count, 2u);
  EXPECT_EQ(lookup.timeout, std::chrono::seconds(9));
  EXPECT_EQ(lookup.range, 4u);
  const EventRaised event = RoundTrip(EventRaised{8, -3005, proc, 3, "info", 2, {proc}});
  EXPECT_EQ(event.code, -3005);
  EXPECT_EQ(event.source, proc);
  EXPECT_EQ(event.info, "info");
  EXPECT_EQ(event.info_count, 2u);
  EXPECT_EQ(event.targets, std::vector<ProcId>{proc});
  EXPECT_FALSE(event.exit);
  const EventRaised end = RoundTrip(EventRaised{0, -201, proc, 6, "", 0, {proc}, ProcExit{3, 9}});
  ASSERT_TRUE(end.exit);
  EXPECT_EQ(end.exit->code, 3);
  EXPECT_EQ(end.exit->signo, 9);
  const Fence fence = RoundTrip(Fence{2, {proc}, true, "data", std::chrono::microseconds(5)});
  EXPECT_TRUE(fence.collect);
  EXPECT_EQ(fence.data, "data");
  EXPECT_EQ(fence.at, std::chrono::microseconds(5));
  EXPECT_EQ(fence.kind, Fence::Kind::kFence);
  EXPECT_EQ(fence.timeout.count(), 0);
  const Fence connect =
      RoundTrip(Fence{2, {proc}, false, "", {}, Fence::Kind::kConnect, std::chrono::seconds(7)});
  EXPECT_EQ(connect.kind, Fence::Kind::kConnect);
  EXPECT_EQ(connect.timeout, std::chrono::seconds(7));
  const Abort abort = RoundTrip(Abort{1, proc, -3, "text", {proc}});
  EXPECT_EQ(abort.code, -3);
  EXPECT_EQ(abort.text, "text");
}

TEST(HostTypes, FieldsOfAnswersArrive) {
  QueryDone sent{11, -1, {"a", "b"}, {}};
  sent.procs.push_back(SampleState());
  const QueryDone done = RoundTrip(sent);
  EXPECT_EQ(done.status, -1);
  EXPECT_EQ(done.name_spaces, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(done.procs.size(), 1u);
  EXPECT_EQ(done.procs[0].proc, (ProcId{"rex-job", 3}));
  EXPECT_EQ(done.procs[0].node, "node-a");
  EXPECT_EQ(done.procs[0].program, "prog");
  EXPECT_EQ(done.procs[0].pid, 123);
  EXPECT_EQ(done.procs[0].exit_code, 1);
  EXPECT_EQ(done.procs[0].state, 4u);
  EXPECT_EQ(done.procs[0].app, 1u);
  const JobRegistered job =
      RoundTrip(JobRegistered{"n", -1, "why", {"A=1"}, {{0, {"R=0"}}, {2, {}}}});
  EXPECT_EQ(job.status, -1);
  EXPECT_EQ(job.error, "why");
  EXPECT_EQ(job.common_env, std::vector<std::string>{"A=1"});
  ASSERT_EQ(job.ranks.size(), 2u);
  EXPECT_EQ(job.ranks[0].env, std::vector<std::string>{"R=0"});
  EXPECT_EQ(job.ranks[1].rank, 2u);
}

TEST(HostTypes, FieldsOfUplinkMessagesArrive) {
  UseUplink sent{7, 2, "node n2", {}, {}, std::chrono::seconds(77), 12345};
  sent.key_down.fill(8);
  sent.key_up.fill(9);
  sent.key_up[31] = 0;
  const UseUplink got = RoundTrip(sent);
  EXPECT_EQ(got.self, 7U);
  EXPECT_EQ(got.peer, 2U);
  EXPECT_EQ(got.peer_name, "node n2");
  EXPECT_EQ(got.key_down, sent.key_down);
  EXPECT_EQ(got.key_up, sent.key_up);
  EXPECT_EQ(got.node_timeout, std::chrono::seconds(77));
  EXPECT_EQ(got.max_message_bytes, 12345U);
  const SeriesGiven given = RoundTrip(SeriesGiven{5, 3, 99, std::string("he\0d", 4)});
  EXPECT_EQ(given.self, 5U);
  EXPECT_EQ(given.parent, 3U);
  EXPECT_EQ(given.max_modex_bytes, 99U);
  EXPECT_EQ(given.header, std::string("he\0d", 4));
  EXPECT_EQ(RoundTrip(FromAbove{std::string("d\0wn", 4)}).payload, std::string("d\0wn", 4));
  EXPECT_EQ(RoundTrip(UplinkLost{"why"}).why, "why");
}

// The host must have a series before the answer that comes behind it, and what is from above after.
TEST(HostTypes, WhatGoesWithAFencesAnswerIsOfItsClass) {
  EXPECT_EQ(ClassOf(SeriesGiven{}), FrameClass::kControl);
  EXPECT_EQ(ClassOf(DeregisterJob{}), FrameClass::kControl);
  EXPECT_EQ(ClassOf(FromAbove{}), FrameClass::kData);
  EXPECT_EQ(ClassOf(UseUplink{}), FrameClass::kControl);
  EXPECT_EQ(ClassOf(UplinkLost{}), FrameClass::kControl);
}

}  // namespace
}  // namespace rex::pmix
