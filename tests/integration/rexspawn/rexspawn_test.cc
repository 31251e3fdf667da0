// librexspawn: copies of programs created, waited for, signalled; whose ends are whose.
#include <signal.h>
#include <unistd.h>

#include "tests/integration/dvm/dvm_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

class RexspawnTest : public DvmTest {
 protected:
  std::vector<std::string> Words(const std::vector<std::string>& script,
                                 std::vector<std::string> options = {}) {
    options.insert(options.end(), {"--oversubscribe", "-n", "1", ProgramPath("rexspawn_probe")});
    options.insert(options.end(), script.begin(), script.end());
    return options;
  }
  CommandResult Probe(const std::vector<std::string>& script,
                      const std::vector<std::string>& options = {}) {
    return Rex(Words(script, options));
  }
};

TEST_F(RexspawnTest, CopiesEndWithCodesOfTheirOwn) {
  const CommandResult result = Probe({"start:3:exit $PMIX_RANK", "wait-all", "none", "running"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out,
            "started 1\nend job=1 copy=0 code=0 signal=0\nend job=1 copy=1 code=1 signal=0\n"
            "end job=1 copy=2 code=2 signal=0\nnone -1: nothing is left to wait for\nrunning 0\n");
}

TEST_F(RexspawnTest, AFailedCopyEndsNobodyElse) {
  const CommandResult result = Probe({"start:1:exit 7", "start:1:sleep 0.7; echo there", "wait",
                                      "nothing", "running", "wait", "say:done"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "end job=1 copy=0 code=7 signal=0\nnothing 0\nrunning 1\n"));
  EXPECT_TRUE(Contains(result.out, "there\n"));
  EXPECT_TRUE(Contains(result.out, "end job=2 copy=0 code=0 signal=0\ndone\n"));
}

TEST_F(RexspawnTest, SignalsReachOneOrAll) {
  const CommandResult result =
      Probe({"start:3:sleep 600", "signal:1:1:9", "wait", "running", "signal:1:-1:15", "wait-all",
             "signal:1:-1:9", "signal:5:0:9", "signal:1:0:99"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out,
                       "end job=1 copy=1 code=0 signal=9\nrunning 2\n"
                       "end job=1 copy=0 code=0 signal=15\n"
                       "end job=1 copy=2 code=0 signal=15\n"));
  EXPECT_TRUE(Contains(result.out, "signal: all copies of the job have ended\n"));
  EXPECT_TRUE(Contains(result.out, "signal: there is no job 5\nsignal: 99 is no signal\n"));
}

TEST_F(RexspawnTest, WhatIsGivenArrives) {
  const CommandResult result = Probe({"start:1:echo $GIVEN; pwd; cat", "wait"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "yes\n"));
  EXPECT_TRUE(Contains(result.out, left().work_dir() + "\n"));
}

TEST_F(RexspawnTest, BadRequestsAreExplainedAndCostNothing) {
  const CommandResult result =
      Probe({"program:/no/such/program", "start:0:true", "on:nowhere", "start:1:true", "none"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(
      Contains(result.out, "start: cannot start '/no/such/program': the program was not found\n"));
  EXPECT_TRUE(Contains(result.out, "start: copies is 0"));
  EXPECT_TRUE(Contains(result.out, "start: cannot start 'sh': no such node"));
  EXPECT_TRUE(Contains(result.out, "none -1"));
}

TEST_F(RexspawnTest, CopiesEndWithTheirParent) {
  for (const char* end : {"exit:0", "quit"}) {
    const CommandResult result = Probe({"start:2:sleep 600", end});
    EXPECT_LT(result.wall, seconds(30)) << end;
    EXPECT_EQ(result.exit_code, std::string(end) == "quit" ? 1 : 0) << result;
  }
}

TEST_F(RexspawnTest, DetachedOnesDoNot) {
  const CommandResult result = Probe({"detached:1:sleep 0.7; echo outlived", "exit:0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "outlived"));
}

TEST_F(RexspawnTest, AKilledParentTakesItsCopiesAlong) {
  auto job = StartRex(Words({"start:2:echo copy; sleep 600", "wait"}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "copy\n") == 2; }));
  const pid_t parent = FindRank(*job, "rexspawn_probe");
  ASSERT_GT(parent, 0);
  ::kill(parent, SIGKILL);
  EXPECT_TRUE(ExitedWith(job->Wait(), kExitSignalBase + SIGKILL));
}

TEST_F(RexspawnTest, CopiesAreShownBelowTheirParent) {
  StartDvm();
  auto job = StartRex(Words({"start:2:echo copy; sleep 600", "wait"}));
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "copy\n") == 2; }));
  ASSERT_TRUE(AwaitJobs(2));
  const json below = Ask({"ps", "--tree"})["jobs"][0]["rank_list"][0]["jobs"];
  ASSERT_EQ(below.size(), 1U);
  EXPECT_EQ(below[0]["rank_list"].size(), 2U);
  // To the parent, killed copies are an end like others.
  EXPECT_TRUE(ExitedWith(Ctl({"kill", "2", "KILL"}), 0));
  EXPECT_TRUE(ExitedWith(job->Wait(), 0));
  EXPECT_TRUE(Contains(job->out(), "signal=9"));
}

TEST_F(RexspawnTest, OverNodes) {
  const CommandResult result =
      Probe({"on:node2,node3", "start:4:exit 3", "wait-all"}, {"--virtual-nodes", "3:2"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "code=3 signal=0"), 4U) << result;
}

TEST_F(RexspawnTest, ManyOneAfterTheOther) {
  std::vector<std::string> script;
  for (int i = 0; i < 60; ++i) {
    script.insert(script.end(), {"start:1:exit 5", "wait"});
  }
  const CommandResult result = Probe(script);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "code=5 signal=0"), 60U);
}

TEST_F(RexspawnTest, TheExampleRunsCommands) {
  const CommandResult result = Rex(
      {"--oversubscribe", "-n", "1", ExamplePath("copies"), "7", "sh", "-c", "test $NUMBER != 4"});
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(Contains(result.out, "ended with 1, signal 0\n7 copies, 1 failed\n"));
}

}  // namespace
}  // namespace rex::testing
