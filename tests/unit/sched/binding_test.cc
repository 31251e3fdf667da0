#include "sched/placement/binding.h"

#include <gtest/gtest.h>
#include "tests/unit/sched/synthetic.h"

namespace rex {
namespace {

struct Case {
  const char* topology;
  uint64_t cpus;
  const char* text;
};
class BindingTable : public ::testing::TestWithParam<Case> {};

TEST_P(BindingTable, IsWhatMpirunReports) {
  const Case& c = GetParam();
  EXPECT_EQ(DescribeBinding(Synthetic(c.topology), {c.cpus}), c.text);
}

// Two cores: seen with mpirun 4.1.4; the others follow its --report-bindings notation (mpirun(1)).
INSTANTIATE_TEST_SUITE_P(
    Topologies, BindingTable,
    ::testing::Values(
        Case{"pack:1 core:2 pu:1", 0x1, "bound to socket 0[core 0[hwt 0]]: [B/.]"},
        Case{"pack:1 core:2 pu:1", 0x2, "bound to socket 0[core 1[hwt 0]]: [./B]"},
        Case{"pack:2 core:2 pu:2", 0x30, "bound to socket 1[core 2[hwt 0-1]]: [../..][BB/..]"},
        Case{"pack:2 core:2 pu:2", 0x8, "bound to socket 0[core 1[hwt 1]]: [../.B][../..]"}));

TEST(MemoryOf, AreTheNumaNodesOfTheCpus) {
  const Topology topology = Synthetic("numa:2 core:2 pu:1");
  EXPECT_EQ(MemoryOf(topology, {0x1}), (CpuWords{0x1}));
  EXPECT_EQ(MemoryOf(topology, {0xc}), (CpuWords{0x2}));
  EXPECT_EQ(MemoryOf(topology, {0x6}), (CpuWords{0x3}));
}

TEST(DescribeBinding, NoBindingAndAllOfTheNodeAreTheSame) {
  const Topology topology = Synthetic("pack:1 core:2 pu:1");
  const std::string all = "not bound (or bound to all available processors)";
  EXPECT_EQ(DescribeBinding(topology, {}), all);
  EXPECT_EQ(DescribeBinding(topology, topology.usable_cpus()), all);
}

}  // namespace
}  // namespace rex
