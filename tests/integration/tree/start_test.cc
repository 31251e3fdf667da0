// Starts through an ssh that is a program of the tests: what a user sees when one goes wrong.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "launcher/base/descendants.h"
#include "tests/integration/tree/tree_fixture.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

class StartTest : public TreeTest {
 protected:
  // Starts one node that must fail, and returns how.
  StartFailure FailToStart(const std::string& name, TreeOptions options) {
    Start({name}, std::move(options));
    RunUntil([&] { return !failures_.empty() || !ready_.empty(); });
    if (failures_.size() != 1 || !ready_.empty() || !losses_.empty()) {
      ADD_FAILURE() << Trouble();
      return {};
    }
    return failures_[0];
  }
  TreeOptions Quick(TreeOptions options) {
    options.start_timeout = seconds(1);
    return options;
  }
};

TEST_F(StartTest, OverSshAndOverAnRshLikeCommand) {
  for (const char* command : {"ssh", "rsh"}) {
    ready_.clear();
    Start({"n1", "n2"}, FakeSsh(command));
    ASSERT_TRUE(AwaitReady(2)) << command << Trouble();
    EchoAll();
    EXPECT_TRUE(RunUntil([&] { return tree_->links_on_tcp() == 2; })) << Trouble();
    Close();
  }
}

TEST_F(StartTest, TwoLevelsOverSsh) {
  TreeOptions options = FakeSsh();
  options.shape = TreeShape::kTwoLevel;
  Start({"n1", "n2", "n3", "n4"}, options);
  ASSERT_TRUE(AwaitReady(4)) << Trouble();
  EXPECT_EQ(tree_->children(), NodeIds({1, 2}));
  EchoAll();
}

TEST_F(StartTest, WhatALoginShellPrintsIsNoTrouble) {
  Start({"banner-1", "garbage-1"}, FakeSsh());
  ASSERT_TRUE(AwaitReady(2)) << Trouble();
  EchoAll();
}

TEST_F(StartTest, EveryLoginShellHereWorks) {
  std::vector<std::string> names = {"sh-1"};
  for (const std::string shell : {"csh", "tcsh", "fish", "zsh"}) {
    if (std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) == 0) {
      names.push_back(shell + "-1");
    }
  }
  // A path that needs quoting in each of them.
  const std::string blank = left_.work_dir() + "/a 'blank' $dir!";
  std::filesystem::create_directories(blank + "/libexec");
  std::filesystem::rename(prefix_, blank + "/libexec/rex");
  TreeOptions options = FakeSsh();
  options.rexd = blank + "/libexec/rex/rexd";
  Start(names, options);
  ASSERT_TRUE(AwaitReady(names.size())) << Trouble();
  EchoAll();
}

TEST_F(StartTest, ABusyServerIsTriedAgain) {
  Start({"busy-1"}, FakeSsh());
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  EXPECT_TRUE(std::filesystem::exists(left_.work_dir() + "/busy-1")) << "it was refused once";
  EchoAll();
}

TEST_F(StartTest, RefusedBySsh) {
  const StartFailure failure = FailToStart("refuse-1", FakeSsh());
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_EQ(failure.cause, "ssh: connect to host refuse-1 port 22: Connection refused");
  EXPECT_TRUE(Has(failure.remedy, "sshd")) << failure.remedy;
}

TEST_F(StartTest, SshThatNeverConnectsIsBounded) {
  const StartFailure failure = FailToStart("hang-1", Quick(FakeSsh()));
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_TRUE(Has(failure.cause, "in 1 s")) << failure.cause;
  EXPECT_TRUE(Has(failure.remedy, "--start-timeout")) << failure.remedy;
}

TEST_F(StartTest, EndlessNoiseIsBounded) {
  const StartFailure failure = FailToStart("endless-1", Quick(FakeSsh()));
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_TRUE(Has(failure.cause, "yyyy")) << failure.cause;
}

TEST_F(StartTest, NoSuchRemoteShellCommand) {
  TreeOptions options;
  options.ssh = {"/no/such/ssh"};
  const StartFailure failure = FailToStart("n1", options);
  EXPECT_TRUE(Has(failure.cause, "'/no/such/ssh': No such file")) << failure.cause;
  EXPECT_TRUE(Has(failure.remedy, "--ssh")) << failure.remedy;
}

TEST_F(StartTest, RexdIsMissingThere) {
  const StartFailure failure = FailToStart("missing-1", FakeSsh());
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_TRUE(Has(failure.cause, prefix_ + "/rexd")) << failure.cause;
  EXPECT_TRUE(Has(failure.remedy, "--prefix")) << failure.remedy;
}

