#include "launcher/agent/dvm_fit.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

JobNode Node(uint32_t id, const std::string& name, uint32_t slots, bool from_cores = false) {
  JobNode node{NodeId{id}, name, 4, slots, from_cores, 0};
  node.hardware = std::make_shared<const Hardware>();
  return node;
}

// a and b with four slots each; the head is on a machine of its own, b's id is 2.
struct Dvm {
  DvmSpec spec;
  std::vector<JobNode> nodes = {Node(1, "a", 4), Node(2, "b", 4)};
  std::vector<NodeId> lost;
  Dvm() {
    spec.ssh = {"ssh", "-F", "file"};
    spec.nodes.resize(2);
    spec.nodes[0].name = "a";
    spec.nodes[1].name = "b";
  }
  std::variant<DvmFit, DvmMisfit> Fit(const JobSpec& job) const {
    return FitToDvm(job, spec, nodes, lost, 3);
  }
  std::string Why(const JobSpec& job) const {
    const auto fit = Fit(job);
    const auto* misfit = std::get_if<DvmMisfit>(&fit);
    return misfit == nullptr ? "" : misfit->text;
  }
};

JobSpec Job(std::vector<std::string> names, uint32_t ranks) {
  JobSpec job;
  AppSpec app;
  app.argv = {"app"};
  app.ranks = ranks;
  job.apps.push_back(app);
  job.cwd = "/";
  for (std::string& name : names) {
    NodeRequest node;
    node.name = std::move(name);
    job.dvm.nodes.push_back(node);
  }
  return job;
}

TEST(FitToDvm, NodesAreTheOnesNamedInTheJobsOrder) {
  const Dvm dvm;
  const auto fit = dvm.Fit(Job({"b", "a"}, 2));
  ASSERT_TRUE(std::holds_alternative<DvmFit>(fit));
  const auto& there = std::get<DvmFit>(fit);
  ASSERT_EQ(there.nodes.size(), 2u);
  EXPECT_EQ(there.nodes[0].id, NodeId{2});
  EXPECT_EQ(there.nodes[1].id, NodeId{1});
  EXPECT_EQ(there.spec.dvm.ssh, dvm.spec.ssh);  // reached as the DVM reaches them
  EXPECT_EQ(there.spec.dvm.nodes[0].name, "b");
}

TEST(FitToDvm, TheJobsOwnSlotsCount) {
  JobSpec job = Job({"a"}, 2);
  job.dvm.nodes[0].slots = 2;
  const auto fit = Dvm().Fit(job);
  ASSERT_TRUE(std::holds_alternative<DvmFit>(fit));
  EXPECT_EQ(std::get<DvmFit>(fit).nodes[0].slots, 2u);
  EXPECT_FALSE(std::get<DvmFit>(fit).nodes[0].slots_from_cores);
}

TEST(FitToDvm, AStrangerIsNamed) {
  EXPECT_NE(Dvm().Why(Job({"a", "c"}, 1)).find("node c is none of the DVM's"), std::string::npos);
}

TEST(FitToDvm, AJobWithoutNodesNeedsTheHeadsMachine) {
  EXPECT_NE(Dvm().Why(Job({}, 1)).find("this machine is none"), std::string::npos);
  Dvm alone;
  alone.nodes = {Node(0, "here", 2, true)};
  EXPECT_EQ(alone.Why(Job({}, 1)), "");
}

TEST(FitToDvm, LostAndMissingNodesAreGivenToNobody) {
  Dvm dvm;
  dvm.lost = {NodeId{2}};
  EXPECT_NE(dvm.Why(Job({"a", "b"}, 1)).find("node b of the DVM was lost"), std::string::npos);
  EXPECT_EQ(dvm.Why(Job({"a"}, 1)), "");
  dvm.lost.clear();
  dvm.nodes[1].missing = true;
  EXPECT_NE(dvm.Why(Job({"b"}, 1)).find("node b was left out"), std::string::npos);
}

TEST(FitToDvm, SlotsThatOthersUseMakeItBusy) {
  Dvm dvm;
  dvm.nodes[0].used = 3;
  const auto fit = dvm.Fit(Job({"a"}, 2));
  ASSERT_TRUE(std::holds_alternative<DvmMisfit>(fit));
  EXPECT_TRUE(std::get<DvmMisfit>(fit).busy);
  EXPECT_EQ(dvm.Why(Job({"a"}, 1)), "");
  EXPECT_EQ(dvm.Why(Job({"a", "b"}, 5)), "");
}

TEST(FitToDvm, WhatHasToBeSentFits) {
  Dvm dvm;
  JobSpec job = Job({"a"}, 1);
  job.stage.preload_files = {"/data"};
  EXPECT_EQ(dvm.Why(job), "");
  job.stage.mode = StageRequest::kAlways;
  EXPECT_EQ(dvm.Why(job), "");
}

// It would not fit an empty DVM either: the job itself is to fail, and say why.
TEST(FitToDvm, TooLargeIsNotBusy) {
  Dvm dvm;
  dvm.nodes[0].used = 1;
  EXPECT_EQ(dvm.Why(Job({"a"}, 5)), "");
}

TEST(FitToDvm, CoresThatNobodyNamedRefuseNobody) {
  Dvm dvm;
  dvm.nodes = {Node(0, "here", 2, true)};
  dvm.nodes[0].used = 7;
  EXPECT_EQ(dvm.Why(Job({}, 4)), "");
}

}  // namespace
}  // namespace rex
