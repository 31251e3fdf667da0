// Starting nodes over a real ssh: the ways in which users reach their nodes, and what they are told
// when one can't be started. Every failure names node, phase, cause and remedy, within its bound.
#include <signal.h>

#include <filesystem>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class StartsTest : public NodesTest {
 protected:
  std::string Rexd() const { return LibexecPath("rexd"); }
  // The nodes that answered, one line each.
  std::string HostNames(const std::vector<std::string>& args) {
    std::vector<std::string> argv = args;
    argv.emplace_back("hostname");
    const CommandResult result = RexOnHead(argv);
    EXPECT_TRUE(ExitedWith(result, 0));
    return Join(SortedLines(result.out));
  }
  static std::string Join(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += (text.empty() ? "" : " ") + line;
    return text;
  }
  // A rexd on `node` that is this script.
  void ReplaceRexd(const std::string& node, const std::string& script) {
    Overlay(node, Rexd(), "#!/bin/sh\n" + script + "\n");
  }
  // Two nodes of which n2 fails; the others leave nothing behind.
  CommandResult FailToStart(const std::vector<std::string>& options = {},
                            const std::string& hosts = "n1,n2") {
    std::vector<std::string> args{"--host", hosts};
    args.insert(args.end(), options.begin(), options.end());
    args.insert(args.end(), {TestProgram(), "print", "not reached"});
    CommandResult result = RexOnHead(args);
    EXPECT_EQ(result.out, "");
    return result;
  }
};

// ---- ways in

TEST_F(StartsTest, NamesAliasesAddressesAndUsers) {
  ASSERT_TRUE(StartNodes(3));
  EXPECT_EQ(HostNames({"--host", "n1,n2.cluster," + cluster().Ipv4("n3")}), "n1 n2 n3");
  EXPECT_EQ(HostNames({"--host", "root@n1:2,n2"}), "n1 n1 n2");
  const std::string ipv6 = cluster().Ipv6("n2");
  if (!ipv6.empty()) {
    EXPECT_EQ(HostNames({"--host", "n1,[" + ipv6 + "]:2"}), "n1 n2 n2");
    EXPECT_EQ(HostNames({"--host", ipv6}), "n2");
  }
  const std::string config = WriteFile(
      "config", "Host big\n HostName n3\nHost *\nInclude " + cluster().SshConfig() + "\n");
  EXPECT_EQ(HostNames({"--ssh", "ssh -F " + config, "--host", "n1,big:2"}), "n1 n3 n3");
}

TEST_F(StartsTest, AHostfile) {
  ASSERT_TRUE(StartNodes(2));
  const std::string file =
      WriteFile("hosts", "# mine\nn1 slots=2\nn2 slots=1 username=root port=22\n");
  EXPECT_EQ(HostNames({"--hostfile", file}), "n1 n1 n2");
}

TEST_F(StartsTest, ThroughAJumpHost) {
  ASSERT_TRUE(StartNodes(3));
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n3"), 0));
  const std::string config = WriteFile(
      "config", "Host n3\n ProxyJump n1\nHost *\nInclude " + cluster().SshConfig() + "\n");
  EXPECT_EQ(HostNames({"--ssh", "ssh -F " + config, "--host", "n2,n3"}), "n2 n3");
}

TEST_F(StartsTest, ACommandThatIsNotSsh) {
  ASSERT_TRUE(StartNodes(2));
  const std::string wrapper = WriteFile(
      "reach", "#!/bin/sh\necho \"$@\" >>" + left().work_dir() + "/calls\nexec ssh \"$@\"\n", 0755);
  EXPECT_EQ(HostNames({"--ssh", wrapper, "--host", "n1,n2"}), "n1 n2");
  EXPECT_EQ(Lines(ReadWorkFile("calls")).size(), 2u);
}

TEST_F(StartsTest, NoisyLoginShells) {
  ASSERT_TRUE(StartNodes(3));
  // bash reads .bashrc when sshd starts it; stdout and stderr, with and without an end of line.
  PutFile("n1", ".bashrc", "echo 'Welcome to n1'; printf 'no end of line'; echo warned >&2\n");
  SetShell("n1", "/bin/bash");
  PutFile("n2", ".bashrc", "head -c 20000 /dev/zero | tr '\\0' '\\201'; exec 2>&1; echo x\n");
  SetShell("n2", "/bin/bash");
  PutFile("n3", "shell", "#!/bin/sh\necho 'Last login: today'\nexec /bin/sh \"$@\"\n", 0755);
  SetShell("n3", "/run/lock/shell");
  EXPECT_EQ(HostNames({"--host", "n1,n2,n3"}), "n1 n2 n3");
}

