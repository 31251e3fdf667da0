// Collectives that hosts own, and their uplinks: the same results as without, and every failure
// while a series is the host's. docs/design/uplinks.md.
#include <signal.h>

#include "launcher/base/descendants.h"
#include "tests/integration/many_nodes/nodes_test.h"
#include "tests/support/uplinks.h"

namespace rex::testing {
namespace {

constexpr seconds kBound{20};

class UplinksTest : public NodesTest {
 protected:
  static CommandOptions After(int collectives) {
    CommandOptions options;
    options.set_env["REX_UPLINK_AFTER"] = std::to_string(collectives);
    return options;
  }
  CommandResult Ss(const std::vector<std::string>& words) {
    std::vector<std::string> argv = {"ss"};
    argv.insert(argv.end(), words.begin(), words.end());
    return Run(argv);
  }
  RunSs Here() {
    return [this](const std::vector<std::string>& words) { return Ss(words); };
  }
  // pmix_meet with these words on so many nodes, one rank each.
  std::vector<std::string> Meet(int nodes, const std::vector<std::string>& words,
                                const std::vector<std::string>& options = {}) {
    std::vector<std::string> args = options;
    args.push_back(ProgramPath("pmix_meet"));
    args.insert(args.end(), words.begin(), words.end());
    return On(std::to_string(nodes), std::to_string(nodes), args);
  }
  // Starts it with series that go to the hosts at once, and comes back when all have met.
  std::unique_ptr<RunningCommand> StartMet(int nodes, const std::vector<std::string>& words,
                                           const std::vector<std::string>& options = {}) {
    auto job = StartRex(Meet(nodes, words, options), After(1));
    EXPECT_TRUE(job->WaitForText("met=")) << job->Snapshot();
    std::vector<pid_t> pids;
    for (const auto& process : FindDescendants(job->pid())) pids.push_back(process.pid);
    left().Track(pids);
    return job;
  }
  // The hosts of nodes below the head, and the first of them that has an uplink.
  pid_t HostWithUplink(RunningCommand& job) {
    const pid_t head = FindDaemon(job, "rexd-agent");
    for (const pid_t keeper : DescendantsNamed(head, "rexd")) {
      for (const pid_t host : DescendantsNamed(keeper, "rexd-pmix")) {
        if (UplinkOf(host, Here())) return host;
      }
    }
    return -1;
  }
};

// ---- the same results

struct Tree {
  int after;
  int nodes;
  bool two_level;
};

void PrintTo(const Tree& tree, std::ostream* os) {
  *os << "After" << tree.after << "On" << tree.nodes << (tree.two_level ? "TwoLevel" : "Flat");
}

class UplinksData : public UplinksTest, public ::testing::WithParamInterface<Tree> {};

TEST_P(UplinksData, OfEveryRankComeToEveryRank) {
  const Tree& tree = GetParam();
  const int per_node = tree.nodes < 10 ? 2 : 1;
  const int ranks = tree.nodes * per_node;
  std::vector<std::string> args = {"--oversubscribe"};
  if (tree.two_level) args.emplace_back("--tree=two-level");
  args.insert(args.end(), {ProgramPath("pmix_meet"), "data", "10", "12"});
  const auto on = On(std::to_string(tree.nodes), std::to_string(ranks), args);
  CommandResult result = Rex(on, After(tree.after));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "data=ok"), static_cast<size_t>(ranks)) << result;
  EXPECT_EQ(result.err, "");
}

std::vector<Tree> Trees() {
  std::vector<Tree> trees;
  for (const int after : {0, 1, 8}) {
    for (const int nodes : {1, 3, 30}) {
      for (const bool two_level : {false, true}) trees.push_back({after, nodes, two_level});
    }
  }
  return trees;
}

INSTANTIATE_TEST_SUITE_P(Trees, UplinksData, ::testing::ValuesIn(Trees()), [](const auto& param) {
  std::ostringstream name;
  PrintTo(param.param, &name);
  return name.str();
});

TEST_F(UplinksTest, ConnectsAndDisconnectsMix) {
  for (const int after : {1, 8}) {
    const CommandResult result = Rex(Meet(5, {"connect", "3", "15"}), After(after));
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, "connect=ok"), 5U) << result;
  }
}

