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
    .is_this_machine = [](const std::string& host) { return host == "here" || host == "me"; }};

// A file that an option names has its name as its text.
Result<JobSpec> Made(const std::vector<std::string>& words, const Environment& env = {"A=1"}) {
  const auto text_is_name = [](const std::string& path) -> Result<std::string> { return path; };
  const auto line = ParseCommandLine(words, env, text_is_name);
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

TEST(MakeJobSpec, RanksPerNode) {
  EXPECT_EQ(Made({"-N", "3", "a"})->TotalRanks(), 3u);
  EXPECT_EQ(Made({"-N", "3", "-n", "2", "a"})->TotalRanks(), 2u);
  EXPECT_EQ(Made({"-N", "3", "a"})->apps[0].per_node, 0u);  // nothing to limit on one machine
  const auto job = Made({"-N", "3", "-n", "4", "a"});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().text, "-n 4 and -N 3 do not go together on one node; raise -N or lower -n");
}

TEST(MakeJobSpec, ThisMachineByAllItsNamesIsNoOtherNode) {
  const auto job = Made({"--host", "here:2,me:3", "-n", "1", "a", ":", "--host", "me", "b"});
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_TRUE(job->dvm.nodes.empty());
  EXPECT_EQ(job->slots, 5u);
  EXPECT_EQ(job->apps[0].ranks, 1u);
  EXPECT_EQ(job->apps[1].ranks, 1u);
  EXPECT_EQ(Made({"--hostfile", "me slots=2\nhere\n", "a"})->slots, 8u);  // 2, and 6 cores
  EXPECT_EQ(job->env, (Environment{"A=1", "PWD=/home/me"}));
}

// "n1/2 here!/1 joe@n2#22/*<4": the nodes; then each app's ranks, -N and nodes.
std::string Shown(const Result<JobSpec>& job) {
  if (!job) {
    EXPECT_EQ(job.error().code, Errc::kInvalid);
    return job.error().text;
  }
  EXPECT_TRUE(FromWire<JobSpec>(ToWire(*job))) << FromWire<JobSpec>(ToWire(*job)).error().text;
  std::string text;
  for (const NodeRequest& node : job->dvm.nodes) {
    text += (node.user.empty() ? "" : node.user + "@") + node.name + (node.here ? "!" : "");
    text += node.port == 0 ? "" : "#" + std::to_string(node.port);
    text += "/" + (node.slots == 0 ? "*" : std::to_string(node.slots));
    text += node.max_slots == 0 ? " " : "<" + std::to_string(node.max_slots) + " ";
  }
  for (const AppSpec& app : job->apps) {
    text += "| " + std::to_string(app.ranks);
    text += app.per_node == 0 ? "" : " N" + std::to_string(app.per_node);
    for (const uint32_t node : app.nodes) text += " " + std::to_string(node);
    text += " ";
  }
  text.pop_back();
  return text;
}

struct NodesCase {
  std::vector<std::string> words;
  const char* shown;
};
void PrintTo(const NodesCase& c, std::ostream* out) {
  for (const std::string& word : c.words) *out << word << ' ';
}
class NamesNodes : public testing::TestWithParam<NodesCase> {};

TEST_P(NamesNodes, AsTheTableSays) { EXPECT_EQ(Shown(Made(GetParam().words)), GetParam().shown); }

