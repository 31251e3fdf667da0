#include "launcher/part/part_messages.h"

#include <gtest/gtest.h>

#include "launcher/part/part.pb.h"
#include "tests/unit/part/samples.h"

namespace rex {
namespace {

template <typename T>
T Back(const T& body) {
  const PartFrame frame = EncodePart(7, PartCommand(body));
  auto back = DecodeCommand(frame.kind, frame.payload, 100);
  EXPECT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->job, 7U);
  return std::get<T>(back->body);
}
template <typename T>
T BackEvent(const T& body) {
  const PartFrame frame = EncodePart(7, PartEvent(body));
  auto back = DecodeEvent(frame.kind, frame.payload);
  EXPECT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->job, 7U);
  return std::get<T>(back->body);
}

TEST(PartMessages, LaunchRoundTrip) {
  const LaunchPart launch = SampleLaunch(2, 3);
  const LaunchPart back = Back(launch);
  EXPECT_EQ(back.name_space, launch.name_space);
  EXPECT_EQ(back.spec->apps[0].argv, launch.spec->apps[0].argv);
  EXPECT_EQ(back.map->Digest(), launch.map->Digest());
  EXPECT_EQ(back.map->runs(), launch.map->runs());
  EXPECT_EQ(back.slots, launch.slots);
  EXPECT_EQ(back.node_names, launch.node_names);
  EXPECT_TRUE(back.unbuffered);
  EXPECT_TRUE(back.virtual_nodes);
}

// What goes down the tree must not grow with the ranks, and by little with the nodes.
TEST(PartMessages, LaunchIsConstantInRanksAndSmallPerNode) {
  const auto bytes = [](uint32_t nodes, uint32_t per_node, bool names = true) {
    LaunchPart launch = SampleLaunch(nodes, per_node);
    if (!names) launch.node_names.assign(nodes, "");
    return EncodePart(1, PartCommand(launch)).payload.size();
  };
  // Numbers themselves get longer: a byte for each factor of 128, in a run's three.
  EXPECT_LE(bytes(8, 1250) - bytes(8, 1), 8U * 4 + 4);
  const size_t per_node = (bytes(4096, 4, false) - bytes(1, 4, false)) / 4095;
  EXPECT_LE(per_node, 16U);
}

TEST(PartMessages, CommandsRoundTrip) {
  EXPECT_EQ(Back(SignalPart{10, {1, 5}, true}).ranks, (std::vector<Rank>{1, 5}));
  EXPECT_TRUE(Back(SignalPart{10, {1, 5}, true}).ends_them);
  EXPECT_EQ(Back(SignalPart{64, {}, false}).signo, 64);
  EXPECT_EQ(Back(StopPart{std::chrono::milliseconds(5), true}).grace.count(), 5);
  EXPECT_TRUE(Back(StopPart{std::chrono::milliseconds(5), true}).discard_output);
  EXPECT_EQ(Back(PartCredit{77}).bytes, 77U);
  EXPECT_EQ(Back(PartStdin{std::string("a\0b", 3)}).bytes, std::string("a\0b", 3));
  EXPECT_EQ(Back(AskNews{9}).number, 9U);
  EXPECT_TRUE(Back(AskReport{true}).stack_traces);
  Back(OpenGates{});
  Back(PartStdinEnd{});
  Back(EndPart{});
}

