#include "sched/placement/binding.h"

#include <gtest/gtest.h>
#include "tests/unit/sched/synthetic.h"

namespace rex {
namespace {

struct Case {
  const char* topology;
  BindObject object;
  uint32_t rank;
  const char* cpus;
  const char* text;
};
class BindingTable : public ::testing::TestWithParam<Case> {};

TEST_P(BindingTable, IsWhatMpirunReports) {
  const Case& c = GetParam();
  const Topology topology = Synthetic(c.topology);
  const auto bindings = BindRanks(topology, c.rank + 1, c.object, false);
  ASSERT_TRUE(bindings.has_value()) << bindings.error().text;
  EXPECT_EQ(CpuList((*bindings)[c.rank]), c.cpus);
  EXPECT_EQ(DescribeBinding(topology, (*bindings)[c.rank]), c.text);
}

// Two cores: seen with mpirun 4.1.4; the others follow its --report-bindings notation (mpirun(1)).
INSTANTIATE_TEST_SUITE_P(
    Topologies, BindingTable,
    ::testing::Values(Case{"pack:1 core:2 pu:1", BindObject::kCore, 0, "0",
                           "bound to socket 0[core 0[hwt 0]]: [B/.]"},
                      Case{"pack:1 core:2 pu:1", BindObject::kCore, 1, "1",
                           "bound to socket 0[core 1[hwt 0]]: [./B]"},
                      Case{"pack:2 core:2 pu:2", BindObject::kCore, 2, "4-5",
                           "bound to socket 1[core 2[hwt 0-1]]: [../..][BB/..]"},
                      Case{"pack:2 core:2 pu:2", BindObject::kHwthread, 3, "3",
                           "bound to socket 0[core 1[hwt 1]]: [../.B][../..]"}));

TEST(BindRanks, MoreRanksThanObjectsAreRefusedByName) {
  const Topology topology = Synthetic("pack:1 core:2 pu:1");
  const auto refused = BindRanks(topology, 3, BindObject::kCore, false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().text,
            "cannot bind 3 ranks to 2 usable cores, one each; give --bind-to "
            "core:overload-allowed to share them, or --bind-to none");
}

TEST(BindRanks, OverloadBeginsAgain) {
  const Topology topology = Synthetic("pack:1 core:2 pu:1");
  const auto bindings = BindRanks(topology, 3, BindObject::kCore, true);
  ASSERT_TRUE(bindings.has_value());
  EXPECT_EQ((*bindings)[2], (*bindings)[0]);
}

TEST(DescribeBinding, NoBindingAndAllOfTheNodeAreTheSame) {
  const Topology topology = Synthetic("pack:1 core:2 pu:1");
  const std::string all = "not bound (or bound to all available processors)";
  EXPECT_EQ(DescribeBinding(topology, {}), all);
  EXPECT_EQ(DescribeBinding(topology, topology.usable_cpus()), all);
}

}  // namespace
}  // namespace rex