TEST_F(StartTest, RexdIsMissingForAVirtualNode) {
  TreeOptions options;
  options.kind = BootstrapKind::kVirtual;
  options.rexd = "/no/such/rexd";
  const StartFailure failure = FailToStart("v1", options);
  EXPECT_TRUE(Has(failure.cause, "/no/such/rexd")) << failure.cause;
}

TEST_F(StartTest, AnotherVersionIsNamedWithBoth) {
  const StartFailure failure = FailToStart("old-1", FakeSsh());
  EXPECT_EQ(failure.phase, "marker");
  EXPECT_TRUE(Has(failure.cause, "0.0.9") && Has(failure.cause, REX_VERSION)) << failure.cause;
  EXPECT_TRUE(Has(failure.remedy, "same version")) << failure.remedy;
}

TEST_F(StartTest, AnAgentThatDiesBeforeItGreetsIsNamedWithItsLastWords) {
  const StartFailure failure = FailToStart("crash-1", FakeSsh());
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_TRUE(Has(failure.cause, "exited with code 3")) << failure.cause;
}

TEST_F(StartTest, AnAgentThatNeverGreetsOrReportsIsBounded) {
  Start({"mute-1", "silent-1", "n1"}, Quick(FakeSsh()));
  ASSERT_TRUE(RunUntil([&] { return failures_.size() == 2; })) << Trouble();
  EXPECT_EQ(FailureOf("mute-1")->phase, "ssh");
  EXPECT_EQ(FailureOf("silent-1")->phase, "ready");
  EXPECT_TRUE(Has(FailureOf("silent-1")->cause, "report")) << Trouble();
}

TEST_F(StartTest, OneFailureLeavesTheOthersAlone) {
  Start({"n1", "refuse-1", "n2"}, FakeSsh());
  ASSERT_TRUE(RunUntil([&] { return ready_.size() == 2 && failures_.size() == 1; })) << Trouble();
  EchoAll();
}

TEST_F(StartTest, WhatAnInnerNodeCannotReachTheHeadTriesItself) {
  TreeOptions options = FakeSsh();
  options.shape = TreeShape::kTwoLevel;
  Start({"n1", "n2", "picky-1"}, options);  // n1 is to start picky-1
  ASSERT_TRUE(RunUntil([&] { return ready_.size() == 3 || !failures_.empty(); })) << Trouble();
  ASSERT_EQ(ready_.size(), 3u) << Trouble();
  EXPECT_EQ(tree_->children(), NodeIds({1, 2, 3}));
  EXPECT_TRUE(tree_->below(NodeId{1}).empty());
  EchoAll();
}

TEST_F(StartTest, WhatNobodyCanReachIsNamedWithBothTries) {
  TreeOptions options = FakeSsh();
  options.shape = TreeShape::kTwoLevel;
  Start({"n1", "n2", "refuse-1"}, options);
  ASSERT_TRUE(RunUntil([&] { return !failures_.empty() && ready_.size() == 2; })) << Trouble();
  ASSERT_EQ(failures_.size(), 1u) << Trouble();
  EXPECT_TRUE(Has(failures_[0].cause, "Connection refused")) << Trouble();
  EXPECT_TRUE(Has(failures_[0].cause, "before that: from node n1: ssh:")) << Trouble();
}

TEST_F(StartTest, NodesBelowAFailedOneAreReportedToo) {
  TreeOptions options = FakeSsh();
  options.shape = TreeShape::kTwoLevel;
  Start({"refuse-1", "n2", "n3"}, options);  // n3 was to be started by refuse-1
  ASSERT_TRUE(RunUntil([&] { return failures_.size() == 2 && ready_.size() == 1; })) << Trouble();
  EXPECT_EQ(FailureOf("n3")->phase, "parent");
  EXPECT_TRUE(Has(FailureOf("n3")->cause, "refuse-1")) << Trouble();
}

TEST_F(StartTest, AKilledSshIsALossThatNamesIt) {
  Start({"n1"}, FakeSsh());
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  ASSERT_TRUE(RunUntil([&] { return tree_->links_on_tcp() == 1; })) << Trouble();
  pid_t ssh = 0;
  for (const ProcessInfo& process : FindDescendants(::getpid())) {
    if (process.ppid == ::getpid()) ssh = process.pid;
  }
  ASSERT_GT(ssh, 0);
  ::kill(ssh, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !losses_.empty(); })) << Trouble();
  EXPECT_EQ(losses_[0].nodes, NodeIds({1}));
  EXPECT_TRUE(Has(losses_[0].why.text, "ssh was ended by signal 9")) << Trouble();
}