const NodesCase kNodes[] = {
    {{"--host", "n1,n2:3", "a"}, "n1/1 n2/3 | 4"},
    {{"--host", "n1,here,me,n1", "a"}, "n1/2 here!/2 | 4"},
    {{"--host", "n2,n1", "-n", "9", "a"}, "n2/1 n1/1 | 9"},
    {{"--host", "n1:*,n2", "a"}, "n1/* n2/1 | 0"},  // the head knows n1's cores
    {{"--host", "n1:*,n2", "-n", "3", "a"}, "n1/* n2/1 | 3"},
    {{"--host", "here:*,n2", "a"}, "here!/6 n2/1 | 7"},  // and we know ours
    {{"--host", "n1,n2", "-N", "2", "a"}, "n1/1 n2/1 | 4 N2"},
    {{"--host", "n1,n2", "-N", "2", "-n", "3", "a"}, "n1/1 n2/1 | 3 N2"},
    {{"--host", "n1,n2", "-N", "2", "-n", "5", "a"},
     "-n 5 and -N 2 do not go together on 2 nodes; raise -N, lower -n or name more nodes"},
    {{"--host", "n1:2,n2", "a", ":", "--host", "n2:4,n3", "b"}, "n1/2 n2/4 n3/1 | 3 0 1 | 5 1 2"},
    {{"--host", "n1,n2", "a", ":", "-n", "1", "b"}, "n1/1 n2/1 | 2 | 1"},
    {{"--host", "here", "a", ":", "--host", "n1", "b"}, "here!/1 n1/1 | 1 0 | 1 1"},
    {{"--host", "n1", "a", ":", "-N", "2", "b"}, "n1/1 | 1 | 2 N2"},
    {{"--host", "joe@n1,n1,joe@here", "a"}, "joe@n1/1 n1/1 joe@here/1 | 3"},  // not our account
    {{"--host", "fe80::1,[fe80::2]:2", "a"}, "fe80::1/1 fe80::2/2 | 3"},
    {{"--hostfile", "n1 slots=2\njoe@n2 port=22\nn3 slots=1 max_slots=4", "a"},
     "n1/2 joe@n2#22/* n3/1<4 | 0"},
    {{"--hostfile", "here port=2222", "-n", "1", "a"}, "here#2222/* | 1"},  // another place
    {{"--hostfile", "n1 slots=2\nn2 slots=2\nn3", "--host", "n2,n1:4", "a"}, "n2/1 n1/4 | 5"},
    {{"--hostfile", "jo@n1 slots=2 port=9", "--host", "n1:*", "a"}, "jo@n1#9/2 | 2"},
    {{"--hostfile", "n1", "--host", "^n1", "a"},
     "no node is left: all that are named are excluded"},
    {{"--hostfile", "n1\nn2", "--host", "joe@n1,n1", "a"}, "joe@n1/2 | 2"},
    {{"--host", "n1,n2,^n1", "a"}, "n2/1 | 1"},
    {{"--host", "n1,^n1", "a"}, "no node is left: all that are named are excluded"},
    {{"--host", "^n1", "a"}, "--host only excludes, and there is nothing to exclude from"},
    {{"--host", "+n0", "a"},
     "--host: there is no node +n0: neither an allocation nor a hostfile has nodes to count"},
    {{"--host", "+e", "a"},
     "--host: there are no nodes for +e: neither an allocation nor a hostfile has any"},
    {{"--max-vm-size", "2", "--host", "n1,n2,n1,n3", "a"}, "n1/2 n2/1 | 3"},
    {{"--max-vm-size", "1", "--host", "n1,n2", "a", ":", "--host", "n2", "b"},
     "--max-vm-size leaves no node for one of the programs"},
    {{"--max-vm-size", "2", "--virtual-nodes", "3:2", "a"}, "node1/2 node2/2 | 4"},
    {{"--nolocal", "--host", "here:4,n1", "a"}, "n1/1 | 1"},
    {{"--nolocal", "--host", "here", "a"},
     "--nolocal leaves no node: every host that is named is this machine"},
    {{"--nolocal", "-n", "1", "a"},
     "--nolocal needs other nodes: name them by --host or --hostfile"},
    {{"--virtual-nodes", "3", "a"}, "node1/* node2/* node3/* | 3"},
    {{"--virtual-nodes", "3", "-n", "8", "a"}, "node1/* node2/* node3/* | 8"},
    {{"--virtual-nodes", "2:3", "a"}, "node1/3 node2/3 | 6"},
    {{"--virtual-nodes", "2", "-N", "4", "a", ":", "b"}, "node1/* node2/* | 8 N4 | 2"},
    {{"--virtual-nodes", "65535:1048576", "a"},
     "the programs have 1048577 ranks together; a job has at most 1048576"},
    {{"--host", "n1,n2", "-N", "1048576", "a"},
     "the programs have 1048577 ranks together; a job has at most 1048576"},
    {{"--host", "n1", "--stdin", "1", "a"},
     "option '--stdin': there is no rank 1; the job has ranks 0 to 0"},
    {{"--host", "n1:*", "--stdin", "7", "a"}, "n1/* | 0"},  // the head knows whether there is one
};
INSTANTIATE_TEST_SUITE_P(Table, NamesNodes, testing::ValuesIn(kNodes));

