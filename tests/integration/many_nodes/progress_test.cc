// How far a job is, on a terminal: one line, gone before anything else is written.
#include <signal.h>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

constexpr char kErase[] = "\x1b[K";

// What a terminal shows: a line that was returned over and erased is gone.
std::vector<std::string> Shown(const std::string& bytes) {
  std::vector<std::string> lines = {""};
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\r' && bytes.compare(i, 2, "\r\n") == 0) continue;
    if (bytes[i] == '\n') {
      lines.emplace_back();
    } else if (bytes[i] == '\r') {
      lines.back().clear();  // each writer of ours erases or overwrites all of it
    } else if (bytes.compare(i, 3, kErase) == 0) {
      i += 2;
    } else {
      lines.back() += bytes[i];
    }
  }
  return lines;
}

class ProgressTest : public NodesTest {
 protected:
  static CommandOptions Terminal(const std::string& term = "xterm") {
    CommandOptions options;
    options.on_pty = true;
    options.set_env = {{"TERM", term}};
    return options;
  }
  std::vector<std::string> Slow(std::vector<std::string> options) {
    options.insert(options.begin(), {"--ssh", FakeSsh(), "--host", "good1:1,slow1:1"});
    return options;
  }
};

TEST_F(ProgressTest, SlowNodesAreCountedAndTheLineGoes) {
  const CommandResult result = Rex(Slow({"echo", "rank"}), Terminal());
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "\rrexlaunch: 1 of 2 nodes up ("));
  EXPECT_TRUE(Contains(result.out, kErase));
  for (const std::string& line : Shown(result.out)) {
    EXPECT_FALSE(Contains(line, "nodes up")) << result;
  }
  EXPECT_EQ(CountOf(result.out, "rank\r\n"), 2U) << result;
}

TEST_F(ProgressTest, RanksOutputIsNeverBehindIt) {
  // One rank waits in MPI_Init; the other writes again and again before it calls it.
  const CommandResult result =
      Rex({"-n", "1", ProgramPath("mpi_hello"), ":", "-n", "1", "sh", "-c",
           "for i in 1 2 3 4 5 6; do sleep 0.5; echo line $i; done; exec " +
               ShellWord(ProgramPath("mpi_hello"))},
          Terminal());
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "1 of 2 ranks in MPI_Init"));
  size_t lines = 0;
  for (const std::string& line : Shown(result.out)) {
    EXPECT_FALSE(Contains(line, "MPI_Init")) << line << result;
    lines += line.starts_with("line ") && line.size() == 6 ? 1 : 0;
  }
  EXPECT_EQ(lines, 6U) << result;
}

// A prompt stands in the line: nothing may be written over it.
TEST_F(ProgressTest, AnOpenLineIsLeftAlone) {
  auto job =
      StartRex({"-n", "1", ProgramPath("mpi_hello"), ":", "-n", "1", "--stdin", "1", "sh", "-c",
                "printf 'name? '; read name; exec " + ShellWord(ProgramPath("mpi_hello"))},
               Terminal());
  ASSERT_TRUE(job->WaitForText("name? ")) << job->Snapshot();
  job->WaitUntil([&] { return job->ended(); }, milliseconds(2500));  // longer than it takes to show
  job->Write("joe\n");
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_TRUE(ExitedWith(result, 0));
  const size_t prompt = result.out.find("name? ");
  const size_t answer = result.out.find("joe");
  ASSERT_NE(answer, std::string::npos) << result;
  EXPECT_FALSE(Contains(result.out.substr(prompt, answer - prompt), "MPI_Init")) << result;
}

TEST_F(ProgressTest, AFailureStandsAlone) {
  const CommandResult result =
      Rex({"--ssh", FakeSsh(), "--start-timeout", "2", "--host", "good1:1,hang1:1", "hostname"},
          Terminal());
  EXPECT_TRUE(ExitedWith(result, kExitNodeStart));
  EXPECT_TRUE(Contains(result.out, "1 of 2 nodes up"));
  bool found = false;
  for (const std::string& line : Shown(result.out)) {
    found = found || line == "rexlaunch: node hang1 could not be started";
    EXPECT_FALSE(Contains(line, "nodes up")) << line;
  }
  EXPECT_TRUE(found) << result;
}

TEST_F(ProgressTest, NothingWhenQuiet) {
  EXPECT_FALSE(Contains(Rex(Slow({"--quiet", "echo", "rank"}), Terminal()).out, "nodes up"));
}

TEST_F(ProgressTest, NothingOnATerminalThatCannot) {
  EXPECT_FALSE(Contains(Rex(Slow({"echo", "rank"}), Terminal("dumb")).out, "nodes up"));
}

TEST_F(ProgressTest, NothingWithoutATerminal) {
  const CommandResult result = Rex(Slow({"echo", "rank"}));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_FALSE(Contains(result.out + result.err, "nodes up")) << result;
}

}  // namespace
}  // namespace rex::testing
