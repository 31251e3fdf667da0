// Nodes that are lost: every process of rex killed on a node in every phase of a job, links cut,
// the head gone. The job ends within a bound and says what happened; nothing is left on any node,
// which the fixture proves.
#include <signal.h>

#include <algorithm>
#include <sstream>

#include "launcher/base/descendants.h"
#include "tests/cluster/nodes_fixture.h"
#include "tests/support/uplinks.h"

namespace rex::testing {
namespace {

constexpr seconds kBound{40};  // a machine may be busy; most take one or two

using LossesTest = NodesTest;

// ---- one process of rex killed on n2, in each phase

enum class When {
  kStarting,   // another node is still being started
  kLaunching,  // the namespace is being registered: the host is stopped
  kBirths,     // ranks are being made: what makes them is stopped
  kRunning,
  kDraining,  // every rank has ended; something holds the output open
};

struct Strike {
  const char* victim;
  When when;
};

std::string StrikeName(const Strike& strike) {
  std::string name;
  for (const char* at = strike.victim; *at != '\0'; ++at) name += *at == '-' ? '_' : *at;
  switch (strike.when) {
    case When::kStarting:
      return name + "WhileNodesStart";
    case When::kLaunching:
      return name + "WhileTheJobIsLaunched";
    case When::kBirths:
      return name + "WhileRanksAreBorn";
    case When::kRunning:
      return name + "WhileRanksRun";
    case When::kDraining:
      return name + "AfterTheRanks";
  }
  return name;
}

void PrintTo(const Strike& strike, std::ostream* os) { *os << StrikeName(strike); }

class KilledOnANode : public NodesTest, public ::testing::WithParamInterface<Strike> {
 protected:
  std::string victim() const { return GetParam().victim; }
  std::vector<std::string> Job() const {
    std::vector<std::string> args{"--host", Hosts(2), "--template=none"};  // else no spawner
    if (GetParam().when == When::kDraining) {
      args.insert(args.end(), {"--grace", "8", TestProgram(), "grandchildren", "120000", "1"});
    } else {
      args.insert(args.end(), {ProgramPath("mpi_phases"), "0", "120000"});
    }
    return args;
  }
  // n1 is not let in until Release, so that the job waits for it while n2 is ready.
  void Hold() { Shell("n1", "kill -STOP $(cat /run/sshd.pid)"); }
  void Release() { Shell("n1", "kill -CONT $(cat /run/sshd.pid)"); }
  // n2's spawner stops before its first batch, bound already to its agent's life.
  void HoldBirths() {
    const std::string spawner = LibexecPath("rexd-spawner");
    const std::string held =
        PutFile("n2", "held", "#!/bin/sh\nkill -STOP $$\nexec /run/lock/spawner \"$@\"\n", 0755);
    Shell("n2", "cp -p " + spawner + " /run/lock/spawner; mkdir /run/lock/of; mv " + held +
                    " /run/lock/of/rexd-spawner");
    Overlay("n2", spawner,
            "#!/bin/sh\nexec setpriv --pdeathsig KILL /run/lock/of/rexd-spawner \"$@\"\n", 0755);
  }
  // Brings the job to the phase; false when it did not get there.
  bool Reach(RunningCommand& job) {
    const bool ready = GetParam().when >= When::kRunning || Settled("n2", "rexd-agent") > 0;
    switch (GetParam().when) {
      case When::kStarting:
        return ready;
      case When::kLaunching:
        return ready && StopOn("n2", "rexd-pmix") && Launches(job);
      case When::kBirths:
        return ready && Launches(job) && FindOn("n2", "rexd-spawner") > 0;
      case When::kRunning:
        return job.WaitUntil([&] { return CountOf(job.out(), "phase=initialized") == 2; });
      case When::kDraining:
        return job.WaitUntil([&] { return CountOf(job.out(), "parent rank=") == 2; });
    }
    return false;
  }
  // Lets n1 in and waits until its ranks are born, as the log says: then n2 is waited for.
  bool Launches(RunningCommand& job) {
    Release();
    return job.WaitForText("from=forking to=born", kBound);
  }
};

TEST_P(KilledOnANode, EndsTheJobAndLeavesNothing) {
  ASSERT_TRUE(StartNodes(2));
  if (GetParam().when < When::kRunning) Hold();
  if (GetParam().when == When::kBirths) HoldBirths();
  CommandOptions options;
  options.set_env = {{"REX_LOG", "info"}};
  auto job = StartRexOnHead(Job(), options);
  ASSERT_TRUE(Reach(*job)) << job->Snapshot();
  ASSERT_TRUE(SignalOn("n2", victim(), SIGKILL)) << job->Snapshot();
  if (victim() == "rexd-pmix") Release();  // found out when the node is to do something
  const CommandResult result = job->Wait(kBound);
  Release();
  EXPECT_FALSE(result.timed_out) << result;
  // Nobody needs the host any more: a good job may stay one.
  const bool unneeded = victim() == "rexd-pmix" && GetParam().when == When::kDraining;
  if (unneeded && result.exit_code == 0) return;
  EXPECT_TRUE(StderrNames(result, {"node n2"}));
  const bool early = GetParam().when < When::kBirths;                       // no rank has run
  const std::string daemon = victim() == "rexd" ? "" : victim().substr(5);  // "agent", "pmix" …
  EXPECT_TRUE(StderrNames(result, {daemon}));
  // While ranks are born some run already, or none does yet.
  const bool either = GetParam().when == When::kBirths && result.exit_code == kExitNodeStart;
  EXPECT_TRUE(either || ExitedWith(result, early ? kExitNodeStart : kExitNodeLost)) << result;
}

std::vector<Strike> AllStrikes() {
  std::vector<Strike> strikes;
  for (const When when :
       {When::kStarting, When::kLaunching, When::kBirths, When::kRunning, When::kDraining}) {
    for (const char* victim : {"rexd", "rexd-agent", "rexd-pmix"}) {
      strikes.push_back({victim, when});
    }
  }
  strikes.push_back({"rexd-spawner", When::kBirths});
  return strikes;
}

INSTANTIATE_TEST_SUITE_P(Every, KilledOnANode, ::testing::ValuesIn(AllStrikes()),
                         [](const auto& param) { return StrikeName(param.param); });

// ---- the link

TEST_F(LossesTest, AKilledSshIsALoss) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), TestProgram(), "sleep", "120000"}, "sleeping rank=", 2);
  pid_t ssh = -1;
  for (const ProcessInfo& process : FindDescendants(job->pid())) {
    if (process.command == "ssh" && Contains(ProcessLine(process.pid), "--node-name=n2")) {
      ssh = process.pid;
    }
  }
  ASSERT_GT(ssh, 0);
  ASSERT_EQ(::kill(ssh, SIGKILL), 0);
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n2 was lost", "ssh", "signal 9"});
}