// What mpirun 4.1.4 maps when it is asked, with
//   mpirun --do-not-launch --display-map --bind-to none WORDS hostname
// without an allocation, and with this in the file `hf`: the nodes with their slots.
const std::string kFile = "n1 slots=2\nn2 slots=2\nn3 slots=1\n";
class AsMpirunWithAFile : public testing::TestWithParam<NodesCase> {};
TEST_P(AsMpirunWithAFile, NodesAndSlots) {
  std::vector<std::string> words = GetParam().words;
  std::replace(words.begin(), words.end(), std::string("hf"), kFile);
  EXPECT_EQ(Shown(Made(words)), GetParam().shown);
}
const NodesCase kWithAFile[] = {
    {{"--hostfile", "hf", "a"}, "n1/2 n2/2 n3/1 | 5"},
    {{"--hostfile", "hf", "--host", "n1", "a"}, "n1/1 | 1"},
    {{"--hostfile", "hf", "--host", "n1:5", "a"}, "n1/5 | 5"},
    {{"--hostfile", "hf", "--host", "n3,n1", "a"}, "n3/1 n1/1 | 2"},
    {{"--hostfile", "hf", "--host", "n1,n4", "a"}, "n1/1 n4/1 | 2"},
    {{"--hostfile", "hf", "--host", "n4,n1", "a"}, "n4/1 n1/1 | 2"},
    {{"--hostfile", "hf", "--host", "n4", "a"}, "n4/1 | 1"},
    {{"--hostfile", "hf", "--host", "+n1", "a"}, "n2/2 | 2"},
    {{"--hostfile", "hf", "--host", "+n0,+n2", "a"}, "n1/2 n3/1 | 3"},
    {{"--hostfile", "hf", "--host", "+e", "a"}, "n1/2 n2/2 n3/1 | 5"},
    {{"--hostfile", "n1.a.org slots=2\nn2.a.org", "--host", "n1", "a"}, "n1.a.org/1 | 1"},
    {{"--hostfile", "n1 slots=2\n", "--host", "n1.a.org", "a"}, "n1/1 | 1"},
    {{"--hostfile", "hf", "-n", "1", "a", ":", "-n", "1", "--hostfile", "n3 slots=3\nn4 slots=4",
      "b"},
     "n1/2 n2/2 n3/3 n4/4 | 1 0 1 2 | 1 2 3"},
    {{"--hostfile", "hf", "-n", "1", "a", ":", "-n", "2", "--host", "+e", "b"},
     "n1/2 n2/2 n3/1 | 1 | 2 1 2"},
    // Here it differs, on purpose: rules.md.
    {{"--hostfile", "hf", "--host", "+n1:1", "a"}, "n2/1 | 1"},      // mpirun: 2
    {{"--hostfile", "hf", "--host", "+e:2", "a"}, "n1/2 n2/2 | 4"},  // mpirun: n1 only
    {{"--hostfile", "hf", "-n", "1", "a", ":", "-n", "2", "--host", "+e:1", "b"},
     "n1/2 n2/2 n3/1 | 1 | 2 1"},                              // mpirun: nothing
    {{"--hostfile", "n1 slots=2\nn2\n^n1", "a"}, "n2/* | 0"},  // mpirun: its parser fails
    {{"--hostfile", "hf", "--host", "^n2", "a"}, "n1/2 n3/1 | 3"},
    {{"--hostfile", "hf", "--host", "^n2,+n1", "a"}, "n3/1 | 1"},
    {{"--hostfile", "hf", "--hostfile", "n3 slots=3\nn4 slots=4", "a"}, "n1/2 n2/2 n3/4 n4/4 | 12"},
    {{"--hostfile", "n1 port=1\nn1 port=2\nn2", "--host", "^n1", "a"}, "n2/* | 0"},
    {{"--hostfile", "hf", "--host", "+n3", "a"},
     "--host: there is no node +n3: the last of 3 is +n2"},
    {{"--hostfile", "hf", "-n", "3", "--host", "n1:3", "a", ":", "--host", "+e:3", "b"},
     "--host: 2 of 3 nodes are empty, and +e wants 3"},
    {{"--hostfile", "hf", "-n", "5", "a", ":", "--host", "+e", "b"},
     "--host: 0 of 3 nodes are empty, and +e wants at least one"},
};
INSTANTIATE_TEST_SUITE_P(Table, AsMpirunWithAFile, testing::ValuesIn(kWithAFile));

// The same with SLURM_JOB_NODELIST=n[1-3], SLURM_TASKS_PER_NODE=2(x2),1.
class AsMpirunInAnAllocation : public testing::TestWithParam<NodesCase> {};
TEST_P(AsMpirunInAnAllocation, NodesAndSlots) {
  NodePool pool{.kind = NodePool::Kind::kAllocation, .origin = "Slurm job 7"};
  pool.hosts = *ParseHosts("n1:2,n2:2,n3");
  const auto read_file = [](const std::string& path) -> Result<std::string> { return path; };
  const auto line = ParseCommandLine(GetParam().words, {}, read_file);
  ASSERT_TRUE(line) << line.error().text;
  std::vector<std::string> warnings;
  std::string shown = Shown(MakeJobSpec(*line, kHere, {}, pool, &warnings));
  for (const std::string& warning : warnings) shown += " ! " + warning;
  EXPECT_EQ(shown, GetParam().shown);
}
const char* const kAbsent =
    "--host names 'n9', which Slurm job 7 does not have; --allocation none starts outside of it";
