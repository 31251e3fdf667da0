// The ranks' output: exact bytes, whole lines, bounded memory.
#include <set>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class StdioTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

// Each line whole, each rank's lines in their order, none missing.
void ExpectWholeLines(const CommandResult& result, int ranks, long count) {
  std::vector<long> next(static_cast<size_t>(ranks), 0);
  for (const auto& line : Lines(result.out)) {
    const long long rank = NumberAfter(line, "rank");
    ASSERT_TRUE(rank >= 0 && rank < ranks) << "mixed line: '" << line << "'";
    long& number = next[static_cast<size_t>(rank)];
    ASSERT_EQ(line, "rank=" + std::to_string(rank) + " line=" + std::to_string(number) +
                        " abcdefghijklmnopqrstuvwxyz");
    ++number;
  }
  for (const long number : next) EXPECT_EQ(number, count);
}

// The 64-byte lines of `testprog pattern`. Returns how many each rank wrote, checked one by one.
std::vector<long> CheckPattern(const std::string& out, size_t ranks) {
  std::vector<long> next(ranks, 0);
  for (size_t at = 0; at + 64 <= out.size(); at += 64) {
    const size_t rank = std::strtoul(out.c_str() + at + 1, nullptr, 10);
    if (out[at] != 'R' || rank >= ranks || out[at + 63] != '\n') {
      ADD_FAILURE() << "bad line at byte " << at << ": " << out.substr(at, 64);
      return next;
    }
    std::string wanted = "R" + std::to_string(rank) + " " + std::to_string(next[rank]) + " ";
    wanted.resize(63, static_cast<char>('a' + next[rank] % 26));
    if (out.compare(at, 63, wanted) != 0) {
      ADD_FAILURE() << "wanted " << wanted << ", got " << out.substr(at, 63);
      return next;
    }
    ++next[rank];
  }
  return next;
}

// Peak resident set in KiB (proc(5) VmHWM), -1 when gone.
long long PeakKiB(pid_t pid) {
  const auto status = ReadFile("/proc/" + std::to_string(pid) + "/status");
  if (!status) return -1;
  const size_t at = status->find("VmHWM:");
  return at == std::string::npos ? -1 : std::strtoll(status->c_str() + at + 6, nullptr, 10);
}

TEST_F(StdioTest, OneRankSendsExactBytes) {
  const CommandResult result = Rex({"-n", "1", Program(), "binary", "3000001"});
  ASSERT_TRUE(ExitedWith(result, 0));
  ASSERT_EQ(result.out.size(), 3000001u);
  EXPECT_TRUE(Contains(result.err, "fnv=" + Fnv(result.out)));
}

TEST_F(StdioTest, OneRankSendsExactBytesThroughAPipe) {
  const CommandResult result = Rex({"-n", "1", "--stdout=pipe", Program(), "binary", "3000001"});
  ASSERT_TRUE(ExitedWith(result, 0));
  ASSERT_EQ(result.out.size(), 3000001u);
  EXPECT_TRUE(Contains(result.err, "fnv=" + Fnv(result.out)));
}

TEST_F(StdioTest, StdoutIsATerminalByDefault) {
  const CommandResult result = Rex({"-n", "2", Program(), "tty"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"tty rank=0 in=0 out=1 err=0",
                                                               "tty rank=1 in=0 out=1 err=0"}));
}

TEST_F(StdioTest, StdoutIsAPipeOnRequest) {
  const CommandResult result = Rex({"-n", "1", "--stdout", "pipe", Program(), "tty"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "tty rank=0 in=0 out=0 err=0\n");
}

TEST_F(StdioTest, StdoutAndStderrStayApart) {
  const CommandResult result = Rex({"-n", "2", Program(), "both"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"out rank=0", "out rank=1"}));
  EXPECT_EQ(SortedLines(result.err), (std::vector<std::string>{"err rank=0", "err rank=1"}));
}

TEST_F(StdioTest, LinesOfSeveralRanksAreNeverMixed) {
  const CommandResult result =
      Rex({"-n", "4", "--oversubscribe", Program(), "lines", "20000", "3", "200"});
  ASSERT_TRUE(ExitedWith(result, 0)) << "";
  ExpectWholeLines(result, 4, 20000);
}