TEST_F(StartsTest, CshAndTcsh) {
  std::vector<std::string> shells;
  for (const char* shell : {"/bin/csh", "/bin/tcsh", "/bin/dash"}) {
    if (std::filesystem::exists(shell)) shells.emplace_back(shell);
  }
  ASSERT_TRUE(StartNodes(static_cast<int>(shells.size())));
  for (size_t i = 0; i < shells.size(); ++i) SetShell("n" + std::to_string(i + 1), shells[i]);
  std::vector<std::string> args{"--host", cluster().Hosts(), TestProgram(), "args", "it's", "a b"};
  const CommandResult result = RexOnHead(args);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "[it's] [a b]"), shells.size()) << result;
}

TEST_F(StartsTest, AnInstallationSomewhereElse) {
  ASSERT_TRUE(StartNodes(2));
  const std::string prefix = left().work_dir() + "/else where";  // a blank for every shell to see
  std::filesystem::create_directories(prefix + "/libexec/rex");
  for (const char* name :
       {"rexd", "rexd-agent", "rexd-pmix", "rexd-spawner", "librex_template.so"}) {
    std::filesystem::copy(LibexecPath(name), prefix + "/libexec/rex/" + name);
  }
  EXPECT_EQ(HostNames({"--prefix", prefix, "--host", "n1,n2"}), "n1 n2");
}

TEST_F(StartsTest, TwoLevelsOnSixNodes) {
  ASSERT_TRUE(StartNodes(6));
  const CommandResult result =
      RexOnHead({"--tree", "two-level", "--host", Hosts(6), ProgramPath("mpi_ring")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "ring size=6 token=60 ok=1"));
  EXPECT_EQ(result.err, "");
}

TEST_F(StartsTest, WhatAnInnerNodeCannotReachTheHeadStarts) {
  ASSERT_TRUE(StartNodes(4));  // n1 and n3 are inner nodes
  Overlay("n1", "/etc/ssh/ssh_config", "Host *\n ProxyCommand false\n BatchMode yes\n", 0644);
  const CommandResult result =
      RexOnHead({"--tree", "two-level", "--host", Hosts(4), ProgramPath("mpi_ring")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "ring size=4 token=40 ok=1"));
}

TEST_F(StartsTest, ABlockedWayBackIsSaidAndCostsOnlySpeed) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().BlockBack("n2"), 0));
  auto job = StartRexOnHead({"--host", Hosts(2), TestProgram(), "then", "sleep", "1000", ",",
                             "lines", "2000", ",", "sleep", "11000"});
  EXPECT_TRUE(job->WaitForText("goes through ssh")) << job->Snapshot();
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "abcdefghijklmnopqrstuvwxyz\n"), 4000u);
  EXPECT_EQ(CountOf(result.err, "goes through ssh"), 1u) << result;
  EXPECT_TRUE(StderrNames(result, {"node n2", "head"}));
}

// ---- failures

TEST_F(StartsTest, AnUnknownHost) {
  ASSERT_TRUE(StartNodes(1));
  ExpectFailure(FailToStart({}, "n1,nosuch"), kExitNodeStart,
                {"node nosuch could not be started", "ssh", "resolve", "getent hosts nosuch"});
}

TEST_F(StartsTest, ARefusedConnection) {
  ASSERT_TRUE(StartNodes(2));
  Shell("n2", "kill $(cat /run/sshd.pid)");
  ExpectFailure(FailToStart(), kExitNodeStart,
                {"node n2 could not be started", "connection refused", "is sshd running"});
}

TEST_F(StartsTest, AWrongHostKey) {
  ASSERT_TRUE(StartNodes(2));
  const std::string key = left().work_dir() + "/other";
  ASSERT_TRUE(ExitedWith(Run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}), 0));
  const std::string known =
      WriteFile("known", "n1 " + ReadWorkFile("other.pub") + "n2 " + ReadWorkFile("other.pub"));
  const std::string ssh = "ssh -o UserKnownHostsFile=" + known;
  ExpectFailure(FailToStart({"--ssh", ssh}, "n2"), kExitNodeStart,
                {"node n2 could not be started", "identification has changed", "ssh-keygen -R n2"});
  ExpectFailure(FailToStart({"--ssh", "ssh -o UserKnownHostsFile=/dev/null"}, "n2"), kExitNodeStart,
                {"node n2 could not be started", "host key verification failed", "becomes known"});
}

TEST_F(StartsTest, PermissionDenied) {
  ASSERT_TRUE(StartNodes(2));
  ExpectFailure(FailToStart({}, "n1,nobody@n2"), kExitNodeStart,
                {"n2 could not be started", "permission denied", "password", "nobody@n2 true"});
}

TEST_F(StartsTest, AnSshThatHangs) {
  ASSERT_TRUE(StartNodes(2));
  Shell("n2", "kill -STOP $(cat /run/sshd.pid)");
  const CommandResult result = FailToStart({"--start-timeout", "3"});
  Shell("n2", "kill -CONT $(cat /run/sshd.pid)");
  ExpectFailure(result, kExitNodeStart, {"node n2 could not be started", "timed out"});
  EXPECT_LT(result.wall, seconds(10));
}

