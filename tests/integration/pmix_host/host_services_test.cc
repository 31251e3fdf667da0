// Upcalls: what ranks ask of the host comes to the agent, and the agent's answer to the ranks.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/integration/pmix_host/host_fixture.h"

namespace rex::pmix {
namespace {

using HostServices = HostFixture;

constexpr int kProbeCode = -3005;  // the event rank 0 raises: PMIX_EXTERNAL_ERR_BASE - 5
constexpr int kOuterCode = -3006;  // the one this test raises
constexpr uint32_t kRangeNamespace = 3;

void ExpectAllGood(const std::vector<RankResult>& results) {
  for (const auto& r : results) {
    EXPECT_TRUE(WIFEXITED(r.wait_status) && WEXITSTATUS(r.wait_status) == 0)
        << "rank " << r.rank << " status " << r.wait_status << " stderr: " << r.err;
  }
}

TEST_F(HostServices, ConnectedThenFinalized) {
  StartHost();
  ExpectAllGood(RunRanks(Register(MakeJob("life", {3})), {REX_TEST_PROBE, "none"}));
  const auto events = Seen<ClientEvent>();
  ASSERT_EQ(events.size(), 6u);
  for (uint32_t rank = 0; rank < 3; ++rank) {
    std::vector<ClientEvent> own;
    for (const auto& e : events) {
      if (e.proc == ProcId{"life", rank}) own.push_back(e);
    }
    ASSERT_EQ(own.size(), 2u);
    EXPECT_EQ(own[0].what, ClientEvent::What::kConnected);
    EXPECT_EQ(own[1].what, ClientEvent::What::kFinalized);
    EXPECT_LE(own[0].at, own[1].at);
  }
}

TEST_F(HostServices, ARankThatVanishesIsNotFinalized) {
  StartHost();
  RunRanks(Register(MakeJob("vanish", {1})), {REX_TEST_PROBE, "vanish"});
  Deregister("vanish");
  const auto events = Seen<ClientEvent>();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, ClientEvent::What::kConnected);
}

TEST_F(HostServices, AbortNamesRankCodeAndText) {
  StartHost();
  RunRanks(Register(MakeJob("abort", {2})), {REX_TEST_PROBE, "abort"});
  const auto aborts = Seen<Abort>();
  ASSERT_EQ(aborts.size(), 1u);
  EXPECT_EQ(aborts[0].proc, (ProcId{"abort", 1}));
  EXPECT_EQ(aborts[0].code, 7);
  EXPECT_EQ(aborts[0].text, "the probe gives up");
}

TEST_F(HostServices, PublishLookupUnpublish) {
  StartHost();
  ExpectAllGood(RunRanks(Register(MakeJob("pub", {3})), {REX_TEST_PROBE, "publish"}));
}

TEST_F(HostServices, ALookupWaits) {
  StartHost();
  const auto results = RunRanks(Register(MakeJob("wait", {2})), {REX_TEST_PROBE, "wait"});
  ExpectAllGood(results);
  EXPECT_EQ(Lines(results[0].out)["later"], "came");
  ASSERT_FALSE(Seen<Lookup>().empty());
  EXPECT_TRUE(Seen<Lookup>()[0].wait);
}

TEST_F(HostServices, LogGoesToTheAgent) {
  StartHost();
  const auto results = RunRanks(Register(MakeJob("log", {1})), {REX_TEST_PROBE, "log"});
  ExpectAllGood(results);
  const auto texts = Seen<LogText>();
  for (const auto& text : texts) EXPECT_EQ(text.proc, (ProcId{"log", 0})) << text.text;
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].text, "to stderr\n");
  EXPECT_FALSE(texts[0].to_stdout);
  EXPECT_EQ(texts[1].text, "to stdout\n");
  EXPECT_TRUE(texts[1].to_stdout);
  EXPECT_EQ(results[0].out, "") << "printed by the rank or the host as well";
}

TEST_F(HostServices, QueryOfNamespacesAndProcesses) {
  StartHost();
  const auto results = RunRanks(Register(MakeJob("query", {1})), {REX_TEST_PROBE, "query"});
  ExpectAllGood(results);
  auto got = Lines(results[0].out);
  EXPECT_EQ(got["pmix.qry.ns"], "job-a,job-b");
  EXPECT_EQ(got["pmix.qry.spawn"], "");
  EXPECT_EQ(got["procs"], "1");
  EXPECT_EQ(got["program"], "/bin/prog");
  EXPECT_EQ(got["node"], "node-x");
  EXPECT_EQ(got["pid"], "4242");
}