TEST_F(UplinksTest, AreMadeForThoseThatMeetOftenAlone) {
  for (const bool often : {false, true}) {
    // Eight met, and the ninth found the uplink dialled for; the first eight are too few.
    auto job = StartRex(Meet(3, {"stuck", often ? "60" : "5"}), After(8));
    ASSERT_TRUE(job->WaitForText("met=")) << job->Snapshot();
    FindDaemon(*job, "rexd-agent");
    const pid_t host = HostWithUplink(*job);
    EXPECT_EQ(host > 0, often);
    job->Signal(SIGTERM);
    EXPECT_TRUE(ExitedWith(job->Wait(kBound), kExitSignalBase + SIGTERM));
  }
}

TEST_F(UplinksTest, OnlyLeavesHaveThem) {
  auto job = StartMet(7, {"stuck", "60"}, {"--tree=two-level"});
  // Two inner nodes, and five below them or the head.
  EXPECT_TRUE(HostWithUplink(*job) > 0);
  size_t leaves = 0;
  size_t with_uplink = 0;
  const pid_t head = FindDaemon(*job, "rexd-agent");
  for (const pid_t keeper : DescendantsNamed(head, "rexd")) {
    const auto hosts = DescendantsNamed(keeper, "rexd-pmix");
    if (hosts.size() == 1) ++leaves;
    if (hosts.size() == 1 && UplinkOf(hosts[0], Here())) ++with_uplink;
  }
  EXPECT_GT(leaves, 0U);
  EXPECT_EQ(with_uplink, leaves);
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(kBound), kExitSignalBase + SIGTERM));
}

// ---- MPI

TEST_F(UplinksTest, MpiProgramsSpawnManyTimes) {
  const CommandResult result = Rex({"--virtual-nodes", "3:16", "-n", "2", "--map-by", "node",
                                    ProgramPath("mpi_spawn"), "-n", "4", "-R", "1", "-r", "10"},
                                   After(1));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=4 remote=2 merged=6 sum=6"), 10U) << result;
}

TEST_F(UplinksTest, MpiProgramsAcceptAndConnect) {
  const CommandResult result = Rex(On("2", "2", {ProgramPath("mpi_connect")}), After(1));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "server got 201"));
  EXPECT_TRUE(Contains(result.out, "client got 101"));
}

TEST_F(UplinksTest, MpiProgramsMeet) {
  for (const char* program : {"mpi_publish", "mpi_ring"}) {
    EXPECT_TRUE(ExitedWith(Rex(On("3", "3", {ProgramPath(program)}), After(1)), 0)) << program;
  }
}

// ---- failures of a fence or a rank while the hosts own the series

TEST_F(UplinksTest, ATimeoutEndsAFenceForAllAndTheNextOnesWork) {
  const CommandResult result = Rex(Meet(3, {"timeout", "20"}), After(1));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "timeout=TIMEOUT"), 3U) << result;
  EXPECT_EQ(CountOf(result.out, "data=ok"), 3U) << result;
}

TEST_F(UplinksTest, TooMuchDataFailsAFenceForAllAndTheNextOnesWork) {
  const CommandResult result =
      Rex(Meet(3, {"too-big", "20", "3000000"}, {"--max-modex", "1M"}), After(1));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "too-big=OUT-OF-RESOURCE"), 3U) << result;
}

TEST_F(UplinksTest, AnAbortInTheMiddleEndsAll) {
  const CommandResult result = Rex(Meet(3, {"abort", "20"}), After(1));
  EXPECT_TRUE(ExitedWith(result, 7));
  EXPECT_TRUE(StderrNames(result, {"rank 2", "node3", "gives up"}));
}

TEST_F(UplinksTest, ARankKilledInTheMiddleEndsAll) {
  for (const char* verb : {"stuck", "naps"}) {
    auto job = StartMet(3, {verb, "20", "10000"});
    const pid_t rank = FindRank(*job, "pmix_meet");
    ASSERT_GT(rank, 0);
    ASSERT_EQ(::kill(rank, SIGKILL), 0);
    const CommandResult result = job->Wait(kBound);
    EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
    EXPECT_TRUE(StderrNames(result, {"signal 9", "on node node"}));
  }
}

// ---- failures of daemons

TEST_F(UplinksTest, AHostKilledInTheMiddleEndsAll) {
  for (const char* verb : {"stuck", "naps"}) {
    auto job = StartMet(3, {verb, "20", "10000"});
    const pid_t host = HostWithUplink(*job);
    ASSERT_GT(host, 0) << job->Snapshot();
    ASSERT_EQ(::kill(host, SIGKILL), 0);
    const CommandResult result = job->Wait(kBound);
    EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
    EXPECT_TRUE(StderrNames(result, {"node node", "rexd-pmix"}));
  }
}