const NodesCase kInAllocation[] = {
    {{"a"}, "n1/2 n2/2 n3/1 | 5"},
    {{"-n", "9", "--oversubscribe", "a"}, "n1/2 n2/2 n3/1 | 9"},
    {{"--host", "n2", "a"}, "n2/1 | 1"},
    {{"--host", "n2:2", "a"}, "n2/2 | 2"},
    {{"--host", "n2:5", "a"}, "n2/2 | 2"},
    {{"--host", "n1,n1,n1", "a"}, "n1/2 | 2"},
    {{"--host", "n3,n1", "a"}, "n1/1 n3/1 | 2"},
    {{"--host", "n1.a.org", "a"}, "n1/1 | 1"},
    {{"--host", "n9", "a"}, kAbsent},
    {{"--host", "n1,n9", "a"}, kAbsent},
    {{"--host", "+n1", "a"}, "n2/1 | 1"},
    {{"--host", "+n0,+n0", "a"}, "n1/2 | 2"},
    {{"--host", "n1,+n2", "a"}, "n1/1 n3/1 | 2"},
    {{"--host", "+e", "a"}, "n1/1 n2/1 n3/1 | 3"},
    {{"--host", "+n3", "a"}, "--host: there is no node +n3: the last of 3 is +n2"},
    {{"--hostfile", "n3\nn1 slots=1\n", "a"}, "n1/2 n3/1 | 3"},
    {{"--hostfile", "n1 slots=9", "a"}, "n1/2 | 2"},
    {{"--hostfile", "n3\nn1\n", "--host", "n2", "a"}, "n2/1 | 1"},
    {{"--hostfile", "n3\nn9\n", "a"},
     "n3/1 | 1 ! --hostfile names 'n9', which Slurm job 7 does not have: left out"},
    {{"--hostfile", "n3\nn1\n", "-n", "1", "a", ":", "--host", "n2", "-n", "1", "b"},
     "n1/2 n3/1 n2/1 | 1 0 1 | 1 2"},
    {{"-N", "1", "a"}, "n1/2 n2/2 n3/1 | 3 N1"},
    // Here it differs, on purpose: rules.md.
    {{"--host", "+n1:3", "a"}, "n2/2 | 2"},         // mpirun: 1
    {{"--host", "+e:2", "a"}, "n1/1 n2/1 | 2"},     // mpirun: n1 only
    {{"--host", "n1,+e:1", "a"}, "n1/1 n2/1 | 2"},  // mpirun: n1 only
    {{"--host", "^n2", "a"}, "n1/2 n3/1 | 3"},
    {{"--host", "n1,n2,^n2", "a"}, "n1/1 | 1"},
    {{"--hostfile", "^n2", "--host", "n2", "a"}, "n2/1 | 1"},
    {{"--hostfile", "^n2", "a"}, "n1/2 n3/1 | 3"},  // mpirun: its parser fails
    {{"--hostfile", "n1\nn2\n^n2", "a"}, "n1/2 | 2"},
    {{"--hostfile", "n8\nn9", "a"},
     "none of the nodes of --hostfile is in Slurm job 7; --allocation none starts outside of it"},
    {{"--max-vm-size", "2", "a"}, "n1/2 n2/2 | 4"},
};
INSTANTIATE_TEST_SUITE_P(Table, AsMpirunInAnAllocation, testing::ValuesIn(kInAllocation));

TEST(MakeJobSpec, AnAllocationKnowsThisMachine) {
  const auto job = [](const std::vector<std::string>& words, const char* hosts) {
    NodePool pool{.kind = NodePool::Kind::kAllocation, .origin = "Slurm job 7"};
    pool.hosts = *ParseHosts(hosts);
    pool.own_name = "n1";
    const auto read_file = [](const std::string& path) -> Result<std::string> { return path; };
    return Shown(MakeJobSpec(*ParseCommandLine(words, {}, read_file), kHere, {}, pool));
  };
  EXPECT_EQ(job({"a"}, "n1:2,n2:2"), "n1!/2 n2/2 | 4");
  EXPECT_EQ(job({"a"}, "n1,here"), "n1!/1 here/1 | 2");  // nobody is asked about the others
  EXPECT_EQ(job({"a"}, "n1:2"), "| 2");                  // this machine alone
  EXPECT_EQ(job({"--nolocal", "a"}, "n1:2,n2:2"), "n2/2 | 2");
  EXPECT_EQ(job({"--host", "me,n2", "a"}, "n1:2,n2"), "n1!/1 n2/1 | 2");  // by another of its names
}

