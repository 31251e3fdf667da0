// A DVM that stays, as its user sees it: started, used by rexlaunch by itself, asked, ended.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "launcher/base/fd.h"
#include "launcher/wire/dvm_messages.h"
#include "tests/integration/dvm/dvm_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

constexpr char kInDvm[] = "the job runs in DVM 'default'";

TEST_F(DvmTest, IsStartedUsedAndEnded) {
  StartDvm();
  EXPECT_TRUE(Contains(Ctl({"status"}).out, "DVM 'default' is idle"));
  const CommandResult job =
      Rex({"--verbose", "-n", "2", ProgramPath("testprog"), "print", "hello"});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_EQ(CountOf(job.out, "hello"), 2U);
  EXPECT_TRUE(StderrNames(job, {kInDvm}));
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 1);
  const pid_t keeper = Keeper();
  const CommandResult stopped = Ctl({"stop"});
  EXPECT_TRUE(ExitedWith(stopped, 0));
  EXPECT_TRUE(AwaitEnd(keeper, milliseconds(0)));  // stop has waited for it
  EXPECT_TRUE(NoDvm());
}

TEST_F(DvmTest, WithoutOneEverythingIsAsEver) {
  EXPECT_TRUE(NoDvm());
  const CommandResult job = Rex({"--verbose", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_EQ(CountOf(job.err, "DVM"), 0U);
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 3));
  EXPECT_TRUE(ExitedWith(Ctl({"jobs"}), 3));
  EXPECT_TRUE(ExitedWith(Ctl({"kill", "1"}), 3));
  EXPECT_EQ(Ask({"list"})["dvms"].size(), 0U);
}

TEST_F(DvmTest, MpiProgramsRunThere) {
  StartDvm();
  for (int round = 0; round < 3; ++round) {
    const CommandResult job = Rex({"-n", "2", ProgramPath("mpi_ring")});
    EXPECT_TRUE(ExitedWith(job, 0));
  }
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 3);
}

TEST_F(DvmTest, AJobsSurroundingsAreItsOwn) {
  StartDvm();
  const std::string dir = left().work_dir() + "/elsewhere";
  ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
  CommandOptions options;
  options.cwd = dir;
  options.set_env["OF_THIS_JOB"] = "yes";
  options.stdin_kind = StdinKind::kBytes;
  options.stdin_bytes = "typed\n";
  const CommandResult job =
      Rex({"-n", "1", "sh", "-c", "pwd; echo $OF_THIS_JOB; cat; umask; exit 5"}, options);
  EXPECT_TRUE(ExitedWith(job, 5));
  EXPECT_TRUE(Contains(job.out, dir + "\nyes\ntyped\n"));
  const CommandResult next = Rex({"-n", "1", "sh", "-c", "echo [$OF_THIS_JOB]"});
  EXPECT_TRUE(Contains(next.out, "[]"));
}

TEST_F(DvmTest, TheSecondLaunchFindsTheTemplate) {
  StartDvm();
  const std::vector<std::string> words = {"--verbose", "-n", "1", ProgramPath("testprog"),
                                          "print",     "x"};
  EXPECT_TRUE(ExitedWith(Rex(words), 0));
  const CommandResult again = Rex(words);
  EXPECT_TRUE(StderrNames(again, {"born by template", kInDvm}));
}

// Where a search path is relative, the directory decides what is loaded.
TEST_F(DvmTest, OneTemplateServesAllDirectoriesUnlessItsFilesDependOnThem) {
  StartDvm();
  const std::string other = left().work_dir() + "/other";
  ASSERT_EQ(::mkdir(other.c_str(), 0755), 0);
  const auto address = [&](const std::string& dir, const char* search, const char* birth) {
    CommandOptions options;
    options.cwd = dir;
    options.set_env["LD_LIBRARY_PATH"] = search;
    const CommandResult result =
        Rex({"--dvm", "default", "--template", birth, "-n", "1", ProgramPath("address")}, options);
    EXPECT_TRUE(ExitedWith(result, 0));
    return result.out;
  };
  const std::string here = left().work_dir();
  if (address(here, "/a", "none") == address(here, "/a", "none")) {
    GTEST_SKIP() << "addresses are not random here";
  }
  EXPECT_EQ(address(here, "/a", "auto"), address(other, "/a", "auto"));
  EXPECT_NE(address(here, "lib", "auto"), address(other, "lib", "auto"));
  EXPECT_EQ(address(here, "lib", "auto"), address(here, "lib", "auto"));
}

