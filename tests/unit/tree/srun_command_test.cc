#include "launcher/tree/srun_command.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rex {
namespace {

using Strings = std::vector<std::string>;
using Indices = std::vector<size_t>;

std::vector<NodeSpec> Nodes(const Strings& names) {
  std::vector<NodeSpec> nodes;
  for (const std::string& name : names) {
    nodes.push_back({NodeId{static_cast<uint32_t>(nodes.size() + 1)}, name, "", 0});
  }
  return nodes;
}

TreeOptions Options() {
  TreeOptions options;
  options.kind = BootstrapKind::kSlurm;
  options.rexd = "/opt/rex/rexd";
  return options;
}

bool Has(const Strings& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(SrunCommand, OneTaskOnEachNodeInOurOrder) {
  const auto argv = SrunCommand(Nodes({"n3", "n1"}), Options());
  ASSERT_TRUE(argv);
  EXPECT_EQ(argv->front(), "srun");
  for (const char* word : {"--ntasks=2", "--nodes=2", "--nodelist=n3,n1", "--overlap", "--mem=0",
                           "--distribution=arbitrary", "--cpu-bind=none", "--input=all"}) {
    EXPECT_TRUE(Has(*argv, word)) << word;
  }
  EXPECT_EQ(Strings(argv->end() - 3, argv->end()), (Strings{"/opt/rex/rexd", "--join", "--slurm"}));
}

TEST(SrunCommand, NamesThatSrunWouldReadOtherwiseAreRefused) {
  for (const char* name : {"", "-n1", "n[1-2]", "n1,n2", "n 1", "a/b"}) {
    EXPECT_FALSE(SrunCommand(Nodes({name}), Options())) << name;
  }
  TreeOptions relative = Options();
  relative.rexd = "rexd";
  EXPECT_FALSE(SrunCommand(Nodes({"n1"}), relative));
}

TEST(SrunCommand, OfSlurmsVariablesOnlyThoseThatNameTheJobStay) {
  const char* environment[] = {"PATH=/bin",
                               "SLURM_JOB_ID=7",
                               "SLURM_NTASKS=4",
                               "SLURM_MEM_PER_CPU=9",
                               "SRUN_CPUS_PER_TASK=2",
                               "SLURM_CONF=/c",
                               "SLURMD_NODENAME=n1",
                               nullptr};
  EXPECT_EQ(SrunEnvironment(environment),
            (Strings{"PATH=/bin", "SLURM_JOB_ID=7", "SLURM_CONF=/c", "SLURMD_NODENAME=n1"}));
}

TEST(SrunLine, LabelsAreTasks) {
  EXPECT_EQ(ParseSrunLine("12: text").task, 12u);
  EXPECT_EQ(ParseSrunLine("12: text").text, "text");
  EXPECT_EQ(ParseSrunLine("  3: 4: x").task, 3u);
  for (const char* line : {"", "srun: error: x", "12", "12 text", "12:text", ": text"}) {
    EXPECT_FALSE(ParseSrunLine(line).task) << line;
    EXPECT_EQ(ParseSrunLine(line).text, line);
  }
}

TEST(SrunLine, BlamesTasksAndNodes) {
  const auto nodes = Nodes({"n3", "n1", "n2", "n4"});
  const auto blamed = [&](const char* line) { return FindBlamed(line, nodes).nodes; };
  EXPECT_EQ(blamed("srun: error: n1: task 1: Exited with exit code 2"), (Indices{1}));
  EXPECT_EQ(blamed("srun: error: n[1-2,4]: tasks 1-2,3: Killed"), (Indices{1, 2, 3}));
  EXPECT_EQ(blamed("srun: error: Task launch for StepId=9.0 failed on node n2: refused"),
            (Indices{2}));
  for (const char* line : {"srun: error: n1: task 9: Exited", "srun: error: n1: tasks x: Exited",
                           "n1: task 1: said so", "srun: error: Unable to create step",
                           "srun: error: a: tasks 7-99999999999: Exited",
                           "srun: error: Task launch for StepId=9.0 failed on node zz: refused"}) {
    EXPECT_EQ(blamed(line), Indices{}) << line;
    EXPECT_EQ(FindBlamed(line, nodes).how, Blame::kNone) << line;
  }
  EXPECT_EQ(FindBlamed("srun: error: n1: task 1: Killed", nodes).how, Blame::kTask);
  EXPECT_EQ(
      FindBlamed("srun: error: Task launch for StepId=9.0 failed on node n2: refused", nodes).how,
      Blame::kLaunch);
}

TEST(SrunBlame, TheStrongestBlameCountsWhereverItComes) {
  using enum Blame;
  constexpr auto kNobody = std::nullopt;
  EXPECT_EQ(Culprit({kTask, kLaunch}, 0, kSpoke), 1u);
  EXPECT_EQ(Culprit({kLaunch, kTask}, 1, kSpoke), 0u);
  EXPECT_EQ(Culprit({kLaunch, kTask}, 0, kSpoke), kNobody);  // itself
  EXPECT_EQ(Culprit({kLaunch, kLaunch}, 1, kSpoke), kNobody);
  EXPECT_EQ(Culprit({kNone, kSpoke, kSpoke}, 0, kSpoke), 1u);
  EXPECT_EQ(Culprit({kNone, kTask}, 0, kLaunch), kNobody);
  EXPECT_EQ(Culprit({kNone, kNone}, 0, kSpoke), kNobody);
}

TEST(SrunLine, TheStepsEndIsToldApart) {
  const std::string_view cancelled =
      "slurmstepd-n1: error: *** STEP 6.0 ON n1 CANCELLED AT 2026-11-26T21:42:02 ***";
  EXPECT_TRUE(IsStepEnd(cancelled));
  EXPECT_EQ(WithoutSrunPrefix(cancelled),
            "*** STEP 6.0 ON n1 CANCELLED AT 2026-11-26T21:42:02 ***");
  EXPECT_TRUE(IsStepEnd("srun: error: Node failure on n2"));
  EXPECT_FALSE(
      IsStepEnd("srun: Job step aborted: Waiting up to 5 seconds for job step to finish."));
  EXPECT_FALSE(IsStepEnd("srun: error: n1: task 1: Exited with exit code 2"));
}

}  // namespace
}  // namespace rex
