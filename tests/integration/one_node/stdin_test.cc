// Standard input reaches whom it should, whole, at the pace of its reader.
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class StdinTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
  static std::string Input(size_t size) {
    std::string bytes(size, '\0');
    uint32_t state = 12345;
    for (char& byte : bytes) {
      state = state * 1664525u + 1013904223u;
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
  // What `testprog stdin-hash` prints for a rank that got `bytes`.
  static std::string Line(int rank, const std::string& bytes) {
    return "stdin rank=" + std::to_string(rank) + " bytes=" + std::to_string(bytes.size()) +
           " fnv=" + Fnv(bytes);
  }
};

TEST_F(StdinTest, GoesToRankZeroAndNobodyElse) {
  const std::string input = Input(3'000'000);
  const CommandResult result =
      Rex({"-n", "3", "--oversubscribe", Program(), "stdin-hash"}, With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err),
            (std::vector<std::string>{Line(0, input), Line(1, ""), Line(2, "")}));
}

TEST_F(StdinTest, GoesToAll) {
  const std::string input = Input(1'000'000);
  const CommandResult result =
      Rex({"-n", "3", "--oversubscribe", "--stdin", "all", Program(), "stdin-hash"}, With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err),
            (std::vector<std::string>{Line(0, input), Line(1, input), Line(2, input)}));
}

TEST_F(StdinTest, GoesToTheRankThatWasNamed) {
  const std::string input = Input(200'000);
  const CommandResult result =
      Rex({"-n", "3", "--oversubscribe", "--stdin", "2", Program(), "stdin-hash"}, With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err),
            (std::vector<std::string>{Line(0, ""), Line(1, ""), Line(2, input)}));
}

TEST_F(StdinTest, GoesToNobody) {
  const CommandResult result =
      Rex({"-n", "2", "--stdin=none", Program(), "stdin-hash"}, With(Input(500'000)));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err), (std::vector<std::string>{Line(0, ""), Line(1, "")}));
}

TEST_F(StdinTest, AndBackOutAgainByteForByte) {
  const std::string input = Input(5'000'000);
  const CommandResult result = Rex({"-n", "1", Program(), "stdin-cat"}, With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out == input, true) << result.out.size() << " bytes came back";
}

TEST_F(StdinTest, WaitsForASlowReader) {
  const std::string input = Input(8'000'000);
  const CommandResult result = Rex(
      {"-n", "2", "--stdin=all", Program(), "at", "1", "stdin-hash", "700", "else", "stdin-hash"},
      With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err), (std::vector<std::string>{Line(0, input), Line(1, input)}));
}

TEST_F(StdinTest, AFileAsInput) {
  const std::string input = Input(2'000'000);
  CommandOptions options;
  options.stdin_kind = StdinKind::kFile;
  options.stdin_file = WriteFile("input", input);
  const CommandResult result = Rex({"-n", "2", Program(), "stdin-hash"}, options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, Line(0, input)));
}

TEST_F(StdinTest, ItsEndArrives) {
  const CommandResult result = Rex({"-n", "1", Program(), "stdin-hash"}, With(""));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, Line(0, "")));
}

TEST_F(StdinTest, NoneAtAllIsLikeAnEmptyOne) {
  CommandOptions options;
  options.close_stdin = true;
  const CommandResult result = Rex({"-n", "2", Program(), "stdin-hash"}, options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.err), (std::vector<std::string>{Line(0, ""), Line(1, "")}));
}

TEST_F(StdinTest, ARankThatReadsLittleDoesNotHoldTheJob) {
  const CommandResult result =
      Rex({"-n", "2", Program(), "stdin-first", "100"}, With(Input(5'000'000)));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "stdin rank=0 left=0"));
}

TEST_F(StdinTest, ARankThatClosesItDoesNotHoldTheOthers) {
  const std::string input = Input(3'000'000);
  const CommandResult result = Rex({"-n", "2", "--stdin", "all", Program(), "at", "0",
                                    "close-stdin", "500", "else", "stdin-hash"},
                                   With(input));
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "closed rank=0"));
  EXPECT_TRUE(Contains(result.err, Line(1, input)));
}

TEST_F(StdinTest, AnOpenButSilentInputDoesNotHoldTheJob) {
  CommandOptions options;
  options.stdin_kind = StdinKind::kPipe;
  auto job = StartRex({"-n", "2", Program(), "print", "done\\n"}, options);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), 0));
}

TEST_F(StdinTest, APromptIsSeenBeforeTheAnswerIsTyped) {
  CommandOptions options;
  options.stdin_kind = StdinKind::kPipe;
  auto job = StartRex({"-n", "2", Program(), "at", "0", "prompt"}, options);
  ASSERT_TRUE(job->WaitForText("name? ", seconds(20))) << job->Snapshot();
  job->Write("Ada\n");
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "hello Ada"));
}

TEST_F(StdinTest, TypedOnATerminal) {
  CommandOptions options;
  options.on_pty = true;
  auto job = StartRex({"-n", "1", Program(), "prompt"}, options);
  ASSERT_TRUE(job->WaitForText("name? ", seconds(20))) << job->Snapshot();
  job->Write("Grace\n");
  const CommandResult result = job->Wait(seconds(20));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "hello Grace"));
}

// `rexlaunch ... &` in a shell: reading the terminal from the background would stop it.
TEST_F(StdinTest, ABackgroundJobOfATerminalIsNotStopped) {
  CommandOptions options = Prepare();
  options.on_pty = true;
  const std::string line = "set -m; " + ShellWord(RexlaunchPath()) + " -n 2 " +
                           ShellWord(Program()) + " print 'ran\\n' & wait $!; echo code=$?";
  RunningCommand shell({"/bin/bash", "-c", line}, options);
  const CommandResult result = shell.Wait(seconds(30));
  EXPECT_TRUE(Contains(result.out, "ran")) << result;
  EXPECT_TRUE(Contains(result.out, "code=0")) << result;
}

}  // namespace
}  // namespace rex::testing
