// `rexlaunch` inside the environment that a resource manager gives its jobs, with an ssh that runs
// everything here: which nodes are started, and what is said. A rank sees its node's invented name
// in FAKE_SSH_NODE, which that ssh sets.
#include <filesystem>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

namespace fs = std::filesystem;
using Env = std::map<std::string, std::string>;

class InAllocation : public RexTest {
 protected:
  void SetUp() override {
    fs::create_symlink(BuildDir() + "/tests/tree_fake_ssh", left().work_dir() + "/ssh");
  }

  CommandOptions In(const Env& env) {
    CommandOptions options;
    options.unset_env = {"SLURM_*", "PBS_*", "LSB_*", "FLUX_*", "PALS_*", "JOB_ID", "PE_HOSTFILE"};
    options.set_env = env;
    options.set_env["FAKE_SSH_DIR"] = left().work_dir();
    return options;
  }

  // Each rank's node, sorted. --export=mpirun: ranks have their node's own environment.
  CommandResult Nodes(const std::vector<std::string>& words, const Env& env) {
    std::vector<std::string> args = {"--ssh", left().work_dir() + "/ssh", "--export=mpirun"};
    args.insert(args.end(), words.begin(), words.end());
    args.insert(args.end(), {"sh", "-c", "echo ${FAKE_SSH_NODE:-here}"});
    return Rex(args, In(env));
  }

  void ExpectNodes(const std::vector<std::string>& words, const Env& env,
                   const std::vector<std::string>& nodes) {
    const CommandResult result = Nodes(words, env);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(SortedLines(result.out), nodes) << result;
  }
};

const Env kSlurm = {{"SLURM_JOB_ID", "7"},
                    {"SLURM_JOB_NODELIST", "n[1-2],localhost"},
                    {"SLURM_TASKS_PER_NODE", "2,1(x2)"},
                    {"SLURM_PROCID", "0"}};

TEST_F(InAllocation, OfSlurm) {
  ExpectNodes({}, kSlurm, {"here", "n1", "n1", "n2"});
  ExpectNodes({"-n", "3"}, kSlurm, {"n1", "n1", "n2"});
  ExpectNodes({"--host", "n2,localhost"}, kSlurm, {"here", "n2"});
  ExpectNodes({"--host", "+n0:2", "--nolocal"}, kSlurm, {"n1", "n1"});
  ExpectNodes({"--hostfile", WriteFile("hosts", "^localhost\n^n1\n")}, kSlurm, {"n2"});
}

TEST_F(InAllocation, OfPbs) {
  ExpectNodes({}, {{"PBS_JOBID", "5.server"}, {"PBS_NODEFILE", WriteFile("nodes", "n1\nn2\nn1\n")}},
              {"n1", "n1", "n2"});
}

TEST_F(InAllocation, OfLsf) {
  ExpectNodes({}, {{"LSB_JOBID", "9"}, {"LSB_MCPU_HOSTS", "hostA 1 hostB 2 "}},
              {"hostA", "hostB", "hostB"});
}

TEST_F(InAllocation, OfGridEngine) {
  ExpectNodes({},
              {{"JOB_ID", "5"},
               {"PE_HOSTFILE", WriteFile("pe", "n1 1 all.q@n1 UNDEFINED\nn2 2 all.q@n2 0,0\n")}},
              {"n1", "n2", "n2"});
}

// A `flux` that answers as the real one would.
TEST_F(InAllocation, OfFlux) {
  fs::create_directory(left().work_dir() + "/bin");
  WriteFile("bin/flux",
            "#!/bin/sh\n[ \"$*\" = 'resource R' ] || exit 1\n"
            "echo '{\"execution\":{\"R_lite\":[{\"rank\":\"0-1\",\"children\":{\"core\":\"0-1\"}}],"
            "\"nodelist\":[\"f[01-02]\"]}}'\n",
            0755);
  const std::string path = left().work_dir() + "/bin:/usr/bin:/bin";
  ExpectNodes({}, {{"FLUX_URI", "local:///x"}, {"PATH", path}}, {"f01", "f01", "f02", "f02"});
}

