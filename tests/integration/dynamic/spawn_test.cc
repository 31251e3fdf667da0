// MPI_Comm_spawn and MPI_Comm_spawn_multiple: from any rank, with every info key, and what a spawn
// that can't be is told.
#include <filesystem>
#include <set>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class SpawnTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("mpi_spawn"); }
  // rexlaunch with `options`, then mpi_spawn with `words`.
  CommandResult Spawn(std::vector<std::string> options, const std::vector<std::string>& words,
                      CommandOptions run = {}) {
    options.push_back(Program());
    options.insert(options.end(), words.begin(), words.end());
    return Rex(options, std::move(run));
  }
  void ExpectRefused(const std::vector<std::string>& words, const std::string& why) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"-n", "2"});
    const CommandResult result = Spawn({"-n", "1"}, all);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.out, "spawn failed: class MPI_ERR_SPAWN")) << result;
    EXPECT_TRUE(StderrNames(result, {"cannot spawn", why}));
  }
};

TEST_F(SpawnTest, ParentsAndChildrenMeet) {
  const CommandResult result = Spawn({"-n", "1"}, {"-n", "3"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent size=1 remote=3 merged=4 sum=4"));
  EXPECT_TRUE(Contains(result.out, "child size=3 remote=1 merged=4 sum=4"));
  EXPECT_EQ(result.err.find("warning"), std::string::npos) << result;
}

TEST_F(SpawnTest, AnyRankMayBeTheRoot) {
  const CommandResult result = Spawn({"-n", "2"}, {"-n", "2", "-R", "1"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent size=2 remote=2 merged=4 sum=4"));
}

TEST_F(SpawnTest, RanksSpawnAtOnceByThemselves) {
  const CommandResult result = Spawn({"-n", "4", "--oversubscribe"}, {"-s", "-n", "2"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=2 remote=1 merged=3 sum=3"), 4U) << result;
}

TEST_F(SpawnTest, SeveralProgramsAreOneJob) {
  const CommandResult result =
      Spawn({"-n", "1"}, {"-n", "1", "-m", Program() + ":2", "--child", "merge,where,disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=3 remote=1 merged=4 sum=4"));
  EXPECT_TRUE(Contains(result.out, "rank 2 of 3"));
}

TEST_F(SpawnTest, ChildrenSpawnChildren) {
  const CommandResult result =
      Spawn({"-n", "1"}, {"-n", "2", "--child", "merge,spawn:2,disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=2 remote=2 merged=4 sum=4"));
}

TEST_F(SpawnTest, OutputIsTaggedWithTheJobsNumber) {
  const CommandResult result = Spawn({"-n", "1", "--tag-output"}, {"-n", "1", "-r", "2"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "[1,0]<stdout>:parent"));
  EXPECT_TRUE(Contains(result.out, "[2,0]<stdout>:child"));
  EXPECT_TRUE(Contains(result.out, "[3,0]<stdout>:child"));
}

TEST_F(SpawnTest, OutputFilesOfJobsAreApart) {
  const std::string dir = left().work_dir() + "/out";
  const CommandResult result = Spawn({"-n", "1", "--output-filename", dir}, {"-n", "1"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(ReadWorkFile("out/1/rank.0/stdout"), "parent size=1"));
  EXPECT_TRUE(Contains(ReadWorkFile("out/2/rank.0/stdout"), "child size=1"));
}

TEST_F(SpawnTest, TheTimelineShowsSpawnedJobs) {
  const CommandResult result = Spawn({"-n", "1", "--timeline", "-"}, {"-n", "1", "-r", "2"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"spawn", "job 2", "job 3", "asked for by rank 0"}));
}

// ---- infos

TEST_F(SpawnTest, DirectoryAndEnvironment) {
  const CommandResult result =
      Spawn({"-n", "1", "-x", "GIVEN=above"},
            {"-n", "1", "-i", "wdir=/usr", "-i", "env=ONE=1\nTWO=2", "-i",
             "ompi_param=OMPI_MCA_made_up=3", "--child",
             "merge,cwd,env:ONE,env:TWO,env:GIVEN,env:OMPI_MCA_made_up,disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  for (const char* line : {"rank 0 in /usr\n", "has ONE=1\n", "has TWO=2\n", "has GIVEN=above\n",
                           "has OMPI_MCA_made_up=3\n"}) {
    EXPECT_TRUE(Contains(result.out, line));
  }
}

// What rex had given the parent for itself is not handed on: each job has its own.
TEST_F(SpawnTest, ChildrenHaveTheirOwnDirectoriesAndKeys) {
  const std::string show =
      "env:OMPI_MCA_btl_vader_backing_directory,"
      "env:OMPI_MCA_orte_precondition_transports";
  const CommandResult result =
      Spawn({"-n", "1"}, {"-n", "1", "--parent", "merge," + show + ",disconnect", "--child",
                          "merge," + show + ",disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  const auto lines = SortedLines(result.out);
  EXPECT_EQ(CountOf(result.out, "backing_directory=/"), 2U) << result;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].find(" has ") != std::string::npos) {
      EXPECT_NE(lines[i], lines[i - 1]);
    }
  }
}

TEST_F(SpawnTest, StdinGoesWhereItIsWanted) {
  CommandOptions run;
  run.stdin_kind = StdinKind::kBytes;
  run.stdin_bytes = "a line\n";
  const CommandResult result =
      Spawn({"-n", "1", "--stdin", "none"},
            {"-n", "2", "-i", "ompi_stdin_target=1", "--child", "merge,stdin,disconnect"}, run);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "rank 1 read a line"));
  EXPECT_TRUE(Contains(result.out, "rank 0 read (end)"));
}

TEST_F(SpawnTest, KeysThatAreHonoured) {
  for (const char* info :
       {"map_by=slot", "map_by=node", "map_by=socket:PE=1", "rank_by=slot", "rank_by=core",
        "bind_to=none", "bind_to=numa", "bind_to=core:overload-allowed", "ppr=2:socket",
        "npernode=2", "pernode=true", "ppr=2:node", "mapper=round_robin", "host=localhost",
        "add-host=localhost", "ompi_preload_binary=true", "ompi_preload_files=/etc/hostname",
        "personality=ompi"}) {
    const bool one = std::string(info).starts_with("pernode");
    const CommandResult result = Spawn({"-n", "1"}, {"-n", one ? "1" : "2", "-i", info});
    EXPECT_TRUE(ExitedWith(result, 0)) << info;
    EXPECT_TRUE(Contains(result.out, "child size=")) << info;
  }
}

TEST_F(SpawnTest, HostfilesAreRead) {
  const std::string file = WriteFile("hosts", "localhost slots=4\n");
  for (const char* key : {"hostfile=", "add-hostfile="}) {
    const CommandResult result = Spawn({"-n", "1"}, {"-n", "2", "-i", key + file});
    EXPECT_TRUE(ExitedWith(result, 0)) << key;
    EXPECT_TRUE(Contains(result.out, "child size=2")) << key;
  }
}

TEST_F(SpawnTest, TheMapIsShownWhenItIsAskedFor) {
  const CommandResult result = Spawn({"-n", "1"}, {"-n", "2", "-i", "display_map=true"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"JOB MAP"}));
}

TEST_F(SpawnTest, ProgramsWithoutMpi) {
  const CommandResult result =
      Spawn({"-n", "1"}, {"-n", "2", "-i", "ompi_non_mpi=true", "-p", ProgramPath("testprog"),
                          "--parent", "print:on", "--args", "print", "plain\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "plain"), 2U) << result;
  EXPECT_TRUE(Contains(result.out, "rank 0 says on"));
}

// libpmix 4.2.2 can be made to forget that a connection is there; docs/design/dynamic.md.
TEST_F(SpawnTest, ARankConnectsAfterAnothersEndWasOverlooked) {
  const std::string directory = std::filesystem::path(WriteFile("here", "")).parent_path().string();
  const CommandResult result =
      Rex({"-n", "1", "--oversubscribe", ProgramPath("pmix_reuse"), directory});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "both came")) << result;
}

// ---- refusals: the parent hears of it and goes on

TEST_F(SpawnTest, WhatCannotBeIsAnErrorAndEndsNobody) {
  ExpectRefused({"-p", "/no/such/program"}, "No such file");
  ExpectRefused({"-p", WriteFile("plain", "text", 0644)}, "is not executable");
  ExpectRefused({"-i", "wdir=/no/such/directory"}, "/no/such/directory");
  ExpectRefused({"-i", "host=no-such-host"}, "no-such-host");
  ExpectRefused({"-i", "add-host=no-such-host"}, "--host");
  ExpectRefused({"-i", "hostfile=/no/such/file"}, "/no/such/file");
  ExpectRefused({"-i", "map_by=moon"}, "moon");
  ExpectRefused({"-i", "rank_by=moon"}, "rank_by");
  ExpectRefused({"-i", "bind_to=moon"}, "moon");
  ExpectRefused({"-i", "ppr=1:moon"}, "1:moon");
  ExpectRefused({"-i", "npernode=none"}, "none");
  ExpectRefused({"-i", "pernode=true"}, "-N 1");
  ExpectRefused({"-i", "mapper=rank_file"}, "rank_file");
  ExpectRefused({"-i", "personality=slurm"}, "slurm");
  ExpectRefused({"-i", "ompi_stdin_target=7"}, "rank 7");
  ExpectRefused({"-i", "ompi_prefix=relative"}, "absolute");
}

TEST_F(SpawnTest, WithoutSlotsItIsRefusedAndLaterTried) {
  const CommandResult result = Spawn({"--host", "localhost:3", "-n", "1"}, {"-n", "3", "-r", "2"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "MPI_ERR_SPAWN"), 2U) << result;
  EXPECT_TRUE(StderrNames(result, {"not enough slots", "--oversubscribe"}));
  // Slots are free again when the children of the round before have ended.
  const CommandResult fits =
      Spawn({"--host", "localhost:3", "-n", "1"},
            {"-n", "2", "-r", "2", "--parent", "merge,disconnect,sleep:1500"});
  EXPECT_TRUE(ExitedWith(fits, 0));
  EXPECT_EQ(CountOf(fits.out, "child size=2"), 2U) << fits;
}

// ---- templates

TEST_F(SpawnTest, TheSecondSpawnFindsTheTemplateOfTheFirst) {
  const CommandResult result = Spawn({"-n", "1", "--verbose"}, {"-n", "1", "-r", "3"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.err, "born by template"), 4U) << result;
}

// Ranks of one template have the same addresses, exec'ed ones do not.
TEST_F(SpawnTest, ChildrenOfLaterSpawnsAreBornOfTheSameTemplate) {
  const auto addresses = [&](const char* birth) {
    const CommandResult result =
        Spawn({"-n", "1", "--template", birth}, {"-p", ProgramPath("address"), "-n", "1", "-r", "4",
                                                 "-i", "ompi_non_mpi=true", "--parent", "sleep:1"});
    std::set<std::string> different;
    for (const std::string& line : SortedLines(result.out)) {
      if (line.starts_with("address=")) different.insert(line);
    }
    return different.size();
  };
  if (addresses("none") < 4) GTEST_SKIP() << "addresses are not random here";
  EXPECT_EQ(addresses("auto"), 1U);
}

TEST_F(SpawnTest, AProgramThatChangedIsLoadedAnew) {
  const std::string copy = left().work_dir() + "/copy";
  ASSERT_TRUE(ExitedWith(Run({"cp", Program(), copy}), 0));
  const CommandResult result = Rex({"-n", "1", "--verbose", Program(), "-n", "1", "-r", "2", "-p",
                                    copy, "--parent", "merge,disconnect,touch:" + copy});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "child size=1"), 2U) << result;
}

