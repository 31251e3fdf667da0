// How jobs that spawn end: exit codes, who outlives whom, aborts, and that nothing stays whatever
// is killed. Codes are those of mpirun 4.1.4 (docs/design/dynamic.md).
#include <signal.h>

#include <set>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class SpawnEndsTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("mpi_spawn"); }
  CommandResult Family(const std::string& parent, const std::string& child) {
    return Rex({"-n", "1", Program(), "-n", "2", "--parent", parent, "--child", child});
  }
  std::unique_ptr<RunningCommand> StartFamily(std::vector<std::string> options,
                                              const std::string& steps) {
    options.insert(options.end(), {Program(), "-n", "2", "--parent", steps, "--child", steps});
    return StartRex(options);
  }
};

TEST_F(SpawnEndsTest, TheCodeOfAChild) {
  const CommandResult result =
      Family("merge,disconnect,sleep:60000", "merge,disconnect,only:1,end:3");
  EXPECT_TRUE(ExitedWith(result, 3));
  EXPECT_TRUE(StderrNames(result, {"rank 1 of spawned job 2", "code 3"}));
  EXPECT_LT(result.wall, seconds(30));
}

TEST_F(SpawnEndsTest, TheSignalOfAChild) {
  const CommandResult result =
      Family("merge,disconnect,sleep:60000", "merge,disconnect,only:1,signal:9");
  EXPECT_TRUE(ExitedWith(result, kExitSignalBase + SIGKILL));
  EXPECT_TRUE(StderrNames(result, {"rank 1 of spawned job 2", "signal 9"}));
}

TEST_F(SpawnEndsTest, AnAbortOfAChild) {
  const CommandResult result =
      Family("merge,disconnect,sleep:60000", "merge,disconnect,only:1,abort:9");
  EXPECT_TRUE(ExitedWith(result, 9));
  EXPECT_TRUE(StderrNames(result, {"rank 1 of spawned job 2", "aborted"}));
}

TEST_F(SpawnEndsTest, AnAbortOfTheParent) {
  for (const char* meeting : {"merge,", "merge,disconnect,"}) {
    const std::string steps = meeting;
    const CommandResult result = Family(steps + "abort:8", steps + "sleep:60000");
    EXPECT_TRUE(ExitedWith(result, 8)) << meeting;
    EXPECT_LT(result.wall, seconds(30));
  }
}

TEST_F(SpawnEndsTest, TheCodeOfTheParent) {
  const CommandResult result =
      Family("merge,disconnect,end:4", "merge,disconnect,sleep:60000,print:outlived");
  EXPECT_TRUE(ExitedWith(result, 4));
  EXPECT_EQ(CountOf(result.out, "outlived"), 0U);
}

TEST_F(SpawnEndsTest, ChildrenOutliveTheirParent) {
  const CommandResult result =
      Family("merge,disconnect,end:0", "merge,disconnect,sleep:700,print:outlived");
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "outlived"), 2U) << result;
}

TEST_F(SpawnEndsTest, TheParentOutlivesItsChildren) {
  const CommandResult result =
      Family("merge,disconnect,sleep:700,print:outlived", "merge,disconnect");
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "outlived"), 1U) << result;
}

TEST_F(SpawnEndsTest, TheTimeLimitEndsChildrenWhoseParentHasGone) {
  const CommandResult result = Rex({"--timeout", "2", "-n", "1", Program(), "-n", "1", "--parent",
                                    "merge,disconnect", "--child", "merge,disconnect,sleep:60000"});
  EXPECT_TRUE(ExitedWith(result, kExitTimeout));
}

TEST_F(SpawnEndsTest, AnInterruptEndsAllWithOneGrace) {
  auto job = StartFamily({"-n", "1"}, "merge,disconnect,print:here,sleep:60000");
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "here") == 3; }));
  job->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(job->Wait(), kExitSignalBase + SIGINT));
}

// ---- whatever is killed, nothing stays; the fixture proves it

struct Victim {
  const char* name;
  int code;  // of rexlaunch; -1: it is rexlaunch that is killed
};
void PrintTo(const Victim& v, std::ostream* os) { *os << v.name; }

class SpawnGoneTest : public SpawnEndsTest, public ::testing::WithParamInterface<Victim> {
 protected:
  // One that the first rank spawned, whatever it does just then; another one, should it have been
  // at its own end already: then nobody is hurt.
  void KillChild(RunningCommand& job) {
    const pid_t agent = FindDaemon(job, "rexd-agent");
    const pid_t parent = FindRank(job, "mpi_spawn");
    size_t killed = 0;
    const auto kill_one = [&] {
      for (const pid_t pid : DescendantsNamed(agent, "mpi_spawn")) {
        if (pid != parent && ::kill(pid, SIGKILL) == 0) {
          ++killed;
          break;
        }
      }
      return job.ended();
    };
    EXPECT_TRUE(job.WaitUntil(kill_one, seconds(30)));
    EXPECT_GE(killed, 1U);
  }
  void Kill(RunningCommand& job) {
    const std::string name = GetParam().name;
    if (name == "rexlaunch") return job.Signal(SIGKILL);
    if (name == "child") return KillChild(job);
    const pid_t pid = name == "rank" ? FindRank(job, "mpi_spawn") : FindDaemon(job, name);
    ASSERT_GT(pid, 0) << name;
    ::kill(pid, SIGKILL);
  }
};

