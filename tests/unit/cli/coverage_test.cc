#include "launcher/cli/dvm/coverage.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

const Surroundings kHere = {
    .cwd = "/home/me", .cores = 6, .is_this_machine = [](const std::string& host) {
      return host == "here" || host == "me";
    }};

const std::vector<Inherited> kOwn = {{"niceness", "0"}, {"the limit of stacks", "8"}};

// A DVM of this machine alone.
DvmRecord Alone() {
  DvmRecord record;
  record.version = "2";
  record.name = "default";
  record.inherited = kOwn;
  return record;
}

// n1 and n2 with four slots each, and this machine with its cores.
DvmRecord Three() {
  DvmRecord record = Alone();
  for (const char* name : {"n1", "n2", "here"}) {
    NodeRequest node;
    node.name = name;
    node.here = node.name == "here";
    node.slots = node.here ? 0 : 4;
    record.dvm.nodes.push_back(node);
  }
  record.dvm.ssh = {"ssh", "-F", "x"};
  return record;
}

CommandLine Line(const std::vector<std::string>& words) {
  const auto none = [](const std::string& path) -> Result<std::string> { return path; };
  auto line = ParseCommandLine(words, {}, none);
  EXPECT_TRUE(line) << line.error().text;
  return *line;
}

Result<JobSpec> Made(const std::vector<std::string>& words, const DvmRecord& record,
                     const NodePool& pool = {}) {
  const CommandLine line = Line(words);
  return MakeDvmJobSpec({line, pool, record, "2", kOwn}, kHere, {"A=1"}, nullptr);
}

std::string Why(const std::vector<std::string>& words, const DvmRecord& record,
                const NodePool& pool = {}, std::vector<Inherited> own = kOwn) {
  const CommandLine line = Line(words);
  const auto uncovered = WhyUncovered({line, pool, record, "2", std::move(own)});
  return uncovered ? uncovered->why : "";
}

std::vector<std::string> Names(const JobSpec& job) {
  std::vector<std::string> names;
  for (const NodeRequest& node : job.dvm.nodes) names.push_back(node.name);
  return names;
}

TEST(Coverage, APlainJobIsCovered) {
  EXPECT_EQ(Why({"-n", "1", "a"}, Alone()), "");
  const auto job = Made({"-n", "3", "a"}, Alone());
  ASSERT_TRUE(job);
  EXPECT_TRUE(job->dvm.nodes.empty());
  EXPECT_EQ(job->TotalRanks(), 3u);
}

TEST(Coverage, AnotherVersionIsWorthAWord) {
  DvmRecord old = Alone();
  old.version = "1";
  const CommandLine line = Line({"a"});
  const NodePool pool;
  const auto uncovered = WhyUncovered({line, pool, old, "2", kOwn});
  ASSERT_TRUE(uncovered);
  EXPECT_TRUE(uncovered->is_version);
  EXPECT_NE(uncovered->why.find("version 1"), std::string::npos);
  EXPECT_NE(uncovered->why.find("version 2"), std::string::npos);
}

TEST(Coverage, WhatLooksAtNodesIsNotRunThere) {
  EXPECT_NE(Why({"--check", "-n", "1", "a"}, Alone()), "");
  EXPECT_NE(Why({"--virtual-nodes", "2", "a"}, Alone()), "");
}

TEST(Coverage, WhatRanksInheritMustBeTheSame) {
  EXPECT_NE(Why({"a"}, Alone(), {}, {{"niceness", "5"}}).find("niceness is 5 here and 0 there"),
            std::string::npos);
  EXPECT_EQ(Why({"a"}, Alone(), {}, {{"something new", "5"}}), "");
}

TEST(Coverage, NodesThatComeFromElsewhereAreNotTheDvms) {
  NodePool pool{.kind = NodePool::Kind::kAllocation, .origin = "Slurm job 7"};
  EXPECT_NE(Why({"a"}, Three(), pool).find("Slurm job 7"), std::string::npos);
  DvmRecord same = Three();
  same.origin = "Slurm job 7";
  EXPECT_EQ(Why({"a"}, same, pool), "");
}

TEST(Coverage, NoNodesNamedMeansAllOfTheDvm) {
  const auto job = Made({"-n", "2", "a"}, Three());
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_EQ(Names(*job), (std::vector<std::string>{"n1", "n2", "here"}));
}

TEST(Coverage, OfADvmOfThePoolTheLightestNodesComeFirst) {
  DvmRecord record = Three();
  EXPECT_FALSE(Made({"-n", "2", "a"}, record)->load.lightest_first);
  record.dvm.pool = true;
  const auto job = Made({"-n", "2", "a"}, record);
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_TRUE(job->load.lightest_first);
  EXPECT_TRUE(job->dvm.pool);
  const auto named = Made({"--host", "n2", "-n", "1", "a"}, record);
  ASSERT_TRUE(named) << named.error().text;
  EXPECT_FALSE(named->load.lightest_first);
  EXPECT_FALSE(named->dvm.pool);
}

TEST(Coverage, HostsChooseAmongTheDvms) {
  const auto job = Made({"--host", "n2", "-n", "1", "a"}, Three());
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_EQ(Names(*job), std::vector<std::string>{"n2"});
  EXPECT_FALSE(Made({"--host", "n2,other", "a"}, Three()));
}

TEST(Coverage, ThisMachineByAnotherNameIsTheDvms) {
  const auto job = Made({"--host", "me", "-n", "1", "a"}, Three());
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_TRUE(job->dvm.nodes.empty());  // here alone
}

TEST(Coverage, OtherNodesAreNotADvmOfThisMachine) {
  const auto job = Made({"--host", "n1", "-n", "1", "a"}, Alone());
  ASSERT_FALSE(job);
  EXPECT_NE(job.error().text.find("this machine alone"), std::string::npos);
}

TEST(Coverage, HowNodesAreStartedMustBeTheDvmsOrNotSaid) {
  EXPECT_TRUE(Made({"-n", "1", "a"}, Three()));
  EXPECT_TRUE(Made({"--ssh", "ssh -F x", "-n", "1", "a"}, Three()));
  const auto other = Made({"--ssh", "ssh -F y", "-n", "1", "a"}, Three());
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().text.find("--ssh"), std::string::npos);
  EXPECT_FALSE(Made({"--prefix", "/opt", "-n", "1", "a"}, Three()));
  EXPECT_FALSE(Made({"--node-timeout", "5", "-n", "1", "a"}, Three()));
  EXPECT_TRUE(Made({"--node-timeout", "5", "-n", "1", "a"}, Alone()));  // nothing is started
}

TEST(Coverage, ADvmWithoutThisMachineDoesNotRunHere) {
  DvmRecord two = Three();
  two.dvm.nodes.pop_back();
  EXPECT_TRUE(Made({"-n", "1", "a"}, two));
  EXPECT_FALSE(Made({"--host", "me", "-n", "1", "a"}, two));
}

}  // namespace
}  // namespace rex
