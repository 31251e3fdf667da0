#include "launcher/cli/job_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "launcher/cli/machine.h"

namespace rex {
namespace {

const Surroundings kHere = {
    .cwd = "/home/me",
    .umask = 027,
    .open_files = 4096,
    .open_files_hard = 8192,
    .cores = 6,
    .is_this_machine = [](const std::string& host) { return host == "here"; }};

Result<JobSpec> Made(const std::vector<std::string>& words, const Environment& env = {"A=1"}) {
  const auto no_files = [](const std::string& path) -> Result<std::string> {
    return Error{Errc::kNotFound, path};
  };
  const auto line = ParseCommandLine(words, env, no_files);
  if (!line) return line.error();
  return MakeJobSpec(*line, kHere, env);
}

TEST(MakeJobSpec, FillsInWhatRanksInherit) {
  const auto job = Made({"-n", "2", "a", "b"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->cwd, "/home/me");
  EXPECT_EQ(job->umask, 027u);
  EXPECT_EQ(job->open_files, 4096u);
  EXPECT_EQ(job->open_files_hard, 8192u);
  EXPECT_EQ(job->timer_slack, std::chrono::milliseconds(5));
  EXPECT_EQ(job->grace, std::chrono::seconds(2));
  EXPECT_EQ(job->env, (Environment{"A=1", "PWD=/home/me"}));
  ASSERT_EQ(job->apps.size(), 1u);
  EXPECT_EQ(job->apps[0].ranks, 2u);
  EXPECT_EQ(job->apps[0].wdir, "");
  EXPECT_EQ(job->apps[0].argv, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(job->apps[0].env.empty());
}

TEST(MakeJobSpec, WithoutANumberOneRankPerCore) { EXPECT_EQ(Made({"a"})->TotalRanks(), 6u); }

TEST(MakeJobSpec, DirectoriesBecomeAbsolute) {
  const auto job = Made({"-n", "1", "--wdir", "sub", "a", ":", "-n", "1", "--wdir", "/abs", "b"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->apps[0].wdir, "/home/me/sub");
  EXPECT_EQ(job->apps[0].env, (Environment{"PWD=/home/me/sub"}));
  EXPECT_EQ(job->apps[1].wdir, "/abs");
}

TEST(MakeJobSpec, AnAppsOwnSettingsWin) {
  const auto job =
      Made({"--gmca", "pml", "cm", "--mca", "pml", "ob1", "-n", "1", "a", ":", "-n", "1", "b"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->apps[0].env, (Environment{"OMPI_MCA_pml=ob1"}));
  EXPECT_EQ(job->apps[1].env, (Environment{"OMPI_MCA_pml=cm"}));
}

TEST(MakeJobSpec, StdinNeedsARankThatExists) {
  EXPECT_EQ(Made({"-n", "4", "--stdin", "3", "a"})->stdin_rank, 3);
  const auto job = Made({"-n", "4", "--stdin", "4", "a"});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().text, "option '--stdin': there is no rank 4; the job has ranks 0 to 3");
}

TEST(MakeJobSpec, WhatDoesNotFitIntoAMessageIsRefused) {
  const auto job = Made({"-n", "1", "a", std::string(kMaxLaunchMessageBytes, 'x')});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().text,
            "the environment and the command line are larger than 32 MiB together; unset large "
            "variables or use fewer arguments");
}

TEST(MakeJobSpec, PassesTheHeadsChecks) {
  const auto job = Made({"-n", "3", "-x", "B=2", "--wdir", "d", "--stdin", "all", "a", ""});
  ASSERT_TRUE(job);
  const auto back = FromWire<JobSpec>(ToWire(*job));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->apps[0].argv, job->apps[0].argv);
}

TEST(CountUsableCores, FallsBackToCpusWithoutTopology) {
  EXPECT_GE(CountUsableCores(), 1u);
  EXPECT_GE(CountUsableCores("/nowhere"), CountUsableCores());
}

TEST(CurrentDir, IgnoresAPwdThatIsAnotherDirectory) {
  const auto real = CurrentDir({});
  ASSERT_TRUE(real);
  EXPECT_EQ((*real)[0], '/');
  EXPECT_EQ(*CurrentDir({"PWD=/proc"}), *real);
  EXPECT_EQ(*CurrentDir({"PWD=."}), *real);
  EXPECT_EQ(*CurrentDir({"PWD=" + *real + "/."}), *real + "/.");  // the user's name for it
}

TEST(MakeJobSpec, NamedSlotsGiveTheRanksAndTheLimit) {
  const auto job = Made({"--host", "here:3,here", "a"});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->slots, 4u);
  EXPECT_EQ(job->TotalRanks(), 4u);
  EXPECT_EQ(Made({"--host", "here:3", "-n", "2", "a"})->TotalRanks(), 2u);
  EXPECT_EQ(Made({"-n", "2", "a"})->slots, 0u);
}

TEST(MakeJobSpec, OtherMachinesAreRefusedByName) {
  const auto job = Made({"--host", "here,n7", "a"});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().text,
            "host 'n7' is not this machine, and rexlaunch starts ranks on this machine only so "
            "far; leave it out");
}

TEST(MakeJobSpec, RanksPerNode) {
  EXPECT_EQ(Made({"-N", "3", "a"})->TotalRanks(), 3u);
  EXPECT_EQ(Made({"-N", "3", "-n", "2", "a"})->TotalRanks(), 2u);
  const auto job = Made({"-N", "3", "-n", "4", "a"});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().text, "-n 4 and -N 3 do not go together on one node; raise -N or lower -n");
}

TEST(MakeJobSpec, OversubscribingByEnvironment) {
  EXPECT_TRUE(Made({"-n", "1", "a"}, {"REX_OVERSUBSCRIBE=1"})->oversubscribe);
  EXPECT_FALSE(Made({"-n", "1", "a"}, {"REX_OVERSUBSCRIBE=0"})->oversubscribe);
}

}  // namespace
}  // namespace rex