TEST(MakeJobSpec, ConfiguredNodesAreForProgramsThatNameNone) {
  NodePool pool{.kind = NodePool::Kind::kFile, .origin = "/etc/rex/nodes"};
  pool.hosts = *ParseHostfile("p1 slots=2\njo@p2 slots=2", "f");
  const auto job = [&pool](const std::vector<std::string>& words) {
    const auto read_file = [](const std::string& path) -> Result<std::string> { return path; };
    return Shown(MakeJobSpec(*ParseCommandLine(words, {}, read_file), kHere, {}, pool));
  };
  EXPECT_EQ(job({"a"}), "p1/2 jo@p2/2 | 4");
  EXPECT_EQ(job({"--host", "p2:*,n1", "a"}), "jo@p2/2 n1/1 | 3");
  EXPECT_EQ(job({"--host", "+n0", "a"}), "p1/2 | 2");
  EXPECT_EQ(job({"--host", "n1", "a", ":", "-n", "1", "b"}), "n1/1 p1/2 jo@p2/2 | 1 0 | 1 1 2");
}

TEST(MakeJobSpec, VirtualNodesWithoutSlotsAreDealtOut) {
  const auto map = [](const std::vector<std::string>& words) {
    return Made(words)->apps[0].place.map;
  };
  EXPECT_EQ(map({"--virtual-nodes", "2", "a"}), MapBy::kNode);
  EXPECT_EQ(Made({"--virtual-nodes", "2", "a"})->dvm.bootstrap, Bootstrap::kVirtual);
  EXPECT_EQ(map({"--virtual-nodes", "2", "--map-by", "slot", "a"}), MapBy::kSlot);
  EXPECT_EQ(map({"--virtual-nodes", "2:2", "a"}), MapBy::kUnset);
  EXPECT_EQ(map({"--host", "n1,n2", "a"}), MapBy::kUnset);
  EXPECT_EQ(map({"--host", "n1,n2", "--bynode", "a"}), MapBy::kNode);
}

TEST(MakeJobSpec, TheHeadCountsWhatFollowsFromHardware) {
  EXPECT_EQ(Made({"--map-by", "ppr:1:socket", "a"})->apps[0].ranks, 0u);
  EXPECT_EQ(Made({"-n", "3", "--map-by", "ppr:1:socket", "a"})->apps[0].ranks, 3u);
  EXPECT_EQ(Made({"--use-hwthread-cpus", "a"})->apps[0].ranks, 0u);
  EXPECT_EQ(Made({"--use-hwthread-cpus", "--host", "n1:4", "a"})->apps[0].ranks, 4u);
}

TEST(MakeJobSpec, OpenMpisParametersSayWhatNoOptionDoes) {
  const auto job = Made({"--mca", "rmaps_base_mapping_policy", "socket:PE=2", "--mca",
                         "hwloc_base_mem_alloc_policy", "local_only", "a"});
  EXPECT_EQ(job->apps[0].place.map_object, HwObject::kSocket);
  EXPECT_EQ(job->apps[0].place.cpus_per_rank, 2u);
  EXPECT_TRUE(job->local_memory);
  const auto option = Made({"--mca", "rmaps_base_mapping_policy", "socket", "--mca",
                            "hwloc_base_binding_policy", "core", "--map-by", "core", "a"});
  EXPECT_EQ(option->apps[0].place.map_object, HwObject::kCore);
  EXPECT_EQ(option->apps[0].place.bind_object, HwObject::kCore);
  EXPECT_EQ(Made({"--mca", "rmaps_base_ranking_policy", "x", "a"}).error().text.substr(0, 53),
            "the Open MPI parameter rmaps_base_ranking_policy: 'x'");
  EXPECT_EQ(Made({"--map-by", "dist", "a"}).error().text,
            "--map-by dist needs a device; add --mca rmaps_dist_device NAME, such as mlx5_0, eth0 "
            "or auto");
  EXPECT_EQ(
      Made({"--map-by", "dist", "--mca", "rmaps_dist_device", "ib0:1", "a"})->apps[0].place.device,
      "ib0");
}

