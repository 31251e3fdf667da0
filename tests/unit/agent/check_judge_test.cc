#include "launcher/agent/check_judge.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kGib = uint64_t{1} << 30;

CheckFacts Facts(const std::string& name) {
  CheckFacts facts;
  facts.machine = "boot pid " + name;
  facts.hostname = name;
  facts.cores = 4;
  facts.rex = "0.1.0";
  facts.glibc = "2.36";
  facts.openmpi = "libmpi.so.40.30.4";
  facts.libpmix = "libpmix.so.2.6.2";
  facts.way_back = "eth0 10.0.0.2 to 10.0.0.1";
  facts.temp = "/tmp";
  facts.temp_free = facts.shm_free = 4 * kGib;
  facts.realtime = 1'000'000s;
  facts.monotonic = 5000s;
  return facts;
}

class CheckJudgeTest : public ::testing::Test {
 protected:
  CheckJudgeTest() {
    for (const char* name : {"n1", "n2", "n3"}) {
      CheckSubject node;
      node.name = name;
      node.facts = Facts(name);
      node.clock = ClockOffset{0us, 100us};
      nodes_.push_back(node);
    }
    nodes_[0].here = true;
    nodes_[0].clock.reset();
    nodes_[0].facts->way_back.clear();
  }
  CheckReport Judge(bool is_virtual = false) { return JudgeNodes(nodes_, Facts("n1"), is_virtual); }
  // The only problem; an empty one when there are none or several.
  CheckProblem Only(bool is_virtual = false) {
    const CheckReport report = Judge(is_virtual);
    EXPECT_EQ(report.problems.size(), 1u);
    return report.problems.size() == 1 ? report.problems[0] : CheckProblem{};
  }
  static bool Has(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
  }
  CheckFacts& facts(size_t i) { return *nodes_[i].facts; }

  std::vector<CheckSubject> nodes_;
};

TEST_F(CheckJudgeTest, EqualNodesAreWell) {
  const CheckReport report = Judge();
  EXPECT_TRUE(report.problems.empty());
  ASSERT_EQ(report.nodes.size(), 3u);
  EXPECT_EQ(report.nodes[1].slots, 4u) << "none named: the cores";
  EXPECT_EQ(report.nodes[0].clock, 0us);
  EXPECT_EQ(report.nodes[1].clock, 0us);
}

TEST_F(CheckJudgeTest, EveryFailedStartIsTold) {
  for (size_t i : {1, 2}) {
    nodes_[i].facts.reset();
    nodes_[i].failure = StartFailure{NodeId{1}, nodes_[i].name, "ssh", "ssh: no", "do"};
  }
  nodes_[2].failure->cause = "closed";
  const CheckReport report = Judge();
  ASSERT_EQ(report.problems.size(), 2u);
  EXPECT_EQ(report.problems[0], (CheckProblem{"n2", "start", "ssh: no", "do", false}));
  EXPECT_EQ(report.problems[1], (CheckProblem{"n3", "start", "ssh: closed", "do", false}));
  EXPECT_FALSE(report.nodes[1].answered);
}

TEST_F(CheckJudgeTest, ANodeThatDoesNotAnswer) {
  nodes_[1].facts.reset();
  EXPECT_TRUE(Has(Only().text, "did not answer"));
}

TEST_F(CheckJudgeTest, TwoNamesOfOneMachine) {
  facts(2).machine = facts(1).machine;
  facts(2).hostname = "n2";
  const CheckProblem problem = Only();
  EXPECT_EQ(problem.node, "n3");
  EXPECT_TRUE(Has(problem.text, "the same machine as n2"));
  EXPECT_TRUE(Judge(true).problems.empty()) << "virtual nodes are meant to be";
}

TEST_F(CheckJudgeTest, NoWayBackIsANote) {
  facts(1).way_back.clear();
  EXPECT_TRUE(Only().note);
  EXPECT_EQ(Only().about, "way back");
}

TEST_F(CheckJudgeTest, WhatMostHaveIsRight) {
  facts(0).glibc = "2.31";
  EXPECT_EQ(Only().node, "n1");
  EXPECT_EQ(Only().text, "its glibc is 2.31, others have 2.36");
}

TEST_F(CheckJudgeTest, MissingLibraries) {
  facts(1).openmpi.clear();
  EXPECT_EQ(Only().text, "it has no Open MPI, others have libmpi.so.40.30.4");
  facts(2).openmpi.clear();
  EXPECT_EQ(Only().text, "it has Open MPI libmpi.so.40.30.4, others have none");
  facts(0).openmpi.clear();
  EXPECT_TRUE(Judge().problems.empty()) << "nobody has it";
}

TEST_F(CheckJudgeTest, ClocksThatDiffer) {
  facts(1).realtime += 1s;
  EXPECT_TRUE(Judge().problems.empty());
  facts(1).realtime += 2s;
  EXPECT_EQ(Only().text, "its clock is 3.0 s ahead");
  facts(1).realtime -= 6s;
  EXPECT_EQ(Only().text, "its clock is 3.0 s behind");
  nodes_[1].clock->error = 3s;
  EXPECT_TRUE(Judge().problems.empty()) << "not sure enough";
}

TEST_F(CheckJudgeTest, AnotherBootIsNoOtherTime) {
  facts(1).monotonic -= 1000s;  // booted later
  nodes_[1].clock->offset = 1000s;
  EXPECT_TRUE(Judge().problems.empty());
  nodes_[1].clock.reset();
  EXPECT_FALSE(Judge().nodes[1].clock.has_value());
}

TEST_F(CheckJudgeTest, NoRoom) {
  facts(1).temp_free = 5 << 20;
  EXPECT_EQ(Only().about, "disk");
  facts(1).temp_free = kGib;
  facts(1).shm_free = uint64_t{47} << 20;  // 16 and 4 times 8
  EXPECT_EQ(Only().about, "shm");
  facts(1).shm_free = uint64_t{48} << 20;
  EXPECT_TRUE(Judge().problems.empty());
  nodes_[1].named_slots = 5;
  EXPECT_EQ(Judge().problems.size(), 2u) << "shm and slots";
}

TEST_F(CheckJudgeTest, MoreSlotsThanCoresAndSentRexAreNotes) {
  nodes_[1].named_slots = 5;
  EXPECT_TRUE(Only().note);
  nodes_[1].named_slots = 0;
  facts(1).sent = true;
  EXPECT_TRUE(Only().note);
  EXPECT_EQ(Only().about, "start");
}

}  // namespace
}  // namespace rex