// Ranks of one template have the same addresses, exec'ed ones do not: so a template was kept, and
// not only made again, when two jobs show the same ones.
TEST_F(DvmTest, TheSecondLaunchIsBornOfTheFirstOnesTemplate) {
  StartDvm();
  const auto address = [&](const char* birth) {
    const CommandResult result =
        Rex({"--dvm", "default", "--template", birth, "-n", "1", ProgramPath("address")});
    EXPECT_TRUE(ExitedWith(result, 0));
    return result.out;
  };
  if (address("none") == address("none")) GTEST_SKIP() << "addresses are not random here";
  EXPECT_EQ(address("auto"), address("auto"));
}

TEST_F(DvmTest, TwoCommandsMeetByName) {
  StartDvm();
  auto server = StartRex({"--dvm", "default", "-n", "1", ExamplePath("meet"), "serve"});
  const CommandResult client = Rex({"--dvm", "default", "-n", "1", ExamplePath("meet"), "visit"});
  EXPECT_TRUE(ExitedWith(client, 0));
  EXPECT_TRUE(Contains(client.out, "visitor got 1"));
  const CommandResult served = server->Wait();
  EXPECT_TRUE(ExitedWith(served, 0));
  EXPECT_TRUE(Contains(served.out, "server got 2"));
}

TEST_F(DvmTest, TwoJobsRunAtOnceAndAreShown) {
  StartDvm();
  auto first = StartSleeper();
  auto second = StartSleeper();
  ASSERT_TRUE(AwaitJobs(2));
  const json jobs = Ask({"jobs"})["jobs"];
  EXPECT_EQ(jobs[0]["job"], 1);
  EXPECT_EQ(jobs[1]["job"], 2);
  EXPECT_EQ(jobs[0]["rexlaunch_pid"], first->pid());
  EXPECT_EQ(jobs[0]["state"], "running");
  EXPECT_EQ(jobs[0]["command"][0], ProgramPath("testprog"));
  const json ranks = Ask({"ps"})["ranks"];
  ASSERT_EQ(ranks.size(), 2U);
  EXPECT_EQ(ranks[0]["state"], "running");
  EXPECT_FALSE(ranks[0]["birth"].is_null());
  EXPECT_GT(StartTime(ranks[1]["pid"]), 0U);
  EXPECT_EQ(Ask({"status"})["nodes"][0]["used"], 2);
  EXPECT_TRUE(Contains(Ctl({"ps", "--tree"}).out, "job 2, running"));

  EXPECT_TRUE(ExitedWith(Ctl({"kill", "1"}), 0));
  const CommandResult ended = first->Wait();
  EXPECT_TRUE(ExitedWith(ended, kExitSignalBase + SIGTERM));
  EXPECT_TRUE(StderrNames(ended, {"rexctl kill"}));
  EXPECT_TRUE(AwaitJobs(1));
  EXPECT_TRUE(ExitedWith(Ctl({"kill", "2", "KILL"}), 0));
  EXPECT_TRUE(ExitedWith(second->Wait(), kExitSignalBase + SIGKILL));
  const CommandResult none = Ctl({"kill", "2"});
  EXPECT_TRUE(ExitedWith(none, 1));
  EXPECT_TRUE(StderrNames(none, {"no job 2"}));
}

TEST_F(DvmTest, SignalsOfTheUserReachHisJobOnly) {
  StartDvm();
  auto first = StartSleeper();
  auto second = StartSleeper();
  first->Signal(SIGINT);
  EXPECT_TRUE(ExitedWith(first->Wait(), kExitSignalBase + SIGINT));
  EXPECT_TRUE(AwaitJobs(1));
  EXPECT_FALSE(second->ended());
  second->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(second->Wait(), kExitSignalBase + SIGTERM));
}