TEST(MakeJobSpec, SeqGoesHostByHost) {
  const auto job = Made({"--host", "n1,n2:2,n1", "--map-by", "seq", "a"});
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_EQ(job->apps[0].fixed, (std::vector<uint32_t>{0, 1, 1, 0}));
  EXPECT_EQ(job->apps[0].ranks, 4u);
  EXPECT_TRUE(job->apps[0].slot_lists.empty());
  EXPECT_EQ(Made({"-n", "5", "--host", "n1,n2", "--map-by", "seq", "a"}).error().text,
            "--map-by seq: 5 ranks, but 2 hosts in a row; name more, or lower -n");
}

TEST(MakeJobSpec, SlurmsNodesAreReachedBySrunUnlessSshIsNamed) {
  NodePool pool{.kind = NodePool::Kind::kAllocation, .manager = Manager::kSlurm};
  pool.hosts = {{.name = "n1", .slots = 1}, {.name = "n2", .slots = 1}};
  const auto made = [&](const std::vector<std::string>& words) {
    return MakeJobSpec(*ParseCommandLine(words, {}, {}), kHere, {}, pool)->dvm;
  };
  EXPECT_EQ(made({"a"}).bootstrap, Bootstrap::kSlurm);
  EXPECT_GT(made({"a"}).node_timeout, std::chrono::hours(1));  // a suspended job is silent
  EXPECT_EQ(made({"--node-timeout", "4", "a"}).node_timeout, std::chrono::seconds(4));
  EXPECT_EQ(made({"--ssh", "ssh", "a"}).bootstrap, Bootstrap::kSsh);
  EXPECT_EQ(made({"--ssh", "ssh", "a"}).node_timeout, DvmSpec().node_timeout);
  pool.manager = Manager::kPbs;
  EXPECT_EQ(made({"a"}).bootstrap, Bootstrap::kSsh);
}

TEST(MakeJobSpec, HowNodesAreReached) {
  const auto job =
      Made({"--host", "n1", "--ssh", "rsh -v", "--prefix", "/opt/rex", "--tree", "flat",
            "--start-timeout", "3", "--node-timeout", "4", "--max-modex", "5", "a"});
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_EQ(job->dvm.bootstrap, Bootstrap::kSsh);
  EXPECT_EQ(job->dvm.ssh, (std::vector<std::string>{"rsh", "-v"}));
  EXPECT_EQ(job->dvm.rexd, "/opt/rex/libexec/rex/rexd");
  EXPECT_EQ(job->dvm.tree, TreeRequest::kFlat);
  EXPECT_EQ(job->dvm.start_timeout, std::chrono::seconds(3));
  EXPECT_EQ(job->dvm.node_timeout, std::chrono::seconds(4));
  EXPECT_EQ(job->dvm.max_modex_bytes, 5u);
  EXPECT_EQ(Made({"--host", "n1", "a"})->dvm.rexd, "");
}

// Slots of nodes that may be missing can't be counted yet, those of this machine can.
TEST(MakeJobSpec, MissingNodesAreCountedByTheHead) {
  const auto ranks = [](std::vector<std::string> words) {
    words.emplace_back("a");
    const auto job = Made(words);
    EXPECT_TRUE(job) << job.error().text;
    return job ? job->apps[0].ranks : 99;
  };
  const std::string allow = "--allow-missing-nodes";
  EXPECT_EQ(ranks({"--host", "n1:2,n2:2"}), 4u);
  EXPECT_EQ(ranks({allow, "--host", "n1:2,n2:2"}), 0u);
  EXPECT_EQ(ranks({allow, "--host", "n1:2,n2:2", "-N", "2"}), 0u);
  EXPECT_EQ(ranks({allow, "--host", "n1:2,n2:2", "-n", "3"}), 3u);
  EXPECT_EQ(ranks({allow, "-N", "2"}), 2u);
  EXPECT_TRUE(Made({allow, "--host", "n1", "a"})->dvm.allow_missing);
  EXPECT_FALSE(Made({"--host", "n1", "a"})->dvm.allow_missing);
}

struct SshCase {
  std::vector<std::string> words;
  Environment env;
  std::vector<std::string> ssh;
};