TEST_F(InAllocation, IgnoredWhenTheUserSaysSo) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--allocation", "none"}, {"--mca", "ras", "^slurm"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"-n", "1"});
    ExpectNodes(all, kSlurm, {"here"});
    all.insert(all.end(), {"--host", "n8"});
    ExpectNodes(all, kSlurm, {"n8"});
  }
}

TEST_F(InAllocation, MoreRanksThanSlotsAreRefused) {
  const CommandResult result = Nodes({"-n", "5"}, kSlurm);
  EXPECT_TRUE(ExitedWith(result, kExitNoResources));
  EXPECT_TRUE(StderrNames(result, {"slots", "--oversubscribe"}));
  ExpectNodes({"-n", "5", "--oversubscribe", "--quiet"}, kSlurm, {"here", "n1", "n1", "n1", "n2"});
}

TEST_F(InAllocation, SaysWhereNodesComeFrom) {
  const std::string line = "the nodes come from Slurm job 7 (SLURM_JOB_NODELIST): 3 nodes, 4 slots";
  const CommandResult verbose = Nodes({"--verbose"}, kSlurm);
  EXPECT_TRUE(ExitedWith(verbose, 0));
  EXPECT_TRUE(Contains(verbose.err, line));
  const CommandResult shown = Nodes({"--display", "allocation", "--do-not-launch"}, kSlurm);
  EXPECT_TRUE(ExitedWith(shown, 0));
  EXPECT_TRUE(Contains(shown.err, line));
  EXPECT_FALSE(Contains(Nodes({}, kSlurm).err, "come from"));
}

TEST_F(InAllocation, BadOnesAreNamedBeforeAnythingStarts) {
  Env several = kSlurm;
  several["SLURM_STEP_NUM_TASKS"] = "4";
  const CommandResult tasks = Nodes({}, several);
  EXPECT_TRUE(ExitedWith(tasks, kExitUsage));
  EXPECT_TRUE(StderrNames(tasks, {"srun", "start it once", "--allocation none"}));

  const CommandResult list = Nodes({}, {{"SLURM_JOB_ID", "7"}, {"SLURM_JOB_NODELIST", "n[1-"}});
  EXPECT_TRUE(ExitedWith(list, kExitUsage));
  EXPECT_TRUE(StderrNames(list, {"SLURM_JOB_NODELIST", "'n[1-' has no ']'", "--allocation none"}));

  const CommandResult file = Nodes({}, {{"PBS_JOBID", "5"}, {"PBS_NODEFILE", "/no/such/file"}});
  EXPECT_TRUE(ExitedWith(file, kExitUsage));
  EXPECT_TRUE(StderrNames(file, {"PBS_NODEFILE", "/no/such/file", "first node"}));

  const CommandResult outside = Nodes({"--host", "n9"}, kSlurm);
  EXPECT_TRUE(ExitedWith(outside, kExitUsage));
  EXPECT_TRUE(StderrNames(outside, {"n9", "Slurm job 7", "--allocation none"}));
}

TEST_F(InAllocation, HostfilesThatNobodyNames) {
  ExpectNodes({},
              {{"OMPI_MCA_orte_default_hostfile", WriteFile("k8s", "w0 slots=1\nw1 slots=1\n")}},
              {"w0", "w1"});
  fs::create_directories(left().work_dir() + "/config/rex");
  WriteFile("config/rex/nodes", "p1 slots=1\np2 slots=1\n");
  const Env configured = {{"XDG_CONFIG_HOME", left().work_dir() + "/config"}};
  ExpectNodes({}, configured, {"p1", "p2"});
  ExpectNodes({"--default-hostfile", "none", "-n", "1"}, configured, {"here"});
  ExpectNodes({"--max-vm-size", "1"}, configured, {"p1"});
}

}  // namespace
}  // namespace rex::testing