TEST_F(StartsTest, AnAddressWithoutAnybodyBehindIt) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  const CommandResult result = FailToStart({"--start-timeout", "3"});
  ExpectFailure(result, kExitNodeStart,
                {"node n2 could not be started", "no answer in 3 s", "network or firewall",
                 "--start-timeout"});
  EXPECT_LT(result.wall, seconds(10));
}

TEST_F(StartsTest, RexdIsMissingOnOneNode) {
  ASSERT_TRUE(StartNodes({.nodes = 2, .hide = {"n2:" + BuildDir() + "/libexec"}}));
  ExpectFailure(FailToStart({"--ship-agent", "never"}), kExitNodeStart,
                {"node n2 could not be started", Rexd(), "no such file", "--prefix"});
}

TEST_F(StartsTest, RexdCannotBeExecutedOnOneNode) {
  ASSERT_TRUE(StartNodes(2));
  Overlay("n2", Rexd(),
          "\x7f"
          "ELF of another machine",
          0755);
  ExpectFailure(FailToStart(), kExitNodeStart, {"node n2 could not be started", Rexd()});
}

TEST_F(StartsTest, APartOfRexIsMissingOnOneNode) {
  for (const char* part : {"rexd-agent", "rexd-pmix", "rexd-spawner"}) {
    ASSERT_TRUE(StartNodes(2));
    Overlay("n2", LibexecPath(part), "", 0644);
    ExpectFailure(FailToStart({"--ship-agent", "never"}), kExitNodeStart,
                  {"node n2 could not be started", part});
    ASSERT_TRUE(ExitedWith(cluster().Down(), 0));
  }
}

TEST_F(StartsTest, AnotherVersionOnOneNode) {
  ASSERT_TRUE(StartNodes(2));
  ReplaceRexd("n2", "printf '\\036rex-join 0.0.7\\n'; exec cat >/dev/null");
  ExpectFailure(FailToStart(), kExitNodeStart,
                {"node n2 could not be started", Rexd(), "0.0.7", "the same version"});
}

TEST_F(StartsTest, ALoginShellThatHasOtherPlans) {
  ASSERT_TRUE(StartNodes(2));
  SetShell("n2", "/usr/sbin/nologin");
  ExpectFailure(FailToStart(), kExitNodeStart,
                {"node n2 could not be started", "not available", "may not log in"});
}

TEST_F(StartsTest, OneBadNodeOfThirtyTwoIsNamed) {
  ASSERT_TRUE(StartNodes(32));
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n17"), 0));
  const CommandResult result = FailToStart({"--start-timeout", "10"}, Hosts(32));
  ExpectFailure(result, kExitNodeStart, {"node n17 could not be started", "network or firewall"});
  EXPECT_EQ(CountOf(result.err, "more node"), 0u) << result;
  EXPECT_LT(result.wall, seconds(30));
}

TEST_F(StartsTest, NodesThatFailTogetherAreNamedTogether) {
  ASSERT_TRUE(StartNodes(3));
  for (const char* node : {"n1", "n3"}) Shell(node, "kill $(cat /run/sshd.pid)");
  ExpectFailure(FailToStart({}, Hosts(3)), kExitNodeStart,
                {"node n1 could not be started", "1 more node", "n3", "refused"});
}

TEST_F(StartsTest, AnInterruptWhileNodesStart) {
  ASSERT_TRUE(StartNodes(2));
  ASSERT_TRUE(ExitedWith(cluster().Blackhole("n2"), 0));
  auto job = StartRexOnHead({"--host", Hosts(2), TestProgram(), "sleep", "60000"});
  ASSERT_GT(FindOn("n1", "rexd-agent"), 0);
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGINT));
}

TEST_F(StartsTest, ANodeWithoutRoomForFiles) {
  ASSERT_TRUE(StartNodes(2));
  for (const std::string dir : {"/tmp", "/dev/shm"}) {
    Shell("n2", "mount -o remount,nr_inodes=50 " + dir + "; rm -rf /run/mount; mkdir " + dir +
                    "/fill; i=0; while touch 2>/dev/null " + dir + "/fill/$i; do i=$((i+1)); done");
  }
  const CommandResult result = FailToStart();
  Shell("n2", "rm -rf /tmp/fill /dev/shm/fill");
  EXPECT_TRUE(StderrNames(result, {"node n2", "no space left"}));
  EXPECT_TRUE(result.exit_code == kExitNodeStart || result.exit_code == kExitNoResources) << result;
}

TEST_F(StartsTest, AServerThatTakesFewAtOnceIsAskedAgain) {
  ASSERT_TRUE(StartNodes({.nodes = 8, .max_startups = "1"}));
  // The jump host is where all seven meet.
  const std::string config = WriteFile(
      "config", "Host n2 n3 n4 n5\n ProxyJump n1\nHost *\nInclude " + cluster().SshConfig() + "\n");
  EXPECT_EQ(HostNames({"--ssh", "ssh -F " + config, "--host", "n1,n2,n3,n4,n5"}), "n1 n2 n3 n4 n5");
}

}  // namespace
}  // namespace rex::testing