// ---- which jobs run there

TEST_F(DvmTest, NoneIsNoDvm) {
  StartDvm();
  CommandOptions variable;
  variable.set_env["REX_DVM"] = "none";
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "none", "-n", "1", "true"}), 0));
  EXPECT_TRUE(ExitedWith(Rex({"-n", "1", "true"}, variable), 0));
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 0);
}

TEST_F(DvmTest, OneIsChosenByName) {
  StartDvm({"--name", "other"});
  EXPECT_EQ(CountOf(Rex({"--verbose", "-n", "1", "true"}).err, "DVM"), 0U);
  EXPECT_TRUE(
      StderrNames(Rex({"--verbose", "--dvm", "other", "-n", "1", "true"}), {"DVM 'other'"}));
  const CommandResult absent = Rex({"--dvm", "absent", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(absent, kExitUsage));
  EXPECT_TRUE(StderrNames(absent, {"--dvm", "absent", "rexctl start --name absent"}));
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "a/b", "-n", "1", "true"}), kExitUsage));
  const CommandResult status = Ctl({"status"});
  EXPECT_TRUE(ExitedWith(status, 3));
  EXPECT_TRUE(StderrNames(status, {"there is other"}));
  EXPECT_EQ(Ask({"list"})["dvms"][0]["name"], "other");
}

TEST_F(DvmTest, OtherLimitsAreNotTheDvms) {
  StartDvm();
  CommandOptions limited;
  limited.limits = {{RLIMIT_CORE, {0, 0}}};
  CommandOptions other;
  other.limits = {{RLIMIT_STACK, {1 << 20, 1 << 20}}};
  const std::vector<std::string> words = {"--verbose", "-n", "1", "sh", "-c", "ulimit -s"};
  const CommandResult elsewhere = Rex(words, other);
  EXPECT_TRUE(ExitedWith(elsewhere, 0));
  EXPECT_TRUE(Contains(elsewhere.out, "1024"));
  EXPECT_TRUE(StderrNames(elsewhere, {"is not used", "the limit of stacks"}));
  const CommandResult refused = Rex({"--dvm", "default", "-n", "1", "true"}, other);
  EXPECT_TRUE(ExitedWith(refused, kExitUsage));
  EXPECT_TRUE(StderrNames(refused, {"the limit of stacks"}));
}

TEST_F(DvmTest, NamedSlotsThatAreTakenSendAJobElsewhere) {
  StartDvm({"--host", "localhost:2"});
  auto first = StartSleeper({"--host", "localhost:2"});
  auto second = StartSleeper({"--host", "localhost:2"});
  ASSERT_TRUE(AwaitJobs(2));
  const CommandResult elsewhere = Rex({"--verbose", "--host", "localhost:2", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(elsewhere, 0));
  EXPECT_TRUE(StderrNames(elsewhere, {"is not used", "other jobs"}));
  const CommandResult refused =
      Rex({"--dvm", "default", "--host", "localhost:2", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(refused, kExitNoResources));
  EXPECT_TRUE(StderrNames(refused, {"other jobs"}));
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
  first->Wait();
  second->Wait();
}

TEST_F(DvmTest, OtherNodesThanItsOwnAreReachedWithoutIt) {
  StartDvm();
  const CommandResult job = Rex({"--verbose", "--virtual-nodes", "2", "-n", "2", "true"});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_TRUE(StderrNames(job, {"is not used"}));
  EXPECT_EQ(Ask({"status"})["jobs_ever"], 0);
}

TEST_F(DvmTest, ProgramsAreSentToItsNodes) {
  StartDvm({"--virtual-nodes", "3"});
  const std::string store = "/tmp/dvm-test-store-" + std::to_string(::getpid());
  std::filesystem::create_directories(store);
  for (int run = 0; run < 2; ++run) {
    const CommandResult sent =
        Rex({"--dvm", "default", "--timeline", "-", "--stage", "always", "--store", store, "-n",
             "3", "--map-by", "node", ProgramPath("testprog"), "print", "x"});
    EXPECT_TRUE(ExitedWith(sent, 0)) << sent;
    EXPECT_EQ(sent.out, "xxx");
    EXPECT_TRUE(Contains(sent.err, "image sent")) << sent;
    EXPECT_EQ(Contains(sent.err, "all there: 0 bytes sent"), run == 1) << sent;
  }
  std::filesystem::remove_all(store);
}

TEST_F(DvmTest, AFileThatCannotBeSentEndsItsJobAlone) {
  StartDvm({"--virtual-nodes", "2"});
  auto other = StartSleeper({"--dvm", "default"});
  const CommandResult result = Rex({"--dvm", "default", "--stage", "always", "--preload-files",
                                    "/nowhere/data", "-n", "2", ProgramPath("testprog")});
  EXPECT_FALSE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, "/nowhere/data")) << result;
  EXPECT_FALSE(other->ended());
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "2", "true"}), 0));
}