// ---- several nodes

TEST_F(SpawnTest, OverNodes) {
  const CommandResult result =
      Spawn({"--virtual-nodes", "3:2", "-n", "2", "--map-by", "node"}, {"-n", "4", "-R", "1"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent size=2 remote=4 merged=6 sum=6"));
  EXPECT_TRUE(Contains(result.out, "child size=4 remote=2 merged=6 sum=6"));
}

TEST_F(SpawnTest, OnANodeOfItsOwn) {
  const CommandResult result = Spawn({"--virtual-nodes", "3", "-n", "1", "--verbose"},
                                     {"-n", "2", "-i", "host=node2,node3", "-i", "map_by=node"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=2 remote=1 merged=3 sum=3"));
  EXPECT_TRUE(Contains(result.err, "rank 0 on node node2"));
  EXPECT_TRUE(Contains(result.err, "rank 1 on node node3"));
}

// Grandchildren meet ranks of a node that had none when the first jobs began.
TEST_F(SpawnTest, GrandchildrenElsewhere) {
  const CommandResult result = Spawn({"--virtual-nodes", "4:1", "-n", "1"},
                                     {"-n", "1", "--child", "merge,spawn:2,disconnect"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "child size=2 remote=1 merged=3 sum=3"));
}

TEST_F(SpawnTest, FilesAreNotBroughtToOtherNodes) {
  const CommandResult result =
      Spawn({"--virtual-nodes", "2", "-n", "1"}, {"-n", "1", "-i", "ompi_preload_binary=true"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "MPI_ERR_SPAWN"));
  EXPECT_TRUE(StderrNames(result, {"pmix.preloadbin"}));
}

// ---- other languages, and without a launcher

TEST_F(SpawnTest, Mpi4py) {
  const CommandResult result =
      Rex({"-n", "1", "/usr/bin/python3", ProgramPath("mpi4py_spawn.py"), "2"});
  if (result.err.find("No module named") != std::string::npos) GTEST_SKIP() << "no mpi4py here";
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent gathered [0, 1]"));
}

// A program without a launcher has Open MPI's own daemon start its children.
TEST_F(SpawnTest, ASingletonSpawnsByOpenMpisOwnMeans) {
  CommandOptions run;
  run.set_env = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                 {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                 {"OMPI_MCA_rmaps_base_oversubscribe", "1"}};
  const CommandResult result = Run({Program(), "-n", "1"}, run);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "parent size=1 remote=1 merged=2 sum=2"));
}

}  // namespace
}  // namespace rex::testing
