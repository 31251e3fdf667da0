// The wide matrix, and what needs a minute.
#include <signal.h>

#include "tests/cluster/nodes_fixture.h"

namespace rex::testing {
namespace {

class NodesLongTest : public NodesTest {
 protected:
  void ExpectLine(const std::string& hosts, const std::vector<std::string>& program,
                  const std::string& line) {
    std::vector<std::string> args{"--host", hosts};
    args.insert(args.end(), program.begin(), program.end());
    CommandOptions options;
    options.timeout = seconds(120);
    const CommandResult result = RexOnHead(args, options);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, line)) << result;
  }
};

TEST_F(NodesLongTest, ProgramsOnTwoFourAndEightNodesWithOneTwoAndFourRanks) {
  ASSERT_TRUE(StartNodes(8));
  for (const int nodes : {2, 4, 8}) {
    for (const int ranks : {1, 2, 4}) {
      const std::string hosts = Hosts(nodes, ranks);
      const std::string size = "size=" + std::to_string(nodes * ranks);
      SCOPED_TRACE(hosts);
      ExpectLine(hosts, {ProgramPath("mpi_hello")}, size + " node=n" + std::to_string(nodes));
      ExpectLine(hosts, {ProgramPath("mpi_ring")}, "ring " + size);
      ExpectLine(hosts, {ProgramPath("mpi_collectives"), std::to_string(ranks)},
                 size + " failures=0");
      ExpectLine(hosts, {"--mca", "osc", "pt2pt", ProgramPath("mpi_rma")}, size + " wrong=0");
      ExpectLine(hosts, {ProgramPath("mpi_io"), left().work_dir() + "/data"}, size + " wrong=0");
      ExpectLine(hosts, {"/usr/bin/python3", ProgramPath("mpi4py_check.py")}, size + " ok=1");
    }
  }
}

TEST_F(NodesLongTest, AnAgentThatIsStoppedForAMinuteGoesOn) {
  ASSERT_TRUE(StartNodes(2));
  CommandOptions options;
  options.timeout = seconds(150);
  auto job =
      StartReady({"--host", Hosts(2), TestProgram(), "then", "sleep", "62000", ",", "lines", "100"},
                 "sleeping rank=", 2, options);
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGSTOP));
  EXPECT_FALSE(job->WaitUntil([&] { return job->ended(); }, seconds(60))) << job->Snapshot();
  ASSERT_TRUE(SignalOn("n2", "rexd-agent", SIGCONT));
  const CommandResult result = job->Wait(seconds(45));
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "abcdefghijklmnopqrstuvwxyz\n"), 200u);
  EXPECT_TRUE(StderrNames(result, {"node n2", "15 s"}));
}

}  // namespace
}  // namespace rex::testing