// Nodes are looked at as long as the DVM is there, and every job's ranks count.
TEST_F(DvmTest, LoadsAreKnownToEveryJob) {
  StartDvm({"--virtual-nodes", "2"});
  auto other = StartSleeper({"--dvm", "default"});
  for (int round = 0; round < 2; ++round) {
    const CommandResult shown =
        Rex({"--dvm", "default", "--display", "allocation", "--map-by", "load", "-n", "1", "true"});
    EXPECT_TRUE(ExitedWith(shown, 0));
    EXPECT_TRUE(Contains(shown.out + shown.err, " ranks=1 foreign=")) << shown;
  }
  other->Signal(SIGTERM);
  other->Wait();
}

TEST_F(DvmTest, AnotherVersionIsSaidToEverybody) {
  StartDvm();
  const std::string path =
      left().tmp_dir() + "/rex-dvm-" + std::to_string(::geteuid()) + "/default/" + "dvm.record";
  auto text = ReadFile(path);
  ASSERT_TRUE(text);
  auto record = FromWire<DvmRecord>(*text);
  ASSERT_TRUE(record);
  record->version = "9.9.9";
  ASSERT_TRUE(WriteFileAtomically(path, ToWire(*record)));
  const CommandResult job = Rex({"-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_TRUE(StderrNames(job, {"version 9.9.9", "version " REX_VERSION, "rexctl stop"}));
  const CommandResult refused = Rex({"--dvm", "default", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(refused, kExitUsage));
  EXPECT_TRUE(StderrNames(refused, {"version 9.9.9", "version " REX_VERSION}));
  ASSERT_TRUE(WriteFileAtomically(path, "nonsense"));
  const CommandResult damaged = Rex({"-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(damaged, 0));
  EXPECT_TRUE(StderrNames(damaged, {"record of DVM 'default'"}));
  ASSERT_TRUE(WriteFileAtomically(path, *text));
}

// ---- ends

TEST_F(DvmTest, ASecondStartIsRefused) {
  StartDvm();
  const CommandResult second = Ctl({"start"});
  EXPECT_TRUE(ExitedWith(second, 1));
  EXPECT_TRUE(StderrNames(second, {"runs already", "rexctl stop"}));
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "true"}), 0));
}

TEST_F(DvmTest, EndsWhenNobodyUsesIt) {
  StartDvm({"--idle-timeout", "1"});
  const pid_t keeper = Keeper();
  EXPECT_TRUE(AwaitEnd(keeper));
  EXPECT_TRUE(NoDvm());
}

TEST_F(DvmTest, AJobKeepsItFromBeingIdle) {
  StartDvm({"--idle-timeout", "1"});
  const pid_t keeper = Keeper();
  const CommandResult job = Rex({"--dvm", "default", "-n", "1", "sleep", "2.5"});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_TRUE(AwaitEnd(keeper));
}

TEST_F(DvmTest, StopEndsJobsAndTheySayWhy) {
  StartDvm();
  auto job = StartSleeper();
  const CommandResult stopped = Ctl({"stop"});
  EXPECT_TRUE(ExitedWith(stopped, 0));
  EXPECT_TRUE(Contains(stopped.out, "and with it 1 job"));
  const CommandResult ended = job->Wait();
  EXPECT_TRUE(ExitedWith(ended, kExitInternal));
  EXPECT_TRUE(StderrNames(ended, {"ended with its DVM", "rexctl stop"}));
}

TEST_F(DvmTest, StopCanWaitForJobs) {
  StartDvm();
  auto job = StartRex(
      {"-n", "1", ProgramPath("testprog"), "then", "print", "awake", ",", "sleep", "3000"});
  ASSERT_TRUE(job->WaitForText("awake"));
  RunningCommand stop({RexctlPath(), "stop", "--wait"}, Prepare());
  while (Ask({"status"})["state"] != "draining") ASSERT_FALSE(stop.ended());
  const CommandResult late = Rex({"--dvm", "default", "-n", "1", "true"});
  EXPECT_FALSE(late.exit_code == 0);
  EXPECT_TRUE(StderrNames(late, {"draining"}));
  EXPECT_TRUE(ExitedWith(job->Wait(), 0));
  EXPECT_TRUE(ExitedWith(stop.Wait(), 0));
  EXPECT_TRUE(NoDvm());
}

TEST_F(DvmTest, JsonEverywhere) {
  const auto is_json = [](const CommandResult& result) {
    return json::parse(result.out, nullptr, false).is_object();
  };
  EXPECT_TRUE(is_json(Ctl({"start", "--json"})));
  auto job = StartSleeper();
  for (const std::string command : {"status", "list", "jobs", "ps"}) {
    EXPECT_TRUE(is_json(Ctl({command, "--json"}))) << command;
  }
  EXPECT_TRUE(is_json(Ctl({"ps", "--tree", "--json"})));
  EXPECT_TRUE(is_json(Ctl({"kill", "77", "--json"})));
  EXPECT_TRUE(is_json(Ctl({"kill", "1", "--json"})));
  job->Wait();
  EXPECT_TRUE(is_json(Ctl({"stop", "--json"})));
}

TEST_F(DvmTest, BadCommandLinesAreExplained) {
  EXPECT_TRUE(ExitedWith(Ctl({}), kExitUsage));
  EXPECT_TRUE(ExitedWith(Ctl({"strat"}), kExitUsage));
  EXPECT_TRUE(ExitedWith(Ctl({"start", "--hostfile", "/nowhere"}), kExitUsage));
  EXPECT_TRUE(ExitedWith(Ctl({"--help"}), 0));
  EXPECT_TRUE(ExitedWith(Ctl({"--version"}), 0));
}

// ---- spawned jobs, names

TEST_F(DvmTest, SpawnedJobsAreShownBelowTheirParent) {
  StartDvm();
  auto job =
      StartRex({"--oversubscribe", "-n", "1", ProgramPath("mpi_spawn"), "-n", "2", "--parent",
                "merge,print:met,sleep:600000", "--child", "merge,sleep:600000"});
  ASSERT_TRUE(job->WaitForText("met")) << job->Snapshot();
  ASSERT_TRUE(AwaitJobs(2));
  const json tree = Ask({"ps", "--tree"});
  ASSERT_EQ(tree["jobs"].size(), 1U) << tree;
  const json below = tree["jobs"][0]["rank_list"][0]["jobs"];
  ASSERT_EQ(below.size(), 1U) << tree;
  EXPECT_EQ(below[0]["job"], 2);
  EXPECT_EQ(below[0]["rank_list"].size(), 2U);
  EXPECT_EQ(Ask({"ps"})["ranks"][1]["parent"]["job"], 1);
  // The session's jobs end with one that is killed.
  EXPECT_TRUE(ExitedWith(Ctl({"kill", "2"}), 0));
  EXPECT_TRUE(ExitedWith(job->Wait(), kExitSignalBase + SIGTERM));
  EXPECT_TRUE(AwaitJobs(0));
}

}  // namespace
}  // namespace rex::testing
