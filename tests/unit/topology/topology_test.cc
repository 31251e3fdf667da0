#include "sched/topology/topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace rex {
namespace {

class TopologyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "rex-topology-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    cache_home_ = pattern;
    ::setenv("XDG_CACHE_HOME", cache_home_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("XDG_CACHE_HOME");
    std::filesystem::remove_all(cache_home_);
  }
  std::string cache_home_;
};

// A machine of hwloc's synthetic kind, as XML.
std::string SyntheticXml(const char* description) {
  hwloc_topology_t topology = nullptr;
  EXPECT_EQ(hwloc_topology_init(&topology), 0);
  EXPECT_EQ(hwloc_topology_set_synthetic(topology, description), 0);
  EXPECT_EQ(hwloc_topology_load(topology), 0);
  char* buffer = nullptr;
  int bytes = 0;
  EXPECT_EQ(hwloc_topology_export_xmlbuffer(topology, &buffer, &bytes, 0), 0);
  const std::string xml = buffer;
  hwloc_free_xmlbuffer(topology, buffer);
  hwloc_topology_destroy(topology);
  return xml;
}

TEST_F(TopologyTest, SecondLoadIsFromTheCacheAndTheSame) {
  const Result<Topology> first = Topology::OfThisNode();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_FALSE(first->from_cache());
  const Result<Topology> second = Topology::OfThisNode();
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->from_cache());
  EXPECT_EQ(first->xml(), second->xml());
  EXPECT_EQ(first->usable_cores(), second->usable_cores());
  EXPECT_TRUE(hwloc_topology_is_thissystem(second->get()));
}

TEST_F(TopologyTest, DamagedXmlInTheCacheMeansDiscovery) {
  ASSERT_TRUE(Topology::OfThisNode());
  for (const auto& entry : std::filesystem::directory_iterator(cache_home_ + "/rex")) {
    std::ifstream in(entry.path());
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const size_t at = text.find("<topology");
    ASSERT_NE(at, std::string::npos);
    text.replace(at, 9, "<nonsense");
    std::ofstream(entry.path(), std::ios::trunc) << text;
  }
  const Result<Topology> again = Topology::OfThisNode();
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_FALSE(again->from_cache());
}

TEST_F(TopologyTest, WorksWithoutAnyPlaceForACache) {
  ::setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
  EXPECT_TRUE(Topology::OfThisNode());
  ::unsetenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  ::unsetenv("HOME");
  EXPECT_TRUE(Topology::OfThisNode());
  if (home != nullptr) ::setenv("HOME", before.c_str(), 1);
}

TEST_F(TopologyTest, AUsersOwnTopologyIsHonouredAndNotCached) {
  ::setenv("HWLOC_SYNTHETIC", "core:3 pu:2", 1);
  const Result<Topology> topology = Topology::OfThisNode();
  EXPECT_STREQ(std::getenv("HWLOC_SYNTHETIC"), "core:3 pu:2");
  ::unsetenv("HWLOC_SYNTHETIC");
  ASSERT_TRUE(topology);
  EXPECT_EQ(hwloc_get_nbobjs_by_type(topology->get(), HWLOC_OBJ_CORE), 3);
  EXPECT_FALSE(std::filesystem::exists(cache_home_ + "/rex"));
}

TEST_F(TopologyTest, LeavesTheEnvironmentAsItWas) {
  ::unsetenv("HWLOC_PLUGINS_PATH");
  ::setenv("HWLOC_COMPONENTS", "-gl", 1);
  ASSERT_TRUE(Topology::OfThisNode());
  ASSERT_TRUE(Topology::OfThisNode());
  EXPECT_EQ(std::getenv("HWLOC_PLUGINS_PATH"), nullptr);
  EXPECT_STREQ(std::getenv("HWLOC_COMPONENTS"), "-gl");
  ::unsetenv("HWLOC_COMPONENTS");
}

TEST_F(TopologyTest, CountsOnlyWhatAffinityAllows) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const Result<Topology> topology = Topology::OfThisNode();
  const Result<Topology> cached = Topology::OfThisNode();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  ASSERT_TRUE(topology && cached);
  EXPECT_EQ(topology->usable_hwthreads(), 1U);
  EXPECT_EQ(topology->usable_cores(), 1U);
  EXPECT_TRUE(cached->from_cache());
  EXPECT_EQ(cached->usable_hwthreads(), 1U);
}

TEST(TopologyFromXml, CountsCoresAndThreads) {
  const Result<Topology> topology = Topology::FromXml(SyntheticXml("package:2 core:4 pu:2"));
  ASSERT_TRUE(topology) << topology.error().text;
  EXPECT_EQ(topology->usable_cores(), 8U);
  EXPECT_EQ(topology->usable_hwthreads(), 16U);
  EXPECT_FALSE(topology->from_cache());
}

TEST(TopologyFromXml, IgnoresAUsersOwnTopology) {
  const std::string xml = SyntheticXml("core:5 pu:1");
  ::setenv("HWLOC_SYNTHETIC", "core:3 pu:2", 1);
  const Result<Topology> topology = Topology::FromXml(xml);
  ::unsetenv("HWLOC_SYNTHETIC");
  ASSERT_TRUE(topology);
  EXPECT_EQ(topology->usable_cores(), 5U);
}

TEST(TopologyFromXml, RefusesWhatIsNoTopology) {
  for (const char* xml :
       {"", "<", "hello", "<?xml version=\"1.0\"?>\n<topology version=\"2.0\">"}) {
    const Result<Topology> topology = Topology::FromXml(xml);
    ASSERT_FALSE(topology) << xml;
    EXPECT_EQ(topology.error().code, Errc::kInvalid);
  }
}

}  // namespace
}  // namespace rex
