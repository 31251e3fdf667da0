#include "launcher/agent/dvm_nodes.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

StartFailure Failed(uint32_t node, const std::string& cause) {
  StartFailure failure;
  failure.node = NodeId{node};
  failure.name = "n" + std::to_string(node);
  failure.phase = "ssh";
  failure.cause = cause;
  failure.remedy = "do " + cause;
  return failure;
}

NodeRequest Asked(const std::string& name, uint32_t slots = 0, bool here = false) {
  NodeRequest node;
  node.name = name;
  node.slots = slots;
  node.here = here;
  return node;
}

AgentFacts Cores(uint32_t cores) {
  AgentFacts facts;
  facts.cores = cores;
  return facts;
}

const JobNode kHere{kHeadNode, "head", 6, 6, true, 0};

// ---- numbers

TEST(NodeNumbers, ThisMachineIsZeroWhereverItIsNamed) {
  DvmSpec spec;
  spec.nodes = {Asked("a"), Asked("localhost", 0, true), Asked("b")};
  const NodeNumbers numbers = NumberNodes(spec, "vm");
  EXPECT_EQ(numbers.ids, (std::vector<NodeId>{NodeId{1}, kHeadNode, NodeId{2}}));
  EXPECT_EQ(numbers.names, (std::vector<std::string>{"localhost", "a", "b"}));
}

TEST(NodeNumbers, ThisMachineHasANameAlsoWithoutRanks) {
  DvmSpec spec;
  spec.nodes = {Asked("a")};
  EXPECT_EQ(NumberNodes(spec, "vm").names, (std::vector<std::string>{"vm", "a"}));
}

// ---- failures

TEST(LeftOut, IsOneLine) {
  EXPECT_EQ(LeftOutText(Failed(3, "refused")), "node n3 is left out: ssh: refused");
}

TEST(LeftOut, SomeNodeMustBeThere) {
  DvmSpec spec;
  spec.nodes = {Asked("a"), Asked("b")};
  EXPECT_FALSE(HasNodes(spec, {}));
  EXPECT_TRUE(HasNodes(spec, {{NodeId{2}, Cores(1)}}));
  spec.nodes.push_back(Asked("localhost", 0, true));
  EXPECT_TRUE(HasNodes(spec, {}));
}

TEST(LeftOut, OthersKeepTheirPlaces) {
  DvmSpec spec;
  spec.nodes = {Asked("a", 2), Asked("b", 2), Asked("c", 2)};
  const auto nodes = JobNodesOf(spec, NumberNodes(spec, "vm"), kHere,
                                {{NodeId{1}, Cores(4)}, {NodeId{3}, Cores(4)}}, 0);
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_TRUE(nodes[1].missing);
  EXPECT_FALSE(nodes[2].missing);
  JobSpec job;
  job.apps.resize(2);
  job.apps[0].argv = job.apps[1].argv = {"a"};
  job.apps[0].ranks = 0;  // as many as slots
  job.apps[1].ranks = 1;
  job.apps[1].nodes = {1, 2};  // of these one is there
  job.oversubscribe = true;
  const auto placed = PlaceJob(job, nodes, 4);
  const auto* map = std::get_if<PlacedJob>(&placed);
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->slots, 4U);
  EXPECT_EQ(map->map->CountOn(NodeId{1}), 2U);
  EXPECT_EQ(map->map->CountOn(NodeId{2}), 0U);
  EXPECT_EQ(map->map->CountOn(NodeId{3}), 3U);
  job.apps[1].nodes = {1};
  const auto refused = PlaceJob(job, nodes, 4);
  ASSERT_TRUE(std::holds_alternative<Failure>(refused));
  EXPECT_EQ(std::get<Failure>(refused).detail, "none of the nodes of program 'a' could be started");
}

TEST(StartFailureOf, OneNodeIsToldInFull) {
  const Failure failure = StartFailureOf({Failed(3, "refused")});
  EXPECT_EQ(failure.kind, FailureKind::kNodeStart);
  EXPECT_EQ(failure.node, "n3");
  EXPECT_EQ(failure.detail, "ssh: refused");
  EXPECT_EQ(failure.remedy, "do refused");
  EXPECT_EQ(failure.others, 0U);
}

// Whatever the order in which they came, and 10 is not before 2.
TEST(StartFailureOf, TheLowestNodeIsToldAndTheOthersNamedInOrder) {
  const Failure failure =
      StartFailureOf({Failed(10, "late"), Failed(2, "refused"), Failed(7, "other")});
  EXPECT_EQ(failure.node, "n2");
  EXPECT_EQ(failure.detail, "ssh: refused\nalso: n7, n10");
  EXPECT_EQ(failure.others, 2U);
}

