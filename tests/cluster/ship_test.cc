// Nodes without rex: it is sent to them, whatever their shells, disks and mounts are like, and
// nothing of it stays, whoever is killed when.
#include <signal.h>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

constexpr char kLibraries[] = "/usr/lib/x86_64-linux-gnu/";

class ShipTest : public NodesTest {
 protected:
  // What of rex and of what it needs can be hidden without hurting sshd.
  static std::vector<std::string> RexOn(const std::string& node) {
    std::vector<std::string> hidden{node + ":" + BuildDir() + "/libexec"};
    for (const char* library : {"pmix2", "libhwloc.so.15", "libevent_core-2.1.so.7",
                                "libevent_pthreads-2.1.so.7", "libmunge.so.2"}) {
      hidden.push_back(node + ":" + kLibraries + library);
    }
    return hidden;
  }
  ::testing::AssertionResult StartBare(int nodes, const std::vector<std::string>& bare) {
    ClusterOptions options{.nodes = nodes};
    for (const std::string& node : bare) {
      const auto hidden = RexOn(node);
      options.hide.insert(options.hide.end(), hidden.begin(), hidden.end());
    }
    return StartPlain(options);
  }
  ::testing::AssertionResult StartPlain(const ClusterOptions& options) {
    ::testing::AssertionResult started = StartNodes(options);
    if (started) UsePlainShells(options.nodes);
    return started;
  }
  // The nodes that answered.
  std::vector<std::string> HostNames(std::vector<std::string> args) {
    args.emplace_back("hostname");
    const CommandResult result = RexOnHead(args);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(result.err, "");
    return SortedLines(result.out);
  }
  CommandResult Fail(const std::string& hosts, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"--host", hosts});
    options.insert(options.end(), {TestProgram(), "print", "not reached"});
    CommandResult result = RexOnHead(options);
    EXPECT_EQ(result.out, "");
    return result;
  }
  // Where on n1 the programs of the running job are: the directory's parent.
  std::string PlaceOn(const std::string& node) {
    const pid_t agent = FindOn(node, "rexd-agent");
    const std::string path =
        RunIn("head", {"readlink", "/proc/" + std::to_string(agent) + "/exe"}).out;
    return path.substr(0, path.find("/rex-"));
  }
  // A job that is being sent to n1 over a slow link, as soon as stage-0 runs there.
  std::unique_ptr<RunningCommand> StartSlowly() {
    EXPECT_TRUE(ExitedWith(cluster().Rate("n1", "8mbit"), 0));
    auto job = StartRexOnHead({"--host", "n1", TestProgram(), "print", "not reached"});
    EXPECT_GT(FindOn("n1", "s"), 0) << job->Snapshot();
    return job;
  }
  // A job that runs on n1, where rex was sent.
  std::unique_ptr<RunningCommand> StartRunning() {
    return StartReady(
        {"--host", "n1", TestProgram(), "then", "print", "here\\n", ",", "sleep", "60000"},
        "here\n", 1);
  }
  void AwaitNothingOn(const std::string& node) {
    EXPECT_TRUE(Await(
        [&] {
          return RunIn(node, {"sh", "-c", "ls -d /tmp/rex-* /dev/shm/rex-* /var/tmp/rex-*"})
              .out.empty();
        },
        seconds(5)));
  }
};

// ---- it works

TEST_F(ShipTest, ANodeWithoutRexBesideOneWithIt) {
  ASSERT_TRUE(StartBare(2, {"n2"}));
  EXPECT_EQ(HostNames({"--host", "n1,n2:2"}), (std::vector<std::string>{"n1", "n2", "n2"}));
  EXPECT_EQ(HostNames({"--ship-agent", "always", "--host", "n1,n2"}),
            (std::vector<std::string>{"n1", "n2"}));
}

