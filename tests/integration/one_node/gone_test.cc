// Gone means gone: SIGKILL of any process of a job, in any phase, leaves nothing within 5 s. The
// fixture proves that at the end of each case.
#include <signal.h>

#include <filesystem>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

enum class Strike { kAppears, kBeforeInit, kInMpi, kWithGrandchildren };

struct Case {
  const char* victim;  // a daemon's name, "rexlaunch" or "rank"
  Strike strike;
};

const char* StrikeName(Strike strike) {
  switch (strike) {
    case Strike::kAppears:
      return "AsSoonAsItAppears";
    case Strike::kBeforeInit:
      return "BeforeMpiInit";
    case Strike::kInMpi:
      return "InMpi";
    case Strike::kWithGrandchildren:
      return "WithGrandchildren";
  }
  return "";
}

std::string CaseName(const Case& c) {
  std::string name;
  for (const char* at = c.victim; *at != '\0'; ++at) {
    if (*at != '-') name += *at;
  }
  return name + StrikeName(c.strike);
}

void PrintTo(const Case& c, std::ostream* os) { *os << CaseName(c); }

class GoneTest : public RexTest, public ::testing::WithParamInterface<Case> {
 protected:
  static std::vector<std::string> JobFor(const std::string& victim, Strike strike) {
    std::vector<std::string> job{"-n", "3", "--oversubscribe"};
    // Where a template makes the ranks there is no spawner.
    if (victim == "rexd-spawner") job.emplace_back("--template=none");
    if (strike == Strike::kWithGrandchildren) {
      job.insert(job.end(), {ProgramPath("testprog"), "grandchildren", "120000"});
    } else {
      const bool before = strike == Strike::kBeforeInit;
      job.insert(job.end(),
                 {ProgramPath("mpi_phases"), before ? "120000" : "0", before ? "0" : "120000"});
    }
    return job;
  }
  static std::string ReadyText(Strike strike) {
    switch (strike) {
      case Strike::kAppears:
        return "";
      case Strike::kBeforeInit:
        return "phase=before-init";
      case Strike::kInMpi:
        return "phase=initialized";
      case Strike::kWithGrandchildren:
        return "parent rank=";
    }
    return "";
  }
  // The process to kill; -1 when it did not come, or the job ended before.
  pid_t Find(RunningCommand& job, const std::string& victim) {
    if (victim == "rexlaunch") return job.pid();
    if (victim == "rank") return FindRank(job, GetRankName());
    return FindDaemon(job, victim);
  }
  static std::string GetRankName() {
    return GetParam().strike == Strike::kWithGrandchildren ? "testprog" : "mpi_phases";
  }
  void TrackAll(const RunningCommand& job) {
    std::vector<pid_t> pids;
    for (const auto& process : FindDescendants(job.pid())) pids.push_back(process.pid);
    left().Track(pids);
  }
  void ExpectEnd(const CommandResult& result);
};

// What rexlaunch says of it. A spawner that is killed while nothing is being born costs nothing.
void GoneTest::ExpectEnd(const CommandResult& result) {
  const std::string victim = GetParam().victim;
  EXPECT_FALSE(result.timed_out) << result;
  if (victim == "rexlaunch") {
    EXPECT_EQ(result.signo, SIGKILL) << result;
  } else if (victim == "rank") {
    EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
    EXPECT_TRUE(StderrNames(result, {"rank", "signal 9", "pid"}));
  } else {
    const std::string name = victim == "rexd"         ? "keeper"
                             : victim == "rexd-pmix"  ? "host"
                             : victim == "rexd-agent" ? "agent"
                                                      : "spawner";
    EXPECT_TRUE(ExitedWith(result, kExitInternal));
    EXPECT_TRUE(StderrNames(result, {name}));
  }
}