TEST(PartMessages, EventsRoundTrip) {
  EXPECT_EQ(BackEvent(PartPlanned{UINT64_MAX, "map", "topo"}).map_digest, UINT64_MAX);
  EXPECT_EQ(BackEvent(PartPlanned{1, "", "", UINT64_MAX}).plan_digest, UINT64_MAX);
  const PartPlanned planned = BackEvent(PartPlanned{1, "", "", 2, 3, "no directory", true});
  EXPECT_EQ(planned.cores_held, 3u);
  EXPECT_EQ(planned.lease_trouble, "no directory");
  EXPECT_TRUE(planned.trouble_is_new);
  const PartBorn born = BackEvent(PartBorn{7, {12, 13}, {true, false}});
  EXPECT_EQ(born.first, 7U);
  EXPECT_EQ(born.pids, (std::vector<int64_t>{12, 13}));
  EXPECT_EQ(born.templated, (std::vector<bool>{true, false}));
  PartFailed failed;
  failed.failure.kind = FailureKind::kProgramNotFound;
  failed.failure.node = "n3";
  failed.root_cause = true;
  EXPECT_EQ(BackEvent(failed).failure.node, "n3");
  EXPECT_TRUE(BackEvent(failed).root_cause);
  const RankEnds ends = BackEvent(RankEnds{{{3, 0, 11, true, true, false, true}, {4, 255}}});
  ASSERT_EQ(ends.ends.size(), 2U);
  EXPECT_EQ(ends.ends[0].signo, 11);
  EXPECT_TRUE(ends.ends[0].core_dumped && ends.ends[0].connected && ends.ends[0].consequence);
  EXPECT_FALSE(ends.ends[0].finalized);
  EXPECT_EQ(ends.ends[1].code, 255);
  EXPECT_EQ(BackEvent(PartProgress{{1, 2}, {3}}).connected, (std::vector<Rank>{1, 2}));
  EXPECT_EQ(BackEvent(PartProgress{{1, 2}, {3}}).finalized, (std::vector<Rank>{3}));
  const std::string output = EncodeOutput({3, OutputStream::kStderr, true}, "text");
  EXPECT_EQ(BackEvent(PartOutput{output}).payload, output);
  EXPECT_EQ(BackEvent(PartStdinCredit{5}).bytes, 5U);
  EXPECT_EQ(BackEvent(PartNotice{{Notice::Level::kWarning, "w"}}).notice.text, "w");
  EXPECT_EQ(BackEvent(PartNews{8}).number, 8U);
  EXPECT_EQ(BackEvent(PartReport{{"a", "b"}}).lines, (std::vector<std::string>{"a", "b"}));
  PartEnded ended;
  ended.phases.push_back({"births", std::chrono::microseconds(1), std::chrono::microseconds(2)});
  ended.leftovers = {"sleep (pid 5)"};
  EXPECT_EQ(BackEvent(ended).phases.size(), 1U);
  EXPECT_EQ(BackEvent(ended).leftovers, ended.leftovers);
  EXPECT_EQ(BackEvent(PartPlugIns{2, {"/a.so", "/b.so"}}).paths,
            (std::vector<std::string>{"/a.so", "/b.so"}));
  EXPECT_EQ(BackEvent(PartPlugIns{2, {}}).app, 2U);
  BackEvent(PartReady{});
  BackEvent(PartRunning{});
  BackEvent(PartStdinDone{});
  BackEvent(PartDrained{});
}

TEST(PartMessages, PlugInsAreAbsoluteAndNotTooMany) {
  const auto refused = [](const PartPlugIns& m) {
    const PartFrame frame = EncodePart(1, PartEvent(m));
    return !DecodeEvent(frame.kind, frame.payload);
  };
  EXPECT_TRUE(refused({0, {"a.so"}}));
  EXPECT_TRUE(refused({0, {""}}));
  EXPECT_TRUE(refused({0, {std::string("/a\0b", 4)}}));
  EXPECT_TRUE(refused({0, {"/" + std::string(4096, 'x')}}));
  EXPECT_TRUE(refused({0, std::vector<std::string>(kMaxPlugIns + 1, "/a.so")}));
  EXPECT_FALSE(refused({0, std::vector<std::string>(kMaxPlugIns, "/a.so")}));
}

// Drained and Ended must not overtake output, ends of ranks must not wait for it.
TEST(PartMessages, ClassesKeepTheOrderThatMatters) {
  EXPECT_EQ(EncodePart(1, PartEvent(PartOutput{"12345678"})).frame_class, FrameClass::kStdio);
  EXPECT_EQ(EncodePart(1, PartEvent(PartDrained{})).frame_class, FrameClass::kStdio);
  EXPECT_EQ(EncodePart(1, PartEvent(PartEnded{})).frame_class, FrameClass::kStdio);
  EXPECT_EQ(EncodePart(1, PartEvent(RankEnds{})).frame_class, FrameClass::kControl);
  EXPECT_EQ(EncodePart(1, PartCommand(PartStdin{})).frame_class, FrameClass::kStdio);
  EXPECT_EQ(EncodePart(1, PartCommand(PartStdinEnd{})).frame_class, FrameClass::kStdio);
  EXPECT_EQ(EncodePart(1, PartCommand(SignalPart{2})).frame_class, FrameClass::kControl);
}

TEST(PartMessages, EveryTruncationIsRefusedOrAnother) {
  for (const PartFrame& frame : SampleFrames()) {
    for (size_t n = 0; n < frame.payload.size(); ++n) {
      // Must neither crash nor read beyond; some cuts are valid shorter messages.
      (void)DecodeCommand(frame.kind, frame.payload.substr(0, n), 100);
      (void)DecodeEvent(frame.kind, frame.payload.substr(0, n));
    }
    for (size_t n = 0; n < 4; ++n) {
      EXPECT_FALSE(DecodeCommand(frame.kind, frame.payload.substr(0, n), 100));
      EXPECT_FALSE(DecodeEvent(frame.kind, frame.payload.substr(0, n)));
    }
  }
}