TEST_F(ShipTest, RanksSeeNothingOfIt) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  for (const char* mode : {"all", "none"}) {
    const CommandResult result = RexOnHead({"--host", "n1", "--export", mode, "/usr/bin/env"});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, "/lib:") + CountOf(result.out, "REX_SENT") +
                  CountOf(result.out, "PMIX_LIBDIR") + CountOf(result.out, "LD_LIBRARY_PATH"),
              0u)
        << result;
  }
}

TEST_F(ShipTest, InnerNodesSendWhatTheyWereSent) {
  ASSERT_TRUE(StartBare(4, {"n1", "n2", "n3", "n4"}));
  EXPECT_EQ(HostNames({"--tree", "two-level", "--host", Hosts(4)}),
            (std::vector<std::string>{"n1", "n2", "n3", "n4"}));
}

TEST_F(ShipTest, AnyLoginShellAndItsNoise) {
  ASSERT_TRUE(StartBare(3, {"n1", "n2", "n3"}));
  SetShell("n1", "/bin/csh");
  PutFile("n2", ".bashrc", "echo 'Welcome to n2'; printf 'no end of line'; echo warned >&2\n");
  SetShell("n2", "/bin/bash");
  PutFile("n3", "shell",
          "#!/bin/sh\nhead -c 20000 /dev/zero | tr '\\0' '\\201'\nexec /bin/sh \"$@\"\n", 0755);
  SetShell("n3", "/run/lock/shell");
  EXPECT_EQ(HostNames({"--host", "n1,n2,n3"}), (std::vector<std::string>{"n1", "n2", "n3"}));
}

TEST_F(ShipTest, AMissingLibraryAloneIsSentToo) {
  ASSERT_TRUE(
      StartPlain({.nodes = 1, .hide = {std::string("n1:") + kLibraries + "libhwloc.so.15"}}));
  EXPECT_EQ(HostNames({"--host", "n1"}), (std::vector<std::string>{"n1"}));
}

TEST_F(ShipTest, AnotherPlaceWhereProgramsMayNotRunOrHaveNoRoom) {
  ASSERT_TRUE(StartBare(2, {"n1", "n2"}));
  Shell("n1", "mount -o remount,noexec /tmp; rm -rf /run/mount");
  Shell("n2", "mount -o remount,size=1m /tmp; rm -rf /run/mount");
  auto job = StartReady(
      {"--host", "n1,n2", TestProgram(), "then", "print", "here\\n", ",", "sleep", "60000"},
      "here\n", 2);
  EXPECT_EQ(PlaceOn("n1"), "/dev/shm");
  EXPECT_EQ(PlaceOn("n2"), "/dev/shm");
  job->Signal(SIGINT);
  job->Wait(seconds(30));
}

// ---- it can't

TEST_F(ShipTest, NeverMeansNever) {
  ASSERT_TRUE(StartBare(2, {"n2"}));
  ExpectFailure(Fail("n1,n2", {"--ship-agent", "never"}), kExitNodeStart,
                {"node n2 could not be started", LibexecPath("rexd"), "not found", "--prefix"});
}

TEST_F(ShipTest, NoPlaceAtAllIsExplainedForEach) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  Shell("n1",
        "mount -o remount,noexec /tmp; mount -o remount,size=1m /dev/shm;"
        "mount -t tmpfs -o ro none /var/tmp; mount -t tmpfs -o noexec none \"$HOME\"; rm -rf "
        "/run/mount");
  ExpectFailure(Fail("n1"), kExitNodeStart,
                {"node n1 could not be started", "ship: no place for rex's programs",
                 "/tmp lets no program run", "/dev/shm has only", "/var/tmp can't be written to",
                 "before that:", "set TMPDIR"});
}

TEST_F(ShipTest, ADiskThatFillsMeanwhile) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  Shell("n1", "mount -o remount,size=4m /tmp; rm -rf /run/mount");
  Overlay("n1", "/usr/bin/df", "#!/bin/sh\necho Head\necho none 1 1 99999999 1 /\n");
  ExpectFailure(Fail("n1"), kExitNodeStart,
                {"node n1 could not be started", "ship:", "No space left on device", "make room"});
}