TEST_F(UplinksTest, AHostThatIsStoppedForAWhileGoesOn) {
  auto job = StartMet(3, {"naps", "20", "150"});
  const pid_t host = HostWithUplink(*job);
  ASSERT_GT(host, 0) << job->Snapshot();
  ASSERT_EQ(::kill(host, SIGSTOP), 0);
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, seconds(3))) << job->Snapshot();
  ASSERT_EQ(::kill(host, SIGCONT), 0);
  const CommandResult result = job->Wait(kBound);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "naps=ok"), 3U) << result;
}

// To the one above it has said nothing for too long; back again, it finds its uplink gone.
TEST_F(UplinksTest, AHostThatIsStoppedTooLongEndsAllWhenItIsBack) {
  auto job = StartMet(3, {"naps", "20", "10000"}, {"--node-timeout", "2"});
  const pid_t host = HostWithUplink(*job);
  ASSERT_GT(host, 0) << job->Snapshot();
  ASSERT_EQ(::kill(host, SIGSTOP), 0);
  EXPECT_TRUE(job->WaitUntil([&] { return !UplinkOf(host, Here()) || job->ended(); }, kBound));
  ASSERT_EQ(::kill(host, SIGCONT), 0);
  const CommandResult result = job->Wait(kBound);
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_TRUE(StderrNames(result, {"PMIx host's link to node", "on node node"}));
}

TEST_F(UplinksTest, AnAgentAboveThatIsKilledIsTheReason) {
  auto job = StartMet(7, {"naps", "40", "10000"}, {"--tree=two-level"});
  const pid_t agent = FindNodeDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  ASSERT_FALSE(DescendantsNamed(agent, "rexd").empty()) << "no node is below this one";
  ASSERT_EQ(::kill(agent, SIGKILL), 0);
  const CommandResult result = job->Wait(kBound);
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_TRUE(StderrNames(result, {"node node", "with it: node"}));
  EXPECT_EQ(CountOf(result.err, "PMIx host's link"), 0U) << result;
}

// ---- the uplink cut

class UplinkCut : public UplinksTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can cut a connection of another process";
  }
  void CutOneOf(RunningCommand& job) {
    const pid_t host = HostWithUplink(job);
    ASSERT_GT(host, 0) << job.Snapshot();
    if (!CutUplink(*UplinkOf(host, Here()), Here())) {
      job.Signal(SIGTERM);
      job.Wait(kBound);
      GTEST_SKIP() << "this kernel does not let connections be cut (CONFIG_INET_DIAG_DESTROY)";
    }
  }
  static void ExpectLost(const CommandResult& result) {
    EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
    EXPECT_TRUE(StderrNames(result, {"PMIx host's link to node", "is lost", "on node node"}));
    EXPECT_LT(result.wall, seconds(20));
  }
};

TEST_F(UplinkCut, WhileRanksWaitForOneThatDoesNotCome) {
  auto job = StartMet(3, {"stuck", "20"});
  ASSERT_NO_FATAL_FAILURE(CutOneOf(*job));
  if (IsSkipped()) return;
  ExpectLost(job->Wait(kBound));
}

TEST_F(UplinkCut, InTheMiddleOfManyFences) {
  for (int i = 0; i < 3; ++i) {
    auto job = StartMet(4, {"naps", "20", "10000"});
    ASSERT_NO_FATAL_FAILURE(CutOneOf(*job));
    if (IsSkipped()) return;
    ExpectLost(job->Wait(kBound));
  }
}

TEST_F(UplinkCut, BelowAnInnerNodeThatIsNamed) {
  auto job = StartMet(7, {"naps", "40", "10000"}, {"--tree=two-level"});
  const pid_t inner = FindNodeDaemon(*job, "rexd-agent");
  ASSERT_GT(inner, 0);
  pid_t host = -1;
  for (const pid_t keeper : DescendantsNamed(inner, "rexd")) {
    for (const pid_t pid : DescendantsNamed(keeper, "rexd-pmix")) host = pid;
  }
  ASSERT_GT(host, 0) << job->Snapshot();
  const auto uplink = UplinkOf(host, Here());
  ASSERT_TRUE(uplink) << job->Snapshot();
  if (!CutUplink(*uplink, Here())) GTEST_SKIP() << "this kernel does not let connections be cut";
  const CommandResult result = job->Wait(kBound);
  ExpectLost(result);
  EXPECT_TRUE(StderrNames(result, {"link to node node"})) << "not the head";
}

}  // namespace
}  // namespace rex::testing