TEST_F(HostServices, RegisteredFilesGoWithTheRank) {
  StartHost();
  const std::string file = session_dir_ + "/to-be-removed";
  ExpectAllGood(RunRanks(Register(MakeJob("cleanup", {1})), {REX_TEST_PROBE, "cleanup", file}));
  Deregister("cleanup");
  EXPECT_NE(::access(file.c_str(), F_OK), 0) << "still there";
  EXPECT_TRUE(Seen<JobControl>().empty());
}

TEST_F(HostServices, JobControlBecomesSignals) {
  StartHost();
  ExpectAllGood(RunRanks(Register(MakeJob("control", {2})), {REX_TEST_PROBE, "control"}));
  const auto controls = Seen<JobControl>();
  ASSERT_EQ(controls.size(), 2u);
  EXPECT_EQ(controls[0].signo, SIGUSR1);
  EXPECT_EQ(controls[0].targets, (std::vector<ProcId>{{"control", 1}}));
  EXPECT_EQ(controls[1].signo, SIGTSTP);
  EXPECT_TRUE(controls[1].targets.empty());
}

TEST_F(HostServices, EventsGoBothWays) {
  StartHost();
  StartRanks(Register(MakeJob("notify", {3})), {REX_TEST_PROBE, "notify"});
  // The ranks' second fence says that all have the first event.
  Until([this] { return Seen<FenceReleased>().size() >= 2 || closed(); }, "two fences");
  EventRaised outer;
  outer.code = kOuterCode;
  outer.source = {"somewhere", 5};
  outer.range = kRangeNamespace;
  outer.targets = {{"notify", kRankWildcard}};
  Send(outer);
  const auto results = WaitRanks();
  ExpectAllGood(results);
  for (const auto& r : results) {
    EXPECT_NE(r.out.find("event=" + std::to_string(kProbeCode) + " from notify:0"),
              std::string::npos)
        << r.out;
    EXPECT_NE(r.out.find("event=" + std::to_string(kOuterCode) + " from somewhere:5"),
              std::string::npos)
        << r.out;
  }
  const auto raised = Seen<EventRaised>();
  ASSERT_TRUE(std::any_of(raised.begin(), raised.end(),
                          [](const EventRaised& e) { return e.code == kProbeCode; }));
}

TEST_F(HostServices, SystemEventsCanBeRegisteredFor) {
  StartHost();
  ExpectAllGood(RunRanks(Register(MakeJob("sysevent", {1})), {REX_TEST_PROBE, "sysevent"}));
}

TEST_F(HostServices, NonsenseOfARankCostsThatCallOnly) {
  StartHost();
  ExpectAllGood(RunRanks(Register(MakeJob("nonsense", {1})), {REX_TEST_PROBE, "nonsense"}));
  EXPECT_FALSE(closed());
}

TEST_F(HostServices, DirectModexAsksTheAgent) {
  StartHost();
  auto spec = MakeJob("dmodex", {2});
  spec.nodes[0].runs = {{0, 1}};
  spec.nodes.push_back({"other-node", {{1, 1}}});
  const auto results = RunRanks(Register(spec), {REX_TEST_PROBE, "remote", "1"});
  ExpectAllGood(results);
  ASSERT_EQ(Seen<DirectModex>().size(), 1u);
  EXPECT_EQ(Seen<DirectModex>()[0].proc, (ProcId{"dmodex", 1}));
  EXPECT_TRUE(Lines(results[0].out)["remote"].starts_with("!"));
}

TEST_F(HostServices, ModexOfALocalRankForAnotherNode) {
  StartHost();
  const auto job = Register(MakeJob("serve", {2}));
  Send(ModexRequest{77, {"serve", 1}});  // before the rank has anything: answered when it has
  ExpectAllGood(RunRanks(job, {REX_TEST_PROBE, "modex", "100"}));
  Until([this] { return !Seen<ModexDone>().empty() || closed(); }, "ModexDone");
  const auto done = Seen<ModexDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].request, 77u);
  EXPECT_EQ(done[0].status, kSuccess);
  EXPECT_GT(done[0].data.size(), 100u);
}

}  // namespace
}  // namespace rex::pmix