TEST_F(StartTest, SshIsOutOfATerminalsReach) {
  Start({"n1"}, FakeSsh());
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  for (const ProcessInfo& process : FindDescendants(::getpid())) {
    if (process.ppid != ::getpid()) continue;
    EXPECT_EQ(::getsid(process.pid), process.pid);
  }
}

TEST_F(StartTest, SshHoldsNothingOfItsAgents) {
  const int leaked = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  Start({"n1"}, FakeSsh());
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
  const std::string fd = std::to_string(leaked);
  size_t looked_at = 0;
  for (const ProcessInfo& process : FindDescendants(::getpid())) {
    if (process.ppid != ::getpid()) continue;
    ++looked_at;
    std::error_code none;
    const auto target =
        std::filesystem::read_symlink("/proc/" + std::to_string(process.pid) + "/fd/" + fd, none);
    EXPECT_NE(target.string(), "/dev/null");
  }
  EXPECT_EQ(looked_at, 1u);
  ::close(leaked);
}

TreeOptions Sending(TreeOptions options, ShipMode mode = ShipMode::kAuto) {
  options.ship = mode;
  return options;
}

TEST_F(StartTest, ANodeWithoutRexIsSentIt) {
  Start({"bare-1", "n1", "bare-2"}, Sending(FakeSsh()));
  ASSERT_TRUE(AwaitReady(3)) << Trouble();
}

TEST_F(StartTest, OverAnRshLikeCommandToo) {
  Start({"bare-1"}, Sending(FakeSsh("rsh"), ShipMode::kAlways));
  ASSERT_TRUE(AwaitReady(1)) << Trouble();
}

TEST_F(StartTest, EveryLoginShellHereTakesWhatIsSent) {
  std::vector<std::string> names = {"sh-1"};
  for (const std::string shell : {"csh", "tcsh", "fish", "zsh"}) {
    if (std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) == 0) {
      names.push_back(shell + "-1");
    }
  }
  names.emplace_back("garbage-1");
  Start(names, Sending(FakeSsh(), ShipMode::kAlways));
  ASSERT_TRUE(AwaitReady(names.size())) << Trouble();
}

TEST_F(StartTest, ADamagedFirstProgramIsNotRun) {
  const StartFailure failure = FailToStart("damage-500", Sending(FakeSsh()));
  EXPECT_EQ(failure.phase, "ship");
  EXPECT_TRUE(Has(failure.cause, "damaged on the way, so not run: 'rex-stage0'")) << failure.cause;
  EXPECT_TRUE(Has(failure.cause, "before that: ")) << failure.cause;
}

TEST_F(StartTest, AnyOtherDamagedProgramIsNotRun) {
  const StartFailure failure = FailToStart("damage-3000000", Sending(FakeSsh()));
  EXPECT_EQ(failure.phase, "ship");
  EXPECT_TRUE(Has(failure.cause, "damaged on the way, so not run: 'rexd-agent'")) << failure.cause;
}

TEST_F(StartTest, ADamagedManifestIsRefused) {
  const auto before = std::filesystem::file_size(LibexecPath("rex-stage0"));
  const std::string host = "damage-" + std::to_string(before + 200);
  const StartFailure failure = FailToStart(host, Sending(FakeSsh()));
  EXPECT_EQ(failure.phase, "ship");
  EXPECT_TRUE(Has(failure.cause, "manifest")) << failure.cause;
}

TEST_F(StartTest, AnSshThatEndsWhileItSendsLeavesNothing) {
  for (const char* host : {"cut-100", "cut-14600", "cut-4000000"}) {
    failures_.clear();
    const StartFailure failure = FailToStart(host, Sending(FakeSsh()));
    EXPECT_EQ(failure.phase, "ship") << host;
    EXPECT_TRUE(Has(failure.cause, "ssh was ended by signal 9")) << failure.cause;
    Close();
  }
}

TEST_F(StartTest, NeverSendsNothing) {
  const StartFailure failure = FailToStart("bare-1", Sending(FakeSsh(), ShipMode::kNever));
  EXPECT_EQ(failure.phase, "ssh");
  EXPECT_TRUE(Has(failure.remedy, "--prefix")) << failure.remedy;
}

TEST_F(StartTest, LinesOfANodesDaemonsArePassedOnWithItsName) {
  ::testing::internal::CaptureStderr();
  TreeOptions options = FakeSsh();
  options.shape = TreeShape::kTwoLevel;
  Start({"n1", "n2", "chatty-1"}, options);
  const bool up = AwaitReady(3);
  // What it wrote comes by another way than its report: it is all here after the end.
  Close();
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(up) << Trouble();
  EXPECT_TRUE(Has(text, "n1: chatty-1: a line of the chatty agent\n")) << text;
}

}  // namespace
}  // namespace rex::testing
