// SIGKILL of any process of a job over nodes, in any phase, leaves nothing within 5 s on any node.
// The fixture proves that at the end of each case.
#include <signal.h>

#include "launcher/base/descendants.h"
#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

enum class Strike { kAppears, kBeforeInit, kInMpi };

struct Case {
  const char* victim;  // "head PROGRAM", "node PROGRAM", "rexlaunch" or "rank"
  Strike strike;
};

std::string CaseName(const Case& c) {
  std::string name;
  for (const char* at = c.victim; *at != '\0'; ++at) {
    if (*at != '-' && *at != ' ') name += *at;
  }
  return name + (c.strike == Strike::kAppears      ? "AsSoonAsItAppears"
                 : c.strike == Strike::kBeforeInit ? "BeforeMpiInit"
                                                   : "InMpi");
}

void PrintTo(const Case& c, std::ostream* os) { *os << CaseName(c); }

class NodesGoneTest : public NodesTest, public ::testing::WithParamInterface<Case> {
 protected:
  pid_t Find(RunningCommand& job) {
    const std::string victim = GetParam().victim;
    if (victim == "rexlaunch") return job.pid();
    if (victim == "rank") return FindRank(job, "mpi_phases");
    const std::string program = victim.substr(5);
    if (victim.starts_with("node ")) return FindNodeDaemon(job, program);
    return FindDaemon(job, program);
  }
  void TrackAll(const RunningCommand& job) {
    std::vector<pid_t> pids;
    for (const auto& process : FindDescendants(job.pid())) pids.push_back(process.pid);
    left().Track(pids);
  }
  void ExpectEnd(const CommandResult& result);
};

void NodesGoneTest::ExpectEnd(const CommandResult& result) {
  const std::string victim = GetParam().victim;
  EXPECT_FALSE(result.timed_out) << result;
  if (victim == "rexlaunch") {
    EXPECT_EQ(result.signo, SIGKILL) << result;
  } else if (victim == "rank") {
    EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
    EXPECT_TRUE(StderrNames(result, {"rank", "signal 9", "on node node"}));
  } else if (victim.starts_with("head ")) {
    EXPECT_TRUE(ExitedWith(result, kExitInternal));
  } else if (GetParam().strike != Strike::kAppears) {
    // What a node's agent can still tell it tells.
    EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
    EXPECT_TRUE(StderrNames(result, {"node node"}));
  } else {
    // What decides is whether ranks ran already.
    EXPECT_TRUE(result.exit_code == kExitNodeLost || result.exit_code == kExitNodeStart) << result;
    EXPECT_TRUE(StderrNames(result, {"node"}));
  }
}

TEST_P(NodesGoneTest, LeavesNothing) {
  const bool before = GetParam().strike == Strike::kBeforeInit;
  auto job = StartRex(
      On("3", "3", {ProgramPath("mpi_phases"), before ? "120000" : "0", before ? "0" : "120000"}));
  if (GetParam().strike != Strike::kAppears) {
    const std::string ready = before ? "phase=before-init" : "phase=initialized";
    ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), ready) == 3; }, seconds(60)))
        << job->Snapshot();
  }
  const pid_t pid = Find(*job);
  ASSERT_GT(pid, 0) << "no process '" << GetParam().victim << "': " << job->Snapshot();
  TrackAll(*job);
  ASSERT_EQ(::kill(pid, SIGKILL), 0) << job->Snapshot();
  ExpectEnd(job->Wait(seconds(30)));
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* victim : {"rexlaunch", "head rexd", "head rexd-agent", "node rexd",
                             "node rexd-agent", "node rexd-pmix", "rank"}) {
    for (const Strike strike : {Strike::kAppears, Strike::kBeforeInit, Strike::kInMpi}) {
      cases.push_back({victim, strike});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Kill, NodesGoneTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) { return CaseName(param.param); });

class NodesGoneBelow : public NodesTest {};

// An inner node takes those below it along; they clean up by themselves.
TEST_F(NodesGoneBelow, AnInnerNodesEndIsItsSubtrees) {
  auto job = StartRex({"--virtual-nodes", "7", "--tree=two-level", Program(), "sleep", "60000"});
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "sleeping") == 7; }))
      << job->Snapshot();
  const pid_t agent = FindNodeDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  std::vector<pid_t> all;
  for (const auto& process : FindDescendants(job->pid())) all.push_back(process.pid);
  left().Track(all);
  ASSERT_FALSE(DescendantsNamed(agent, "rexd").empty()) << "no node is below this one";
  ASSERT_EQ(::kill(agent, SIGKILL), 0);
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_TRUE(ExitedWith(result, kExitNodeLost));
  EXPECT_TRUE(StderrNames(result, {"node node", "with it: node"}));
}

// rexlaunch is gone while nodes are still being started.
TEST_F(NodesGoneBelow, RexlaunchsEndWhileNodesAreStarted) {
  const std::string ssh = WriteFile("ssh", "#!/bin/sh\nexec sleep 600\n", 0755);
  auto job = StartRex({"--host", "nowhere1,nowhere2", "--ssh", ssh, Program(), "exit", "0"});
  ASSERT_GT(FindDaemon(*job, "sleep"), 0) << job->Snapshot();
  std::vector<pid_t> all;
  for (const auto& process : FindDescendants(job->pid())) all.push_back(process.pid);
  left().Track(all);
  job->Signal(SIGKILL);
  EXPECT_EQ(job->Wait(seconds(20)).signo, SIGKILL);
}

}  // namespace
}  // namespace rex::testing