TEST_P(GoneTest, LeavesNothing) {
  const std::string victim = GetParam().victim;
  const bool early = GetParam().strike == Strike::kAppears;
  auto job = StartRex(JobFor(victim, GetParam().strike));
  if (!early) {
    const std::string ready = ReadyText(GetParam().strike);
    ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), ready) == 3; }, seconds(60)))
        << job->Snapshot();
  }
  const pid_t pid = Find(*job, victim);
  ASSERT_GT(pid, 0) << "no process '" << victim << "': " << job->Snapshot();
  TrackAll(*job);
  ASSERT_EQ(::kill(pid, SIGKILL), 0) << job->Snapshot();
  const bool harmless = victim == "rexd-spawner";
  if (harmless && !job->WaitUntil([&] { return job->ended(); }, seconds(early ? 3 : 1))) {
    job->Signal(SIGTERM);  // the job goes on without it
    EXPECT_TRUE(ExitedWith(job->Wait(seconds(20)), kExitSignalBase + SIGTERM));
    return;
  }
  ExpectEnd(job->Wait(seconds(20)));
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* victim :
       {"rexlaunch", "rexd", "rexd-agent", "rexd-pmix", "rexd-spawner", "rank"}) {
    for (const Strike strike :
         {Strike::kAppears, Strike::kBeforeInit, Strike::kInMpi, Strike::kWithGrandchildren}) {
      cases.push_back({victim, strike});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Kill, GoneTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) { return CaseName(param.param); });

class GoneTogether : public RexTest {};

// Nobody is left to clean up: the next start of the same user does.
TEST_F(GoneTogether, TheNextStartRemovesWhatAllTogetherLeft) {
  auto job = StartRex({"-n", "2", ProgramPath("testprog"), "sleep", "60000"});
  ASSERT_TRUE(job->WaitForText("sleeping rank=")) << job->Snapshot();
  const pid_t keeper = FindDaemon(*job, "rexd");
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  ASSERT_GT(keeper, 0);
  ASSERT_GT(agent, 0);
  ::kill(keeper, SIGSTOP);  // so that it can't act on the agent's death
  ::kill(agent, SIGKILL);
  ::kill(keeper, SIGKILL);
  job->Wait(seconds(20));
  const CommandResult next = Rex({"-n", "1", ProgramPath("testprog"), "exit", "0"});
  EXPECT_TRUE(ExitedWith(next, 0));
}

// No agent was there to clean up: rexlaunch does.
TEST_F(GoneTogether, AKeeperThatEndsBeforeItsAgentRanLeavesNothing) {
  const std::string prefix = left().work_dir() + "/prefix";
  const std::string dir = left().tmp_dir() + "/rex-0123456789abcdef";
  std::filesystem::create_directories(prefix + "/bin");
  std::filesystem::create_directories(prefix + "/libexec/rex");
  std::filesystem::copy(RexlaunchPath(), prefix + "/bin/rexlaunch");
  WriteFile("prefix/libexec/rex/rexd",
            "#!/bin/sh\nmkdir " + dir + " && : > " + dir + "/lock\nkill -9 $$\n", 0755);
  const CommandResult result = Run({prefix + "/bin/rexlaunch", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(result, kExitInternal));
  EXPECT_TRUE(StderrNames(result, {"keeper", "signal 9"}));
  EXPECT_FALSE(std::filesystem::exists(dir));
}

TEST_F(GoneTogether, AStoppedAgentDoesNotSaveItsRanks) {
  auto job = StartRex({"-n", "2", ProgramPath("testprog"), "sleep", "60000"});
  ASSERT_TRUE(job->WaitForText("sleeping rank=")) << job->Snapshot();
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0);
  ::kill(agent, SIGSTOP);
  ::kill(job->pid(), SIGKILL);
  job->Wait(seconds(5));
  // The keeper gives an agent 5 s before it kills everything.
  EXPECT_EQ(left().Check(seconds(10)), std::vector<std::string>{});
}

}  // namespace
}  // namespace rex::testing
