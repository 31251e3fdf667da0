// rexlaunch --check over real nodes: each problem on its own, and all at once.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

constexpr int kExitCheck = 116;

class CheckTest : public NodesTest {
 protected:
  ::testing::AssertionResult StartPlain(const ClusterOptions& options) {
    ::testing::AssertionResult started = StartNodes(options);
    if (started) UsePlainShells(options.nodes);
    return started;
  }
  CommandResult Check(const std::string& hosts, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"--check", "--host", hosts});
    return RexOnHead(options);
  }
  // The line about this node; empty: none.
  static std::string LineOf(const CommandResult& result, const std::string& node) {
    for (const std::string& line : Lines(result.out)) {
      if (line.starts_with(node + ": ")) return line;
    }
    return "";
  }
  static ::testing::AssertionResult LineHas(const CommandResult& result, const std::string& node,
                                            const std::vector<std::string>& parts) {
    const std::string line = LineOf(result, node);
    for (const std::string& part : parts) {
      if (line.find(part) == line.npos) {
        return ::testing::AssertionFailure()
               << "no '" << part << "' about " << node << "; " << result;
      }
    }
    return ::testing::AssertionSuccess();
  }
};

TEST_F(CheckTest, AllIsWell) {
  ASSERT_TRUE(StartPlain({.nodes = 3}));
  const CommandResult result = Check("n1:1,n2:1,n3:1");
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out).size(), 1u) << result;
  EXPECT_TRUE(Contains(result.out, "3 nodes are well: 3 slots; rex "));
  EXPECT_TRUE(Contains(result.out, "n2 by eth0 "));
  const std::string ipv6 = cluster().Ipv6("head");
  EXPECT_EQ(CountOf(result.out, " to " + cluster().Ipv4("head")) +
                (ipv6.empty() ? 0 : CountOf(result.out, " to " + ipv6)),
            3u)
      << result;
}

TEST_F(CheckTest, EveryProblemIsToldAtOnce) {
  ASSERT_TRUE(StartPlain({.nodes = 5, .hide = {"n2:" + BuildDir() + "/libexec"}}));
  Shell("n3", "mount -o remount,size=4m /dev/shm; rm -rf /run/mount");
  Overlay("n4", LibexecPath("rexd"),
          "#!/bin/sh\nprintf '\\036rex-join 0.0.7\\n'; exec cat >/dev/null\n");
  const CommandResult result =
      Check("n1:1,n2:1,n3:1,n4:1,nosuch,nobody@n5", {"--ship-agent", "never"});
  EXPECT_TRUE(ExitedWith(result, kExitCheck));
  EXPECT_EQ(LineOf(result, "n1"), "") << result;
  EXPECT_TRUE(
      LineHas(result, "n2", {"start: ssh: ", LibexecPath("rexd"), "not found", "--prefix"}));
  EXPECT_TRUE(LineHas(result, "n3", {"shm: /dev/shm has only", "MiB", "remount"}));
  EXPECT_TRUE(LineHas(result, "n4", {"start: marker: ", "0.0.7", "the same version"}));
  EXPECT_TRUE(LineHas(result, "nosuch", {"start: ssh: Could not resolve", "getent hosts nosuch"}));
  EXPECT_TRUE(LineHas(result, "n5", {"start: ssh: ", "Permission denied", "password"}));
  EXPECT_TRUE(Contains(result.out, "5 of 6 nodes have 5 problems"));
}

TEST_F(CheckTest, TwoNamesOfOneNode) {
  ASSERT_TRUE(StartPlain({.nodes = 2}));
  const CommandResult result = Check("n1:1,n2:1," + cluster().Ipv4("n1") + ":1");
  EXPECT_TRUE(ExitedWith(result, kExitCheck));
  EXPECT_TRUE(LineHas(result, cluster().Ipv4("n1"),
                      {"name: it is the same machine as n1", "name it once"}));
  EXPECT_TRUE(Contains(result.out, "1 of 3 nodes has 1 problem"));
}

TEST_F(CheckTest, ABlockedWayBackAndRexThatIsSentAreNotes) {
  ASSERT_TRUE(StartPlain({.nodes = 3, .hide = {"n3:" + BuildDir() + "/libexec"}}));
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n2"), 0));
  const CommandResult result = Check("n1:1,n2:1,n3:1");
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(
      LineHas(result, "n2", {"note: way back: it can't open a TCP connection", "firewall"}));
  EXPECT_TRUE(LineHas(result, "n3", {"note: start: rex is not installed there"}));
  EXPECT_TRUE(Contains(result.out, "3 nodes are well"));
}

TEST_F(CheckTest, LibrariesThatDiffer) {
  ASSERT_TRUE(StartPlain({.nodes = 2, .hide = {"n2:/usr/lib/x86_64-linux-gnu/pmix2"}}));
  const auto json = nlohmann::json::parse(Check("n1:1,n2:1", {"--json"}).out);
  EXPECT_EQ(json["well"], false);
  size_t versions = 0;
  for (const auto& problem : json["problems"]) {
    versions += problem["about"] == "version" && problem["node"] == "n2" ? 1 : 0;
  }
  EXPECT_EQ(versions, 1u) << json.dump();
  EXPECT_TRUE(json["nodes"][1]["libpmix"].is_null());
}

TEST_F(CheckTest, ANodeThatIsLostMeanwhile) {
  ASSERT_TRUE(StartPlain({.nodes = 2}));
  Shell("n2", "kill -STOP $(cat /run/sshd.pid)");
  auto check = StartRexOnHead({"--check", "--start-timeout", "4", "--host", "n1:1,n2:1"});
  const pid_t agent = Settled("n1", "rexd-agent");
  ASSERT_GT(agent, 0);
  ::kill(agent, SIGKILL);
  const CommandResult result = check->Wait(seconds(20));
  Shell("n2", "kill -CONT $(cat /run/sshd.pid)");
  EXPECT_TRUE(ExitedWith(result, kExitCheck));
  EXPECT_TRUE(LineHas(result, "n1", {"start: ", "signal 9"}));
  EXPECT_TRUE(LineHas(result, "n2", {"start: ssh: "}));
}

TEST_F(CheckTest, AWrongHostKey) {
  ASSERT_TRUE(StartPlain({.nodes = 2}));
  const CommandResult result = Check("n1:1,n2:1", {"--ssh", "ssh -o UserKnownHostsFile=/dev/null"});
  EXPECT_TRUE(ExitedWith(result, kExitCheck));
  for (const char* node : {"n1", "n2"}) {
    EXPECT_TRUE(
        LineHas(result, node, {"start: ssh: Host key verification failed", "becomes known"}));
  }
}

}  // namespace
}  // namespace rex::testing