TEST_F(LossesTest, ACutLinkEndsTheJobOnBothSides) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), "--node-timeout", "3", TestProgram(), "sleep", "120000"},
                 "sleeping rank=", 2);
  ASSERT_TRUE(ExitedWith(cluster().Cut("n2"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n2 was lost", "3 s"});
  ExpectOnlySshdLeft("n2", kBound);
}

TEST_F(LossesTest, ABlackholeInTheMiddleOfTalkEndsTheJobOnBothSides) {
  ASSERT_TRUE(StartNodes(3));
  auto job = StartReady(
      {"--host", Hosts(3), "--node-timeout", "3", ProgramPath("mpi_phases"), "0", "120000"},
      "phase=initialized", 3);
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n2 was lost", "3 s"});
  ExpectOnlySshdLeft("n2", kBound);
}

TEST_F(LossesTest, AnInnerNodeThatIsUnpluggedTakesItsSubtreeWithIt) {
  ASSERT_TRUE(StartNodes(4));
  auto job = StartReady({"--tree", "two-level", "--host", Hosts(4), "--node-timeout", "3",
                         TestProgram(), "sleep", "120000"},
                        "sleeping rank=", 4);
  ASSERT_TRUE(ExitedWith(cluster().Cut("n1"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n1 was lost", "with it: n3"});
  for (const char* node : {"n1", "n3"}) ExpectOnlySshdLeft(node, kBound);
}

TEST_F(LossesTest, ANodeWithoutPowerIsLost) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), "--node-timeout", "3", TestProgram(), "sleep", "120000"},
                 "sleeping rank=", 2);
  ASSERT_TRUE(ExitedWith(cluster().Kill("n2"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n2 was lost"});
}

TEST_F(LossesTest, ShortSilenceIsNoLoss) {
  ASSERT_TRUE(StartNodes(2));
  auto job = StartReady({"--host", Hosts(2), "--node-timeout", "60", TestProgram(), "then", "sleep",
                         "6000", ",", "lines", "500"},
                        "sleeping rank=", 2);
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, seconds(4))) << job->Snapshot();
  ASSERT_TRUE(ExitedWith(cluster().Heal("n2"), 0));
  const CommandResult result = job->Wait(seconds(45));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "abcdefghijklmnopqrstuvwxyz\n"), 1000u);
}

// ---- uplinks: docs/design/uplinks.md

class UplinkLosses : public NodesTest {
 protected:
  RunSs SsOn(const std::string& node) {
    return [this, node](const std::vector<std::string>& words) {
      std::vector<std::string> argv = {"ss"};
      argv.insert(argv.end(), words.begin(), words.end());
      return RunIn(node, argv);
    };
  }
  // A connection of a host whose other end is on another node: there is no other kind. "" : none.
  std::string UplinkOn(const std::string& node) {
    const std::string lines = SsOn(node)({"-tnpH", "state", "established"}).out;
    for (const std::string& line : Lines(lines)) {
      if (CountOf(line, "\"rexd-pmix\"") == 1 && CountOf(line, "127.0.0.1") == 0) return line;
    }
    return "";
  }
  std::unique_ptr<RunningCommand> StartMeeting(const std::vector<std::string>& options) {
    std::vector<std::string> args = options;
    args.insert(args.end(), {ProgramPath("pmix_meet"), "naps", "60", "20000"});
    return StartReady(args, "met=", 1);
  }
};