TEST(MakeJobSpec, TheSshCommandIsAlsoOpenMpisParameter) {
  const SshCase cases[] = {
      {{}, {}, {}},
      {{}, {"OMPI_MCA_plm_rsh_agent=ssh -x : rsh"}, {"ssh", "-x"}},
      {{}, {"OMPI_MCA_orte_rsh_agent=qrsh"}, {"qrsh"}},
      {{"--mca", "plm_rsh_agent", "ssh -4"}, {"OMPI_MCA_plm_rsh_agent=rsh"}, {"ssh", "-4"}},
      {{"--gmca", "plm_rsh_agent", "ssh '-a b'"}, {}, {"ssh", "-a b"}},
      {{"--mca", "plm_rsh_args", "-p 2222"}, {}, {"ssh", "-p", "2222"}},
      {{"--mca", "plm_rsh_agent", "my", "--mca", "plm_rsh_args", "-q"}, {}, {"my", "-q"}},
      {{"--ssh", "own", "--mca", "plm_rsh_agent", "my"}, {"OMPI_MCA_plm_rsh_args=-q"}, {"own"}},
      {{"--mca", "plm_rsh_args", ""}, {}, {}},
  };
  for (const SshCase& c : cases) {
    std::vector<std::string> words = {"--host", "n1"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    words.emplace_back("a");
    const auto job = Made(words, c.env);
    ASSERT_TRUE(job) << job.error().text;
    EXPECT_EQ(job->dvm.ssh, c.ssh);
  }
  const auto bad = Made({"--host", "n1", "--mca", "plm_rsh_agent", "ssh 'x", "a"});
  EXPECT_EQ(bad.error().text, "the Open MPI parameter plm_rsh_agent: a quote (') is not closed");
}

TEST(MakeJobSpec, EnvironmentForOtherNodes) {
  const Environment env = {"A=1", "SSH_TTY=x", "DISPLAY=:0", "OMPI_MCA_btl=tcp"};
  const auto all = Made({"--host", "n1", "a"}, env);
  EXPECT_EQ(all->env, (Environment{"A=1", "OMPI_MCA_btl=tcp", "PWD=/home/me"}));
  EXPECT_FALSE(all->node_env);
  const auto mpirun = Made({"--host", "n1", "--export=mpirun", "-x", "DISPLAY", "a"}, env);
  EXPECT_EQ(mpirun->env, (Environment{"OMPI_MCA_btl=tcp", "PWD=/home/me"}));
  EXPECT_EQ(mpirun->apps[0].env, (Environment{"DISPLAY=:0"}));
  EXPECT_TRUE(mpirun->node_env);
  EXPECT_EQ(Made({"--virtual-nodes", "2", "--export=none", "a"}, env)->env,
            (Environment{"PWD=/home/me"}));
  const auto here = Made({"--host", "here", "--export=none", "a"}, env);
  EXPECT_EQ(here->env.size(), 5u);  // on one machine ranks keep all
  EXPECT_FALSE(here->node_env);
}

TEST(MakeJobSpec, EachHostIsLookedUpOnce) {
  int asked = 0;
  Surroundings here = kHere;
  here.is_this_machine = [&asked](const std::string&) { return ++asked < 0; };
  const auto no_files = [](const std::string& path) -> Result<std::string> {
    return Error{Errc::kNotFound, path};
  };
  const std::vector<std::string> words = {"--host", "n1,n2", "a", ":", "--host", "n1,n2", "b"};
  const auto line = ParseCommandLine(words, {}, no_files);
  ASSERT_TRUE(line);
  ASSERT_TRUE(MakeJobSpec(*line, here, {}));
  EXPECT_EQ(asked, 2);
  const auto local = ParseCommandLine(std::vector<std::string>{"-n", "1", "a"}, {}, no_files);
  ASSERT_TRUE(local);
  ASSERT_TRUE(MakeJobSpec(*local, here, {}));
  EXPECT_EQ(asked, 2);
}

TEST(MakeJobSpec, LeasesByOptionOrEnvironment) {
  EXPECT_EQ(Made({"-n", "1", "a"})->leases, "");
  EXPECT_EQ(Made({"-n", "1", "a"}, {"REX_LEASES=/l"})->leases, "/l");
  EXPECT_EQ(Made({"-n", "1", "a"}, {"REX_LEASES="})->leases, "");
  EXPECT_EQ(Made({"-n", "1", "--leases", "none", "a"}, {"REX_LEASES=/l"})->leases, "none");
  EXPECT_EQ(Made({"-n", "1", "--leases", "auto", "a"}, {"REX_LEASES=/l"})->leases, "");
  const auto bad = Made({"-n", "1", "a"}, {"REX_LEASES=l"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().text,
            "environment variable REX_LEASES: 'l' is not known; write auto, none or a directory's "
            "whole path");
}

TEST(MakeJobSpec, OversubscribingByEnvironment) {
  EXPECT_TRUE(Made({"-n", "1", "a"}, {"REX_OVERSUBSCRIBE=1"})->oversubscribe);
  EXPECT_FALSE(Made({"-n", "1", "a"}, {"REX_OVERSUBSCRIBE=0"})->oversubscribe);
}

// ---- loads

Result<JobSpec> MadeInPool(std::vector<std::string> words, bool configured = true) {
  const auto line = ParseCommandLine(
      words, {}, [](const std::string& path) -> Result<std::string> { return path; });
  if (!line) return line.error();
  NodePool pool{.kind = NodePool::Kind::kFile, .configured = configured, .origin = "p"};
  for (const char* name : {"n1", "n2"}) {
    HostEntry host;
    host.name = name;
    host.slots = 4;
    pool.hosts.push_back(host);
  }
  return MakeJobSpec(*line, kHere, {}, pool);
}

struct LightestCase {
  std::vector<std::string> words;
  bool pool;
  bool lightest;
};

TEST(MakeJobSpec, TheLightestNodesAreForThoseWhoNameNothing) {
  const LightestCase cases[] = {
      {{"-n", "2", "a"}, true, true},
      {{"-n", "2", "--host", "n2", "a"}, false, false},
      {{"-n", "2", "--host", "^n2", "a"}, true, true},
      {{"-n", "2", "--map-by", "slot", "a"}, true, false},
      {{"-n", "2", "--map-by", "load", "a"}, true, false},
      {{"-n", "2", "--map-by", ":PE=2", "a"}, true, true},
      {{"-n", "2", "-N", "1", "--rank-by", "node", "--bind-to", "core", "a"}, true, true},
      {{"-n", "2", "a", ":", "-n", "1", "b"}, true, true},
      {{"-n", "2", "--mca", "rmaps_base_mapping_policy", "node", "a"}, true, false},
      {{"-n", "2", "--virtual-nodes", "2", "a"}, false, false},
  };
  for (const LightestCase& c : cases) {
    const bool is_virtual = c.words[2] == "--virtual-nodes";
    const auto job = is_virtual ? Made(c.words) : MadeInPool(c.words);
    ASSERT_TRUE(job) << ::testing::PrintToString(c.words) << job.error().text;
    EXPECT_EQ(job->dvm.pool, c.pool) << ::testing::PrintToString(c.words);
    EXPECT_EQ(job->load.lightest_first, c.lightest) << ::testing::PrintToString(c.words);
    const auto other = MadeInPool(c.words, false);
    if (is_virtual || !other) continue;
    EXPECT_FALSE(other->dvm.pool || other->load.lightest_first)
        << ::testing::PrintToString(c.words);
  }
}

TEST(MakeJobSpec, RanksOfAPoolAreCountedWhereNodesAreKnownToBeThere) {
  EXPECT_EQ(MadeInPool({"a"})->apps[0].ranks, 0u);
  EXPECT_EQ(MadeInPool({"a"}, false)->apps[0].ranks, 8u);
  EXPECT_EQ(MadeInPool({"--max-load", "1", "a"}, false)->apps[0].ranks, 0u);
}

TEST(MakeJobSpec, MaxLoadAndWaitsAreTaken) {
  const auto job = Made({"-n", "1", "--max-load", "0.75", "--wait", "a"});
  ASSERT_TRUE(job) << job.error().text;
  EXPECT_EQ(job->load.max_load, 75u);
  EXPECT_EQ(job->load.wait, std::chrono::minutes(10));
  EXPECT_EQ(Made({"--max-load", "1", "--wait", "--max-wait", "60", "a"})->load.wait,
            std::chrono::seconds(60));
  EXPECT_EQ(Made({"--max-load", "1", "--max-wait", "60", "--wait", "a"})->load.wait,
            std::chrono::seconds(60));
  EXPECT_EQ(Made({"a"})->load.max_load, kNoMaxLoad);
  EXPECT_EQ(Made({"--max-load", "many", "a"}).error().text,
            "option '--max-load' (word 1): 'many' is not a load; write runnable threads per core "
            "from 0 to 10000, for example 0.5");
  EXPECT_EQ(Made({"--max-load", "10001", "a"}).error().text.substr(0, 42),
            "option '--max-load' (word 1): '10001' is n");
  EXPECT_EQ(Made({"--wait", "a"}).error().text,
            "--wait and --max-wait wait for nodes below a load; add --max-load X");
}

TEST(MakeJobSpec, JsonIsForChecksAndAllocations) {
  EXPECT_TRUE(Made({"--display", "allocation", "--json", "-n", "1", "a"})->show_json);
  EXPECT_EQ(Made({"--display", "map", "--json", "-n", "1", "a"}).error().text,
            "option '--json' is for --check and --display allocation; write 'rexlaunch --check "
            "--json'");
}

}  // namespace
}  // namespace rex