TEST_P(SpawnGoneTest, WhileBothRun) {
  auto job = StartFamily({"-n", "1"}, "merge,print:here,sleep:60000");
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "here") == 3; }));
  Kill(*job);
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_FALSE(result.timed_out) << result;
  if (GetParam().code >= 0) {
    EXPECT_TRUE(ExitedWith(result, GetParam().code));
  }
}

// Somewhere between the request and the answer: a parent that does nothing but spawn.
TEST_P(SpawnGoneTest, InTheMidstOfSpawns) {
  auto job = StartRex({"-n", "1", Program(), "-n", "2", "-r", "1000"});
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "child") >= 2; }));
  Kill(*job);
  const CommandResult result = job->Wait(seconds(30));
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_NE(result.exit_code, 0) << result;
}

INSTANTIATE_TEST_SUITE_P(Victims, SpawnGoneTest,
                         ::testing::Values(Victim{"rank", 137}, Victim{"child", 137},
                                           Victim{"rexd-agent", 123}, Victim{"rexd-pmix", 123},
                                           Victim{"rexd", 123}, Victim{"rexlaunch", -1}),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::erase(name, '-');
                           return name;
                         });

// Idle it is replaced for the next spawn; the batch that was with it is lost, and all with it.
TEST_F(SpawnEndsTest, AKilledSpawnerIsReplacedOrEndsAll) {
  auto job = StartRex({"-n", "1", "--template", "none", Program(), "-n", "1", "-r", "30"});
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "child") >= 1; }));
  const pid_t spawner = FindDaemon(*job, "rexd-spawner");
  ASSERT_GT(spawner, 0);
  ::kill(spawner, SIGKILL);
  const CommandResult result = job->Wait();
  EXPECT_FALSE(result.timed_out) << result;
  if (result.exit_code == 0) {
    EXPECT_EQ(CountOf(result.out, "child size=1"), 30U) << result;
  } else {
    EXPECT_TRUE(ExitedWith(result, kExitInternal));
    EXPECT_TRUE(StderrNames(result, {"rexd-spawner"}));
  }
}

// What was with it goes to the spawner, what comes later to a new one. A rank that is not yet
// itself looks like its template: killed at its gate it is a failed rank.
TEST_F(SpawnEndsTest, AKilledTemplateCostsNothing) {
  auto job = StartRex({"-n", "1", Program(), "-n", "2", "-r", "40"});
  const pid_t agent = FindDaemon(*job, "rexd-agent");
  std::set<pid_t> seen;
  size_t killed = 0;
  // Those that a look before has seen, too: births are short.
  const auto kill_some = [&] {
    std::set<pid_t> now;
    for (const auto& process : FindDescendants(agent)) {
      if (!IsTemplate(process.pid)) continue;
      now.insert(process.pid);
      if (seen.contains(process.pid) && ::kill(process.pid, SIGKILL) == 0) ++killed;
    }
    seen = now;
    return job->ended();
  };
  EXPECT_TRUE(job->WaitUntil(kill_some, seconds(60)));
  EXPECT_GE(killed, 1U);
  const CommandResult result = job->Wait(seconds(10));
  EXPECT_FALSE(result.timed_out) << result;
  if (result.exit_code == 0) {
    EXPECT_EQ(CountOf(result.out, "child size=2"), 40U) << result;
  } else {
    EXPECT_TRUE(ExitedWith(result, 128 + SIGKILL));
  }
}

TEST_F(SpawnEndsTest, ALostNodeEndsAll) {
  auto job = StartRex({"--virtual-nodes", "2:1", "-n", "1", Program(), "-n", "1", "--parent",
                       "merge,print:here,sleep:60000", "--child", "merge,print:here,sleep:60000"});
  ASSERT_TRUE(job->WaitUntil([&] { return CountOf(job->out(), "here") == 2; }));
  const pid_t head = FindDaemon(*job, "rexd-agent");
  std::vector<pid_t> keepers = DescendantsNamed(head, "rexd");
  ASSERT_FALSE(keepers.empty());
  const std::vector<pid_t> agents = DescendantsNamed(keepers.front(), "rexd-agent");
  ASSERT_FALSE(agents.empty());
  ::kill(agents.front(), SIGKILL);
  EXPECT_TRUE(ExitedWith(job->Wait(), 119));
}

}  // namespace
}  // namespace rex::testing