TEST_F(StdioTest, LinesThroughPipesAreNeverMixed) {
  const CommandResult result =
      Rex({"-n", "4", "--oversubscribe", "--stdout=pipe", Program(), "lines", "5000", "3", "200"});
  ASSERT_TRUE(ExitedWith(result, 0));
  ExpectWholeLines(result, 4, 5000);
}

TEST_F(StdioTest, AHundredMegabytesFromEachOfTwoRanks) {
  const CommandResult result = Rex({"-n", "2", Program(), "pattern", "100"});
  ASSERT_EQ(result.exit_code, 0) << result;
  EXPECT_EQ(CheckPattern(result.out, 2), (std::vector<long>{1562500, 1562500}));
}

TEST_F(StdioTest, AStalledReaderCostsNoMemory) {
  auto job = StartRex({"-n", "4", "--oversubscribe", Program(), "pattern", "20"});
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  // Not reading is the point here; nothing else is being waited for.
  EXPECT_FALSE(job->WaitEndWithoutReading(seconds(3))) << job->Snapshot();
  const long long limit_kib = IsSanitized() ? 400 << 10 : 48 << 10;
  EXPECT_LT(PeakKiB(agent), limit_kib);
  EXPECT_LT(PeakKiB(job->pid()), limit_kib);
  const CommandResult result = job->Wait();
  ASSERT_EQ(result.exit_code, 0) << result;
  EXPECT_EQ(CheckPattern(result.out, 4), std::vector<long>(4, 312500));
}

TEST_F(StdioTest, AStalledReaderDoesNotDelayTheEndOfAKilledJob) {
  auto job = StartRex({"-n", "2", Program(), "pattern", "50"});
  ASSERT_TRUE(job->WaitForText("R0 0 ")) << job->Snapshot();
  EXPECT_FALSE(job->WaitEndWithoutReading(milliseconds(500)));
  job->Signal(SIGTERM);
  const CommandResult result = job->Wait(seconds(15));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGTERM));
}

TEST_F(StdioTest, TheLastLineOfACrashArrives) {
  const CommandResult result = Rex({"-n", "1", Program(), "segv"});
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGSEGV));
  EXPECT_EQ(result.out, "last line before rank 0 crashes");
}

TEST_F(StdioTest, ALineWithoutAnEndArrives) {
  const CommandResult result = Rex({"-n", "2", Program(), "at", "1", "print", "no newline"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "no newline"));
}

TEST_F(StdioTest, AnUnfinishedLineIsShownWhileItsRankWaits) {
  auto job = StartRex({"-n", "2", Program(), "at", "1", "then", "print", "working...", ",", "sleep",
                       "20000", "else", "sleep", "20000"});
  EXPECT_TRUE(job->WaitForText("working...", seconds(10))) << job->Snapshot();
  job->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(15)), kExitSignalBase + SIGTERM));
}

// Rank 0 has stdin, but that is empty: it prompts nobody, and its line may take its time.
TEST_F(StdioTest, WithoutInputAnUnfinishedLineOfRankZeroWaitsLikeOthers) {
  const CommandResult result = Rex({"-n", "1", "sh", "-c", "printf a; sleep 0.25; echo b", ":",
                                    "-n", "1", "sh", "-c", "sleep 0.1; echo x"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"ab", "x"})) << result;
}

TEST_F(StdioTest, TagsShowWhoseLineItIs) {
  const CommandResult result = Rex({"-n", "2", "--tag-output", Program(), "both"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out),
            (std::vector<std::string>{"[1,0]<stdout>:out rank=0", "[1,1]<stdout>:out rank=1"}));
  EXPECT_EQ(SortedLines(result.err),
            (std::vector<std::string>{"[1,0]<stderr>:err rank=0", "[1,1]<stderr>:err rank=1"}));
}