TEST(StartFailureOf, ManyNodesAreCounted) {
  std::vector<StartFailure> failures;
  for (uint32_t node = 1; node <= 20; ++node) failures.push_back(Failed(node, "refused"));
  const Failure failure = StartFailureOf(failures);
  EXPECT_EQ(failure.others, 19U);
  EXPECT_EQ(failure.detail, "ssh: refused\nalso: n2, n3, n4, n5, n6, n7, n8, n9 and 11 more");
}

TEST(LossOf, TheNodesBelowAreLostWithIt) {
  const Failure failure = LossOf({"n1", "n4", "n5"}, "it closed the connection");
  EXPECT_EQ(failure.kind, FailureKind::kNodeLost);
  EXPECT_EQ(failure.node, "n1");
  EXPECT_EQ(failure.others, 2U);
  EXPECT_EQ(failure.detail, "it closed the connection\nwith it: n4, n5");
}

// ---- nodes of a job

TEST(JobNodesOf, WithoutNamedNodesItIsThisMachine) {
  const auto nodes = JobNodesOf({}, NumberNodes({}, "vm"), kHere, {}, 0);
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes[0].name, "head");
  EXPECT_EQ(nodes[0].slots, 6U);
  EXPECT_TRUE(nodes[0].slots_from_cores);
}

TEST(JobNodesOf, MaxSlotsLimitThisMachineToo) {
  DvmSpec spec;
  spec.max_slots = 3;
  EXPECT_EQ(JobNodesOf(spec, NumberNodes(spec, "vm"), kHere, {}, 2)[0].max_slots, 3U);
}

TEST(JobNodesOf, SlotsThatTheUserGaveLimit) {
  const auto nodes = JobNodesOf({}, NumberNodes({}, "vm"), kHere, {}, 2);
  EXPECT_EQ(nodes[0].slots, 2U);
  EXPECT_FALSE(nodes[0].slots_from_cores);
}

TEST(JobNodesOf, NodesKeepTheUsersOrderAndHaveTheirOwnCores) {
  DvmSpec spec;
  spec.nodes = {Asked("a", 2), Asked("localhost", 0, true), Asked("b")};
  spec.nodes[2].max_slots = 9;
  const std::map<NodeId, AgentFacts> facts = {{NodeId{1}, Cores(4)}, {NodeId{2}, Cores(0)}};
  const auto nodes = JobNodesOf(spec, NumberNodes(spec, "vm"), kHere, facts, 0);
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(nodes[0].name, "a");
  EXPECT_EQ(nodes[0].cores, 4U);
  EXPECT_EQ(nodes[0].slots, 2U);
  EXPECT_EQ(nodes[1].id, kHeadNode);
  EXPECT_EQ(nodes[1].cores, 6U);
  EXPECT_EQ(nodes[1].slots, 6U);
  EXPECT_EQ(nodes[2].cores, 1U) << "a node has at least one";
  EXPECT_EQ(nodes[2].max_slots, 9U);
  for (const JobNode& node : nodes) EXPECT_FALSE(node.slots_from_cores) << node.name;
}

// Invented nodes share one machine's cores: these are no limit that anybody set.
TEST(JobNodesOf, CoresOfVirtualNodesDoNotLimit) {
  DvmSpec spec;
  spec.bootstrap = Bootstrap::kVirtual;
  spec.nodes = {Asked("node1"), Asked("node2", 3)};
  const std::map<NodeId, AgentFacts> facts = {{NodeId{1}, Cores(2)}, {NodeId{2}, Cores(2)}};
  const auto nodes = JobNodesOf(spec, NumberNodes(spec, "vm"), kHere, facts, 0);
  EXPECT_TRUE(nodes[0].slots_from_cores);
  EXPECT_FALSE(nodes[1].slots_from_cores);
}

// ---- loads

TEST(FillLoads, NodesThatHaveToldOneHaveOne) {
  LoadTable table;
  table.OnTold(NodeId{2}, 100, 400, Clock::Time(1'000'000));
  table.AddRanks(NodeId{2}, 3);
  table.AddRanks(NodeId{1}, 1);
  std::vector<JobNode> nodes(2);
  nodes[0].id = NodeId{1};
  nodes[1].id = NodeId{2};
  FillLoads(table, Clock::Time(1'250'000), &nodes);
  EXPECT_FALSE(nodes[0].load);
  ASSERT_TRUE(nodes[1].load);
  EXPECT_EQ(*nodes[1].load, (NodeLoad{3, 100, 400}));
  EXPECT_EQ(nodes[1].load_age, std::chrono::milliseconds(250));
}

}  // namespace
}  // namespace rex