template <typename Pb>
std::string Payload(const Pb& m) {
  return std::string(4, '\0') + m.SerializeAsString();
}
std::string CommandRefusal(const PartCommand& like, const std::string& payload) {
  const auto back = DecodeCommand(EncodePart(0, like).kind, payload, 100);
  return back ? "" : back.error().text;
}
std::string EventRefusal(const PartEvent& like, const std::string& payload) {
  const auto back = DecodeEvent(EncodePart(0, like).kind, payload);
  return back ? "" : back.error().text;
}

TEST(PartMessages, EveryBoundIsChecked) {
  pb::SignalPart signal;
  EXPECT_EQ(CommandRefusal(SignalPart{}, Payload(signal)), "bad field SignalPart.signo");
  signal.set_signo(65);
  EXPECT_EQ(CommandRefusal(SignalPart{}, Payload(signal)), "bad field SignalPart.signo");
  signal.set_signo(1);
  signal.add_ranks(kMaxRanks);
  EXPECT_EQ(CommandRefusal(SignalPart{}, Payload(signal)), "bad field SignalPart.ranks");
  pb::StopPart stop;
  stop.set_grace_ms(UINT32_MAX);
  EXPECT_EQ(CommandRefusal(StopPart{}, Payload(stop)), "bad field StopPart.grace_ms");
  EXPECT_EQ(CommandRefusal(PartCredit{}, Payload(pb::Credit{})), "bad field Credit.bytes");
  EXPECT_EQ(CommandRefusal(OpenGates{}, std::string(5, '\0')), "bad field an empty body");
  EXPECT_EQ(CommandRefusal(PartStdin{}, std::string(5 + kMaxStdioPayloadBytes, 'x')),
            "bad field PartStdin");
  pb::PartBorn born;
  born.set_first(kMaxRanks);
  EXPECT_EQ(EventRefusal(PartBorn{}, Payload(born)), "bad field PartBorn.first");
  born.set_first(0);
  born.add_pids(0);
  born.set_births(std::string(1, '\0'));
  EXPECT_EQ(EventRefusal(PartBorn{}, Payload(born)), "bad field PartBorn.pids");
  born.set_pids(0, 5);
  born.set_births("\x02");
  EXPECT_EQ(EventRefusal(PartBorn{}, Payload(born)), "bad field PartBorn.births");
  born.set_births("");
  EXPECT_EQ(EventRefusal(PartBorn{}, Payload(born)), "bad field PartBorn.births");
  EXPECT_EQ(EventRefusal(PartFailed{}, Payload(pb::PartFailed{})), "bad field PartFailed.failure");
  pb::RankEnds ends;
  ends.add_ends()->set_code(256);
  EXPECT_EQ(EventRefusal(RankEnds{}, Payload(ends)), "bad field RankEnd.code");
  ends.mutable_ends(0)->set_code(0);
  ends.mutable_ends(0)->set_signo(65);
  EXPECT_EQ(EventRefusal(RankEnds{}, Payload(ends)), "bad field RankEnd.signo");
  ends.mutable_ends(0)->set_signo(0);
  ends.mutable_ends(0)->set_rank(kMaxRanks);
  EXPECT_EQ(EventRefusal(RankEnds{}, Payload(ends)), "bad field RankEnd.rank");
  pb::PartProgress progress;
  progress.add_finalized(kMaxRanks);
  EXPECT_EQ(EventRefusal(PartProgress{}, Payload(progress)), "bad field PartProgress.finalized");
  EXPECT_EQ(EventRefusal(PartOutput{"12345678"}, std::string(8, '\0')), "bad field Output header");
  EXPECT_FALSE(DecodeCommand(kFirstEventKind, std::string(4, '\0'), 1));
  EXPECT_FALSE(DecodeEvent(kLastPartKind + 1, std::string(4, '\0')));
}

TEST(PartMessages, AMapThatDoesNotFitIsRefused) {
  const LaunchPart launch = SampleLaunch(3, 2);
  const PartFrame frame = EncodePart(1, PartCommand(launch));
  const auto few_nodes = DecodeCommand(frame.kind, frame.payload, 2);
  ASSERT_FALSE(few_nodes);
  EXPECT_NE(few_nodes.error().text.find("there is no such node"), std::string::npos);
  pb::LaunchPart m;
  ASSERT_TRUE(m.ParseFromString(frame.payload.substr(4)));
  m.add_runs(0);
  EXPECT_EQ(CommandRefusal(launch, Payload(m)), "bad field LaunchPart.runs");
  m.mutable_runs()->RemoveLast();
  m.mutable_node_names()->RemoveLast();
  EXPECT_EQ(CommandRefusal(launch, Payload(m)), "bad field LaunchPart.node_names");
  m.clear_name_space();
  EXPECT_EQ(CommandRefusal(launch, Payload(m)), "bad field LaunchPart.name_space");
}

}  // namespace
}  // namespace rex
