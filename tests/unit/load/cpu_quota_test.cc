#include "sched/load/cpu_quota.h"

#include <gtest/gtest.h>

#include "tests/unit/load/fake_proc.h"

namespace rex {
namespace {

TEST(CpuQuota, NumbersOfVersion2) {
  EXPECT_EQ(ParseCpuMax("150000 100000\n"), 150u);
  EXPECT_EQ(ParseCpuMax("50000 100000\n"), 50u);
  EXPECT_EQ(ParseCpuMax("1 1000000\n"), 1u);  // never 0
  EXPECT_FALSE(ParseCpuMax("max 100000\n"));
  EXPECT_FALSE(ParseCpuMax("100000\n"));
  EXPECT_FALSE(ParseCpuMax("100000 0\n"));
  EXPECT_FALSE(ParseCpuMax(""));
}

TEST(CpuQuota, NumbersOfVersion1) {
  EXPECT_EQ(ParseCfsQuota("200000\n", "100000\n"), 200u);
  EXPECT_FALSE(ParseCfsQuota("-1\n", "100000\n"));
}

TEST(CpuQuota, GroupsFromTheOwnOneUp) {
  const char* mounts =
      "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
      "30 1 0:30 / /proc rw - proc proc rw\n";
  const std::vector<QuotaGroup> groups = QuotaGroups("0::/user.slice/a\n", mounts);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0], (QuotaGroup{"/sys/fs/cgroup/user.slice/a", true}));
  EXPECT_EQ(groups[1], (QuotaGroup{"/sys/fs/cgroup/user.slice", true}));
  EXPECT_EQ(groups[2], (QuotaGroup{"/sys/fs/cgroup", true}));
}

TEST(CpuQuota, Version1IsTheHierarchyWithCpu) {
  const char* mounts =
      "24 1 0:22 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "25 1 0:23 /box /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "26 1 0:24 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
  const std::vector<QuotaGroup> groups =
      QuotaGroups("3:cpuset:/x\n2:cpu,cpuacct:/box/job\n0::/\n", mounts);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0], (QuotaGroup{"/sys/fs/cgroup/cpu,cpuacct/job", false}));
  EXPECT_EQ(groups[1], (QuotaGroup{"/sys/fs/cgroup/cpu,cpuacct", false}));
  EXPECT_EQ(groups[2], (QuotaGroup{"/sys/fs/cgroup/unified", true}));
}

TEST(CpuQuota, NonsenseIsNoGroup) {
  EXPECT_TRUE(QuotaGroups("", "").empty());
  EXPECT_TRUE(QuotaGroups("0:", "x\n- cgroup2\n").empty());
  EXPECT_TRUE(QuotaGroups("0::/a", "24 1 0:22 / /c rw - cgroup2").empty());
}

TEST(CpuQuota, TheLeastOfAllLevelsCounts) {
  const testing::FakeProc files;
  files.Write("g/cpu.max", "400000 100000\n");
  files.Write("g/a/cpu.max", "150000 100000\n");
  files.Write("g/a/b/cpu.max", "max 100000\n");
  files.Write("v1/cpu.cfs_quota_us", "300000\n");
  files.Write("v1/cpu.cfs_period_us", "100000\n");
  const std::string root = files.root();
  const std::vector<QuotaGroup> groups = {
      {root + "/g/a/b", true}, {root + "/g/a", true}, {root + "/g", true}, {root + "/v1", false}};
  EXPECT_EQ(ReadQuota(groups), 150u);
  EXPECT_EQ(ReadQuota({groups[3]}), 300u);
  EXPECT_FALSE(ReadQuota({groups[0]}));
  EXPECT_FALSE(ReadQuota({{root + "/nothing", true}}));
}

}  // namespace
}  // namespace rex