TEST_F(ShipTest, AnotherMachineIsRefusedBeforeAnythingIsSent) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  Overlay("n1", "/usr/bin/uname", "#!/bin/sh\necho aarch64\n");
  ExpectFailure(Fail("n1"), kExitNodeStart,
                {"node n1 could not be started", "ship: the node's machine is aarch64", "x86_64",
                 "--prefix"});
}

TEST_F(ShipTest, WhatArrivesDamagedIsNotRun) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  // The real one stays reachable under another name.
  Shell("n1", "cp /usr/bin/head /run/lock/real-head");
  Overlay("n1", "/usr/bin/head", "#!/bin/sh\n/run/lock/real-head \"$@\" | tr '\\177' '\\176'\n");
  ExpectFailure(
      Fail("n1"), kExitNodeStart,
      {"node n1 could not be started", "ship: damaged on the way, so not run: 'rex-stage0'"});
}

TEST_F(ShipTest, AToolThatIsMissingIsNamed) {
  auto hidden = RexOn("n1");
  ASSERT_TRUE(StartPlain({.nodes = 1, .hide = hidden}));
  Overlay("n1", "/usr/bin/mkfifo", "", 0644);
  ExpectFailure(Fail("n1"), kExitNodeStart, {"ship: 'mkfifo' is missing", "coreutils"});
}

// ---- somebody is killed

TEST_F(ShipTest, SshIsKilledInTheMiddle) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  auto job = StartSlowly();
  const auto all = DescendantsNamed(job->pid(), "ssh");
  ASSERT_FALSE(all.empty());
  for (const pid_t pid : all) ::kill(pid, SIGKILL);
  const CommandResult result = job->Wait(seconds(30));
  ExpectFailure(result, kExitNodeStart, {"node n1 could not be started", "ship:", "signal 9"});
  AwaitNothingOn("n1");
}

TEST_F(ShipTest, Stage0IsKilled) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  auto job = StartSlowly();
  ASSERT_TRUE(SignalOn("n1", "s", SIGKILL));
  ExpectFailure(job->Wait(seconds(30)), kExitNodeStart, {"node n1 could not be started", "ship:"});
  AwaitNothingOn("n1");
}

TEST_F(ShipTest, TheHeadIsKilledInTheMiddle) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  auto job = StartSlowly();
  const auto agents = DescendantsNamed(job->pid(), "rexd-agent");
  ASSERT_EQ(agents.size(), 1u);
  ::kill(agents[0], SIGKILL);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 123));
  AwaitNothingOn("n1");
}

TEST_F(ShipTest, RexlaunchIsKilledInTheMiddle) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  auto job = StartSlowly();
  job->Signal(SIGKILL);
  job->Wait(seconds(30));
  AwaitNothingOn("n1");
}

TEST_F(ShipTest, WhoeverIsKilledWhileTheJobRuns) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  for (const char* victim : {"rexd", "rexd-agent", "rexd-pmix"}) {
    auto job = StartRunning();
    ASSERT_TRUE(SignalOn("n1", victim, SIGKILL)) << victim;
    const CommandResult result = job->Wait(seconds(30));
    EXPECT_FALSE(result.exit_code == 0) << victim << result;
    AwaitNothingOn("n1");
  }
  auto job = StartRunning();
  job->Signal(SIGKILL);
  job->Wait(seconds(30));
  AwaitNothingOn("n1");
}

TEST_F(ShipTest, TheWatcherIsKilledAndTheJobGoesOn) {
  ASSERT_TRUE(StartBare(1, {"n1"}));
  auto job =
      StartReady({"--host", "n1", TestProgram(), "then", "print", "here\\n", ",", "sleep", "1500"},
                 "here\n", 1);
  ASSERT_TRUE(SignalOn("n1", "sh", SIGKILL));
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 0));
  AwaitNothingOn("n1");
}

}  // namespace
}  // namespace rex::testing
