// The tools of the integration tests do what those rely on.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/base/private_dir.h"
#include "tests/support/fake_clock.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

CommandOptions WithStdin(const std::string& bytes) {
  CommandOptions options;
  options.stdin_kind = StdinKind::kBytes;
  options.stdin_bytes = bytes;
  return options;
}

TEST(RunCommandTest, GivesCodeAndBothStreams) {
  const auto result = RunCommand({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_TRUE(ExitedWith(result, 3));
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST(RunCommandTest, GivesTheSignal) {
  EXPECT_EQ(RunCommand({"/bin/sh", "-c", "kill -9 $$"}).signo, SIGKILL);
}

TEST(RunCommandTest, FeedsMoreThanAPipeHolds) {
  const std::string input(3'000'000, 'x');
  const auto result = RunCommand({"cat"}, WithStdin(input));
  EXPECT_EQ(result.out == input, true) << result.out.size();
}

TEST(RunCommandTest, SurvivesAProgramThatReadsNothing) {
  EXPECT_TRUE(ExitedWith(RunCommand({"true"}, WithStdin(std::string(1'000'000, 'x'))), 0));
}

TEST(RunCommandTest, KillsAtTheTimeLimit) {
  CommandOptions options;
  options.timeout = milliseconds(100);
  EXPECT_TRUE(RunCommand({"sleep", "60"}, options).timed_out);
}

TEST(RunCommandTest, AddsAndRemovesVariables) {
  CommandOptions options;
  options.set_env = {{"ADDED_ONE", "1"}};
  options.unset_env = {"HOM*"};
  const auto result = RunCommand({"/bin/sh", "-c", "echo $ADDED_ONE [$HOME]"}, options);
  EXPECT_EQ(result.out, "1 []\n");
}

TEST(RunCommandTest, SeesThatOutputIsHeldOpen) {
  const auto result = RunCommand({"/bin/sh", "-c", "sleep 5 & echo started"});
  EXPECT_TRUE(result.output_left_open);
  EXPECT_EQ(result.out, "started\n");
}

TEST(RunCommandTest, TypesOnATerminal) {
  CommandOptions options;
  options.on_pty = true;
  RunningCommand cat({"cat"}, options);
  cat.Write("typed\n");
  EXPECT_TRUE(cat.WaitForText("typed\r\ntyped")) << cat.Snapshot();
  cat.Write("\x03");
  EXPECT_EQ(cat.Wait(seconds(10)).signo, SIGINT);
}

TEST(RunCommandTest, AReaderThatDoesNotReadStallsTheWriter) {
  RunningCommand writer({"/bin/sh", "-c", "head -c 1000000 /dev/zero"});
  EXPECT_FALSE(writer.WaitEndWithoutReading(milliseconds(200)));
  EXPECT_EQ(writer.Wait().out.size(), 1'000'000u);
}

// Other tests run meanwhile, and may have abandoned directories of their own for a moment: cases
// below look for what they made themselves.
bool Names(const std::vector<std::string>& lines, const std::string& part) {
  for (const auto& line : lines) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(NothingLeftTest, IsContentWithNothing) {
  NothingLeft left;
  EXPECT_EQ(left.Check(), std::vector<std::string>{});
}

TEST(NothingLeftTest, FindsADaemonizedGrandchild) {
  NothingLeft left;
  CommandOptions options;
  options.set_env = left.Environment();
  RunCommand({ProgramPath("testprog"), "grandchildren", "20000", "1"}, options);
  EXPECT_TRUE(Names(left.Check(milliseconds(100)), "testprog"));
  EXPECT_EQ(ProcessesWithMarker(left.marker()).size(), 2u);
  for (const pid_t pid : ProcessesWithMarker(left.marker())) ::kill(pid, SIGKILL);
  EXPECT_EQ(left.Check(), std::vector<std::string>{});
}

TEST(NothingLeftTest, FindsFilesInItsTempDirectory) {
  NothingLeft left;
  ASSERT_EQ(::mkdir((left.tmp_dir() + "/pmix-left").c_str(), 0700), 0);
  EXPECT_TRUE(Names(left.Check(milliseconds(100)), "pmix-left"));
}

TEST(NothingLeftTest, TellsALockedDirectoryFromAnAbandonedOne) {
  NothingLeft left;
  auto dir = PrivateDir::Create("/dev/shm");
  ASSERT_TRUE(dir.has_value());
  const std::string path = dir->path();
  EXPECT_FALSE(Names(left.Check(milliseconds(100)), path));
  { const PrivateDir dies = std::move(dir).value(); }  // the lock goes, the directory stays
  const auto found = left.Check(milliseconds(100));
  // A rexlaunch that starts just now removes it before we can find it.
  EXPECT_TRUE(Names(found, path) || ::access(path.c_str(), F_OK) != 0);
  RemoveTree(path);
}

TEST(FakeClockTest, StandsUntilMoved) {
  FakeClock clock;
  const auto before = clock.Now();
  EXPECT_EQ(clock.Now(), before);
  clock.Advance(milliseconds(5));
  EXPECT_EQ(clock.Now() - before, milliseconds(5));
}

}  // namespace
}  // namespace rex::testing
