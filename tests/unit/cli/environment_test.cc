#include "launcher/cli/environment.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(FindVariable, WholeNameFirstEntry) {
  const Environment env = {"AB=1", "A=2", "A=3", "E="};
  EXPECT_EQ(FindVariable(env, "A"), "2");
  EXPECT_EQ(FindVariable(env, "AB"), "1");
  EXPECT_EQ(FindVariable(env, "E"), "");
  EXPECT_FALSE(FindVariable(env, "B"));
}

TEST(RankEnvironment, KeepsTheUsersOwn) {
  const Environment ours = {"HOME=/root",  "OMPI_MCA_btl=self", "PMIX_MCA_gds=hash",
                            "MPI_HOME=/x", "OMP_NUM_THREADS=2", "SLURM_JOB_ID=5",
                            "REXX=1",      "OMPI_MCA_pmix=x"};
  Environment expected = ours;
  expected.push_back("PWD=/w");
  EXPECT_EQ(RankEnvironment(ours, "/w"), expected);
}

TEST(RankEnvironment, LeavesOutASurroundingJob) {
  const Environment ours = {"PMIX_NAMESPACE=ns",
                            "PMIX_RANK=0",
                            "PMIX_SERVER_URI41=x",
                            "PMIX_MCA_mca_base_component_show_load_errors=1",
                            "PMI_RANK=1",
                            "PMI_FD=5",
                            "PMI2_X=1",
                            "OMPI_COMM_WORLD_RANK=0",
                            "OMPI_COMM_WORLD_LOCAL_SIZE=4",
                            "OMPI_UNIVERSE_SIZE=4",
                            "OMPI_APP_CTX_NUM_PROCS=4",
                            "OMPI_FIRST_RANKS=0",
                            "OMPI_NUM_APP_CTX=1",
                            "OMPI_FILE_LOCATION=/tmp/x",
                            "OMPI_COMMAND=./a",
                            "OMPI_ARGV=b",
                            "OMPI_MCA_ess=^singleton",
                            "OMPI_MCA_ess_base_jobid=1",
                            "OMPI_MCA_orte_hnp_uri=x",
                            "OMPI_MCA_orte_precondition_transports=1-2",
                            "OMPI_MCA_pmix=^s1",
                            "OMPI_MCA_initial_wdir=/",
                            "OMPI_MCA_mpi_oversubscribe=1",
                            "OMPI_MCA_shmem_RUNTIME_QUERY_hint=mmap",
                            "OMPI_MCA_btl=self"};
  EXPECT_EQ(RankEnvironment(ours, "/w"), (Environment{"OMPI_MCA_btl=self", "PWD=/w"}));
}

TEST(RankEnvironment, LeavesOutOurOwnAndWhatIsNoVariable) {
  EXPECT_EQ(RankEnvironment({"REX_LOG=debug", "nonsense", "=x", "PWD=/old", "A="}, "/w"),
            (Environment{"A=", "PWD=/w"}));
}

TEST(BelongsToThisHost, LoginsAndDisplaysDo) {
  for (const char* name :
       {"SSH_CONNECTION", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY",
        "WAYLAND_DISPLAY", "XAUTHORITY", "HOSTNAME", "HOST", "TMUX", "STY", "SHLVL", "_", "OLDPWD",
        "MAIL", "GPG_TTY", "INVOCATION_ID", "NOTIFY_SOCKET", "SYSTEMD_EXEC_PID"}) {
    EXPECT_TRUE(BelongsToThisHost(name)) << name;
  }
  for (const char* name : {"HOME", "USER", "LOGNAME", "PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL",
                           "TERM", "TMPDIR", "SHELL", "HOSTS", "SSHX", "SLURM_JOB_ID", "__"}) {
    EXPECT_FALSE(BelongsToThisHost(name)) << name;
  }
}

const Environment kLogin = {"HOME=/h",          "DISPLAY=:0",     "SSH_TTY=/dev/pts/1",
                            "OMPI_MCA_btl=tcp", "PMIX_MCA_gds=x", "PMIX_RANK=1",
                            "REX_LOG=debug",    "PWD=/old",       "PATH=/bin"};

TEST(RankEnvironment, OnThisMachineKeepsWhatBelongsToIt) {
  const Environment env = RankEnvironment({"DISPLAY=:0", "SSH_TTY=/dev/pts/1"}, "/w");
  EXPECT_EQ(env, (Environment{"DISPLAY=:0", "SSH_TTY=/dev/pts/1", "PWD=/w"}));
}

TEST(RankEnvironmentElsewhere, IsWhatExportSays) {
  EXPECT_EQ(RankEnvironmentElsewhere(kLogin, "/w", ExportMode::kAll),
            (Environment{"HOME=/h", "OMPI_MCA_btl=tcp", "PMIX_MCA_gds=x", "PATH=/bin", "PWD=/w"}));
  EXPECT_EQ(RankEnvironmentElsewhere(kLogin, "/w", ExportMode::kMpirun),
            (Environment{"OMPI_MCA_btl=tcp", "PMIX_MCA_gds=x", "PWD=/w"}));
  EXPECT_EQ(RankEnvironmentElsewhere(kLogin, "/w", ExportMode::kNone), (Environment{"PWD=/w"}));
}

TEST(InsideAnotherJob, KnowsPmixAndOpenMpi) {
  EXPECT_FALSE(InsideAnotherJob({"OMPI_MCA_btl=self"}));
  EXPECT_TRUE(InsideAnotherJob({"PMIX_NAMESPACE=x"}));
  EXPECT_TRUE(InsideAnotherJob({"OMPI_COMM_WORLD_RANK=0"}));
}

TEST(AppEnvironment, TheLastSettingWins) {
  EXPECT_EQ(AppEnvironment({{"A", "1"}, {"B", "2"}, {"A", "3"}}, ""), (Environment{"B=2", "A=3"}));
}

TEST(AppEnvironment, PwdFollowsTheDirectoryUnlessTheUserSetsIt) {
  EXPECT_EQ(AppEnvironment({}, "/d"), (Environment{"PWD=/d"}));
  EXPECT_EQ(AppEnvironment({{"PWD", "/mine"}}, "/d"), (Environment{"PWD=/mine"}));
}

}  // namespace
}  // namespace rex