TEST_F(UplinkLosses, ACutUplinkIsALossAndItsEndsAreNamed) {
  ASSERT_TRUE(StartNodes(3));
  auto job = StartMeeting({"--host", Hosts(3)});
  const std::string line = UplinkOn("n2");
  ASSERT_NE(line, "") << job->Snapshot();
  const std::string local = line.substr(0, line.find(" users"));
  const std::vector<std::string> words = [&] {
    std::vector<std::string> out;
    std::istringstream stream(local);
    for (std::string word; stream >> word;) out.push_back(word);
    return out;
  }();
  ASSERT_GE(words.size(), 4U);
  const auto port = [](const std::string& at) { return at.substr(at.rfind(':') + 1); };
  if (!CutUplink({port(words[2]), port(words[3])}, SsOn("n2"))) {
    job->Signal(SIGTERM);
    job->Wait(kBound);
    GTEST_SKIP() << "this kernel does not let connections be cut";
  }
  ExpectFailure(job->Wait(kBound), kExitNodeLost,
                {"PMIx host's link to node", "is lost", "on node n2"});
}

TEST_F(UplinkLosses, ANodeThatIsUnpluggedIsNamedItself) {
  ASSERT_TRUE(StartNodes(3));
  auto job = StartMeeting({"--host", Hosts(3), "--node-timeout", "3"});
  ASSERT_NE(UplinkOn("n2"), "") << job->Snapshot();
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"node n2 was lost", "3 s"});
  ExpectOnlySshdLeft("n2", kBound);
}

// Without a way back the agents speak through ssh, and the hosts have no uplink.
TEST_F(UplinkLosses, WithoutAWayBackFencesGoByTheAgents) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n2"), 0));
  const CommandResult result =
      RexOnHead({"--host", Hosts(2), ProgramPath("pmix_meet"), "data", "30", "5"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "data=ok"), 2U) << result;
}

// ---- the head

class HeadGone : public NodesTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(HeadGone, EndsEverythingOnTheNodes) {
  ASSERT_TRUE(StartNodes(2));
  const std::string victim = GetParam();
  auto job = StartReady({"--host", "n1,n2,head", ProgramPath("mpi_phases"), "0", "120000"},
                        "phase=initialized", 3);
  const pid_t pid = victim == "rexlaunch" ? job->pid() : FindDaemon(*job, victim);
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const CommandResult result = job->Wait(kBound);
  EXPECT_FALSE(result.timed_out) << result;
  if (victim != "rexlaunch") {
    EXPECT_TRUE(ExitedWith(result, kExitInternal));
  }
}

INSTANTIATE_TEST_SUITE_P(Every, HeadGone,
                         ::testing::Values("rexlaunch", "rexd", "rexd-agent", "rexd-pmix"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_F(LossesTest, AHeadThatIsCutOffIsMissedOnEveryNode) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), "--node-timeout", "3", TestProgram(), "sleep", "120000"},
                 "sleeping rank=", 2);
  ASSERT_TRUE(ExitedWith(cluster().Cut("head"), 0));
  ExpectFailure(job->Wait(kBound), kExitNodeLost, {"was lost", "3 s"});
  for (const char* node : {"n1", "n2"}) ExpectOnlySshdLeft(node, kBound);
}

// ---- what is no loss

TEST_F(LossesTest, AFullDiskOnANodeIsNamedOrCostsNothing) {
  ASSERT_TRUE(StartNodes(2));
  for (const std::string dir : {"/tmp", "/dev/shm"}) {
    Shell("n2", "mount -o remount,size=2m " + dir + "; rm -rf /run/mount; head -c 4m /dev/zero >" +
                    dir + "/fill || true");
  }
  const CommandResult result = RexOnHead({"--host", Hosts(2, 2), ProgramPath("mpi_ring")});
  Shell("n2", "rm /tmp/fill /dev/shm/fill");
  EXPECT_FALSE(result.timed_out) << result;
  if (result.exit_code != 0) {
    EXPECT_TRUE(StderrNames(result, {"n2", "no space left"}));
  }
}

TEST_F(LossesTest, AnAgentThatIsStoppedForAWhileGoesOnAndIsSaidToBeLate) {
  ASSERT_TRUE(StartNodes(2));
  auto job =
      StartReady({"--host", Hosts(2), TestProgram(), "then", "sleep", "21000", ",", "lines", "100"},
                 "sleeping rank=", 2);
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGSTOP));
  EXPECT_TRUE(job->WaitForText("node n2 has said nothing for 15 s", seconds(30)))
      << job->Snapshot();
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, seconds(3))) << job->Snapshot();
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGCONT));
  const CommandResult result = job->Wait(seconds(45));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "abcdefghijklmnopqrstuvwxyz\n"), 200u);
}

}  // namespace
}  // namespace rex::testing