TEST_F(StdioTest, AReaderThatEndsEndsTheJob) {
  auto job = StartRex({"-n", "2", "yes"});
  ASSERT_TRUE(job->WaitForText("y\n")) << job->Snapshot();
  job->CloseStdout();
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGPIPE));
  EXPECT_EQ(CountOf(result.err, "rexlaunch: nobody reads the job's standard output any more"), 1u)
      << result;
  EXPECT_EQ(CountOf(result.err, "exit code"), 0u) << result;
}

TEST_F(StdioTest, QuietSaysNothingOfAReaderThatEnded) {
  auto job = StartRex({"--quiet", "-n", "2", "yes"});
  ASSERT_TRUE(job->WaitForText("y\n")) << job->Snapshot();
  job->CloseStdout();
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGPIPE));
  EXPECT_EQ(result.err, "");
}

// The job cannot know, and its ranks get the time they would get at any other end.
TEST_F(StdioTest, RanksOfAJobThatNobodyReadsMayCleanUp) {
  const std::string mark = left().work_dir() + "/cleaned";
  auto job = StartRex({"-n", "1", "/bin/sh", "-c",
                       "trap 'echo x > \"$0\"; exit 0' TERM; while :; do echo y; done", mark});
  ASSERT_TRUE(job->WaitForText("y\n")) << job->Snapshot();
  job->CloseStdout();
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGPIPE));
  EXPECT_EQ(ReadWorkFile("cleaned"), "x\n");
}

// How fast the reader goes does not decide the exit code: here the job is over before it is
// noticed.
TEST_F(StdioTest, OutputThatNobodyReadsAfterTheEndCountsToo) {
  auto job = StartRex({"-n", "2", Program(), "both"});
  job->CloseStdout();
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGPIPE));
}

// Rank 1 writes only once rank 0's failure has ended the job.
TEST_F(StdioTest, AFailureOfItsOwnDecidesOverAReaderThatEnded) {
  auto job = StartRex({"-n", "1", "/bin/sh", "-c", "sleep 0.3; exit 7", ":", "-n", "1", "/bin/sh",
                       "-c", "trap 'echo bye; exit 0' TERM; sleep 30 & wait"});
  job->CloseStdout();
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 7));
  EXPECT_TRUE(StderrNames(result, {"nobody reads", "exited with code 7"}));
}

TEST_F(StdioTest, AReaderOfStderrThatEndsEndsTheJobToo) {
  const CommandResult result =
      Run({"/bin/sh", "-c",
           "{ { " + ShellWord(RexlaunchPath()) +
               " -n 2 sh -c 'yes >&2' 2>&1 >/dev/null; echo code=$? >&3; } | head -n 1 >/dev/null; "
               "} 3>&1"},
          {.timeout = seconds(20)});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "code=" + std::to_string(kExitSignalBase + SIGPIPE) + "\n");
}

// What rexlaunch itself has to say is no output of the job.
TEST_F(StdioTest, LinesOfRexlaunchThatNobodyReadsEndNothing) {
  const CommandResult result =
      Run({"/bin/sh", "-c",
           "{ { " + ShellWord(RexlaunchPath()) +
               " --verbose -n 2 echo done 2>&1 >&3; echo code=$? >&3; } | true; } 3>&1"},
          {.timeout = seconds(20)});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "done\ndone\ncode=0\n");
}

TEST_F(StdioTest, ARankThatClosesItsOutputGoesOn) {
  const CommandResult result = Rex({"-n", "2", Program(), "close-stdout", "300"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out), (std::vector<std::string>{"before rank=0", "before rank=1"}));
}

// A child that keeps a rank's stdout must not keep the job.
TEST_F(StdioTest, AnOrphanHoldingStdoutDoesNotHoldTheJob) {
  const CommandResult result = Rex({"-n", "1", "/bin/sh", "-c", "sleep 60 & echo done"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "done\n");
  EXPECT_LT(result.wall, seconds(20));
}

TEST_F(StdioTest, OutputToAFullDeviceIsAnErrorThatIsNamed) {
  const CommandResult result =
      Run({"/bin/sh", "-c",
           ShellWord(RexlaunchPath()) + " -n 2 " + ShellWord(Program()) + " both > /dev/full"});
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"cannot write standard output", "no space left"}));
}

}  // namespace
}  // namespace rex::testing
