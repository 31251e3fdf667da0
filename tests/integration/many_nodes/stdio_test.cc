// Standard streams over nodes: exact bytes, whole lines, slow readers, stdin wherever its rank is.
#include <signal.h>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class NodesStdioTest : public NodesTest {
 protected:
  static std::string Input(size_t size) {
    std::string bytes(size, '\0');
    uint32_t state = 12345;
    for (char& byte : bytes) {
      state = state * 1664525U + 1013904223U;
      byte = static_cast<char>(state >> 24);
    }
    return bytes;
  }
  static CommandOptions With(const std::string& bytes) {
    CommandOptions options;
    options.stdin_kind = StdinKind::kBytes;
    options.stdin_bytes = bytes;
    return options;
  }
  static std::string Line(int rank, const std::string& bytes) {
    return "stdin rank=" + std::to_string(rank) + " bytes=" + std::to_string(bytes.size()) +
           " fnv=" + Fnv(bytes);
  }
  // Each line whole, each rank's in their order, none missing, none twice.
  static void ExpectLines(const CommandResult& result, size_t ranks, long count) {
    std::vector<long> next(ranks, 0);
    for (const auto& line : Lines(result.out)) {
      const long long rank = NumberAfter(line, "rank");
      ASSERT_TRUE(rank >= 0 && rank < static_cast<long long>(ranks)) << "mixed: '" << line << "'";
      long& number = next[static_cast<size_t>(rank)];
      ASSERT_EQ(line, "rank=" + std::to_string(rank) + " line=" + std::to_string(number) +
                          " abcdefghijklmnopqrstuvwxyz");
      ++number;
    }
    for (const long number : next) EXPECT_EQ(number, count);
  }
};

TEST_F(NodesStdioTest, TenThousandLinesOfEachRank) {
  const CommandResult result = Rex(On("3", "6", {Program(), "lines", "10000"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  ExpectLines(result, 6, 10000);
}

TEST_F(NodesStdioTest, OneRankOnAnotherNodeSendsExactBytes) {
  const CommandResult result = Rex(On("2", "1", {Program(), "binary", "3000001"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  ASSERT_EQ(result.out.size(), 3000001U);
  EXPECT_TRUE(Contains(result.err, "fnv=" + Fnv(result.out)));
}

// The ranks have long gone when the reader begins: what they wrote waits on their nodes.
TEST_F(NodesStdioTest, ASlowReaderLosesNothing) {
  auto job = StartRex(On("3", "6", {Program(), "lines", "20000"}));
  EXPECT_FALSE(job->WaitEndWithoutReading(seconds(4)));
  const CommandResult result = job->Wait(seconds(60));
  ASSERT_TRUE(ExitedWith(result, 0));
  ExpectLines(result, 6, 20000);
}

// The same for a job that failed: its ranks were told to end, their output was not.
TEST_F(NodesStdioTest, ASlowReaderOfAFailedJobLosesNothing) {
  auto job = StartRex(On("3", "3",
                         {"--grace", "0.2", Program(), "at", "1", "then", "lines", "20000", ",",
                          "exit", "9", "else", "sleep", "60000"}));
  EXPECT_FALSE(job->WaitEndWithoutReading(seconds(4)));
  const CommandResult result = job->Wait(seconds(60));
  EXPECT_TRUE(ExitedWith(result, 9));
  EXPECT_EQ(CountOf(result.out, "rank=1 line="), 20000U);
}

TEST_F(NodesStdioTest, AReaderThatGoesEndsTheJob) {
  auto job = StartRex(On("3", "3", {Program(), "lines", "100000000"}));
  ASSERT_TRUE(job->WaitForText("line=100 ")) << job->Snapshot();
  job->CloseStdout();
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGPIPE));
}

// Output is all that is left, and nobody takes it: after two signals nothing of the job is there
// any more, though rexlaunch still holds what it has.
TEST_F(NodesStdioTest, TwoSignalsEndAJobWhoseOutputIsStuck) {
  auto job = StartRex(On("2", "2", {Program(), "lines", "100000"}));
  EXPECT_FALSE(job->WaitEndWithoutReading(seconds(IsSanitized() ? 10 : 2)));  // it is stuck
  const auto runs = [&] { return !DescendantsNamed(job->pid(), "rexd-agent").empty(); };
  job->Signal(SIGTERM);
  EXPECT_FALSE(job->WaitEndWithoutReading(seconds(1)));
  EXPECT_TRUE(runs()) << "one signal gives nothing up";
  job->Signal(SIGTERM);
  for (int i = 0; i < 100 && runs(); ++i) job->WaitEndWithoutReading(milliseconds(100));
  EXPECT_FALSE(runs());
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGTERM));
  EXPECT_LT(Lines(result.out).size(), 200000U);
}

TEST_F(NodesStdioTest, StdinGoesToARankOnAnotherNode) {
  const std::string input = Input(3'000'000);
  const CommandResult result =
      Rex(On("3", "3", {"--oversubscribe", "--stdin", "2", Program(), "stdin-hash"}), With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err),
            (std::vector<std::string>{Line(0, ""), Line(1, ""), Line(2, input)}));
}

TEST_F(NodesStdioTest, StdinGoesToAllNodes) {
  const std::string input = Input(1'000'000);
  const CommandResult result = Rex(
      On("3", "4", {"--oversubscribe", "--stdin", "all", Program(), "stdin-hash"}), With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err), (std::vector<std::string>{Line(0, input), Line(1, input),
                                                               Line(2, input), Line(3, input)}));
}

// One target that takes nothing more holds nobody up.
TEST_F(NodesStdioTest, ATargetThatClosesItsStdinCostsTheOthersNothing) {
  const std::string input = Input(1'000'000);
  const CommandResult result = Rex(
      On("2", "2", {"--stdin", "all", Program(), "at", "0", "close-stdin", "else", "stdin-hash"}),
      With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, Line(1, input)));
}

TEST_F(NodesStdioTest, AnEmptyStdinEndsAtOnce) {
  const CommandResult result = Rex(On("2", "2", {"--stdin", "1", Program(), "stdin-hash"}));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, Line(1, "")));
}

TEST_F(NodesStdioTest, AClosedStdinIsAnEmptyOne) {
  CommandOptions options;
  options.close_stdin = true;
  const CommandResult result =
      Rex(On("2", "2", {"--stdin", "1", Program(), "stdin-hash"}), options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, Line(1, "")));
}

}  // namespace
}  // namespace rex::testing
