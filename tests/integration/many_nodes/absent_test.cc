// --report-after: who keeps the job waiting, in which phase and for how long.
#include <signal.h>

#include "tests/integration/many_nodes/nodes_test.h"

namespace rex::testing {
namespace {

class AbsentTest : public NodesTest {
 protected:
  // Waits for `text` of the report on `job`, ends it and returns what became of it.
  CommandResult EndAfter(RunningCommand& job, const std::string& text) {
    EXPECT_TRUE(job.WaitForText(text)) << job.Snapshot();
    job.Signal(SIGTERM);
    return job.Wait(seconds(30));
  }
};

TEST_F(AbsentTest, ASilentNodeIsNamedWithWhatIsAwaited) {
  auto job = StartRex(
      {"--ssh", FakeSsh(), "--report-after", "1", "--host", "good1:1,hang1:1", "hostname"});
  const CommandResult result = EndAfter(*job, "after 2 s");
  EXPECT_TRUE(Contains(result.err,
                       "after 2 s: still waiting for 1 of 2 nodes to start: hang1 "
                       "(ssh for "));
}

// The child of an inner node is started by that one, which waits in vain as the head does.
TEST_F(AbsentTest, ANodeBehindAnotherSaysSo) {
  auto job = StartRex({"--ssh", FakeSsh(), "--tree", "two-level", "--report-after", "1", "--host",
                       "good1:1,good2:1,hang3:1,good4:1", "hostname"});
  const CommandResult result = EndAfter(*job, "after 2 s");
  EXPECT_TRUE(Contains(result.err, "1 of 4 nodes to start: hang3 (started by good1"));
}

// Its agent is stopped before it has planned: no rank of the job is born there.
TEST_F(AbsentTest, ANodeWithoutBirthsIsNamed) {
  CommandOptions options;
  options.set_env = {{"REX_LOG", "info"}};
  auto job =
      StartRex({"--ssh", FakeSsh(), "--report-after", "4", "--host", "good1:1,slow1:1", "hostname"},
               options);
  const pid_t agent = FindNodeDaemon(*job, "rexd-agent");
  ASSERT_GT(agent, 0) << job->Snapshot();
  ASSERT_TRUE(job->WaitForText("start node=slow1")) << job->Snapshot();
  ASSERT_TRUE(job->WaitForText("link node=good1")) << job->Snapshot();
  ASSERT_EQ(::kill(agent, SIGSTOP), 0);
  EXPECT_TRUE(job->WaitForText("still waiting for ranks to be born on")) << job->Snapshot();
  EXPECT_TRUE(Contains(job->err(), "2 nodes: good1"));
  ASSERT_EQ(::kill(agent, SIGCONT), 0);
  EXPECT_TRUE(ExitedWith(job->Wait(seconds(30)), 0));
}

struct Absence {
  const char* name;
  const char* script;  // of the rank that never comes to MPI_Init
  const char* state;   // of its process
};

class AbsentRank : public AbsentTest, public ::testing::WithParamInterface<Absence> {};

TEST_P(AbsentRank, IsNamedWithItsState) {
  auto job = StartRex({"--virtual-nodes", "2", "--timeout", "6", "--report-after", "1", "-n", "1",
                       ProgramPath("mpi_hello"), ":", "-n", "1", "sh", "-c", GetParam().script});
  const CommandResult result = job->Wait(seconds(40));
  EXPECT_TRUE(ExitedWith(result, kExitTimeoutInit));
  EXPECT_TRUE(Contains(result.err, "still waiting for 1 of 2 ranks to call MPI_Init: rank 1 (sh"));
  EXPECT_TRUE(
      Contains(result.err, std::string("before MPI_Init, process state ") + GetParam().state));
  EXPECT_TRUE(Contains(result.err, "over while ranks waited in MPI_Init for others"));
  EXPECT_TRUE(Contains(result.err, "1 of 2 ranks had not called MPI_Init: 1"));
}

INSTANTIATE_TEST_SUITE_P(Every, AbsentRank,
                         ::testing::Values(Absence{"Sleeps", "exec sleep 600", "S"},
                                           Absence{"IsStopped", "kill -STOP $$", "T"},
                                           Absence{"Loops", "while :; do :; done", "R"}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace rex::testing
