// rexlaunch inside faked allocations of real nodes: `hostname` says where ranks are.
#include "tests/support/cluster.h"

namespace rex::testing {
namespace {

class AllocatedCluster : public ClusterTest {
 protected:
  void ExpectHostnames(const std::map<std::string, std::string>& env,
                       const std::vector<std::string>& words,
                       const std::vector<std::string>& names) {
    CommandOptions options;
    options.set_env = env;
    std::vector<std::string> args = {"--ssh", "ssh -F " + cluster().SshConfig()};
    args.insert(args.end(), words.begin(), words.end());
    args.emplace_back("hostname");
    const CommandResult result = RexOnHead(args, std::move(options));
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(SortedLines(result.out), names) << result;
  }
};

TEST_F(AllocatedCluster, RanksRunOnItsNodes) {
  ASSERT_TRUE(StartCluster({.nodes = 3}));
  ExpectHostnames({{"SLURM_JOB_ID", "7"},
                   {"SLURM_JOB_NODELIST", "n[1-3]"},
                   {"SLURM_TASKS_PER_NODE", "1(x2),2"}},
                  {}, {"n1", "n2", "n3", "n3"});
  ExpectHostnames({{"PBS_JOBID", "5"}, {"PBS_NODEFILE", WriteFile("nodes", "n2\nn3\nn2\n")}}, {},
                  {"n2", "n2", "n3"});
  ExpectHostnames({{"LSB_JOBID", "9"}, {"LSB_MCPU_HOSTS", "n3 1 n1 1"}}, {}, {"n1", "n3"});
  ExpectHostnames(
      {{"JOB_ID", "5"},
       {"PE_HOSTFILE", WriteFile("pe", "n1 1 all.q@n1 UNDEFINED\nn2 1 all.q@n2 UNDEFINED\n")}},
      {"--host", "n2"}, {"n2"});
}

}  // namespace
}  // namespace rex::testing
