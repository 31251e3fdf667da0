#include "sched/topology/topology_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "launcher/base/fd.h"

namespace rex {
namespace {

class TopologyCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "rex-cache-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    dir_ = base_ + "/deep/er/rex";
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  std::string base_;
  std::string dir_;
};

mode_t ModeOf(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

TEST_F(TopologyCacheTest, StoresPrivatelyAndLoadsBack) {
  const TopologyCache cache(dir_, "boot 1\n");
  EXPECT_FALSE(cache.Load());
  ASSERT_TRUE(cache.Store("<xml>\n\ntext"));
  EXPECT_EQ(cache.Load(), "<xml>\n\ntext");
  EXPECT_EQ(ModeOf(dir_), 0700U);
  EXPECT_EQ(ModeOf(cache.path()), 0600U);
}

TEST_F(TopologyCacheTest, AnotherKeyIsAnotherEntry) {
  ASSERT_TRUE(TopologyCache(dir_, "boot 1\n").Store("one"));
  EXPECT_FALSE(TopologyCache(dir_, "boot 2\n").Load());
}

TEST_F(TopologyCacheTest, ACutOrForeignFileIsNotLoaded) {
  const TopologyCache cache(dir_, "boot 1\n");
  ASSERT_TRUE(cache.Store("0123456789"));
  const std::string whole = *ReadFile(cache.path());
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    std::ofstream(cache.path(), std::ios::trunc) << whole.substr(0, bytes);
    EXPECT_FALSE(cache.Load()) << bytes;
  }
  ASSERT_TRUE(TopologyCache(dir_, "boot 2\n").Store("0123456789"));
  std::filesystem::copy_file(TopologyCache(dir_, "boot 2\n").path(), cache.path(),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(cache.Load());
}

TEST_F(TopologyCacheTest, ADamagedFileIsNotLoaded) {
  const TopologyCache cache(dir_, "boot 1\n");
  ASSERT_TRUE(cache.Store("<topology version=\"2.0\"/>"));
  const std::string whole = *ReadFile(cache.path());
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char bit : {'\x01', '\x20'}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ bit);
      ASSERT_TRUE(WriteFileAtomically(cache.path(), damaged).has_value());
      EXPECT_FALSE(cache.Load()) << "bit " << int{bit} << " of byte " << at;
    }
  }
}

TEST_F(TopologyCacheTest, ADirectoryThatOthersMayWriteIsNotUsed) {
  const TopologyCache cache(dir_, "boot 1\n");
  ASSERT_TRUE(cache.Store("text"));
  ASSERT_EQ(::chmod(dir_.c_str(), 0777), 0);
  EXPECT_FALSE(cache.Load());
  EXPECT_FALSE(cache.Store("text"));
}

TEST_F(TopologyCacheTest, ALinkIsNotFollowed) {
  const TopologyCache cache(dir_, "boot 1\n");
  ASSERT_TRUE(cache.Store("text"));
  std::filesystem::rename(cache.path(), base_ + "/elsewhere");
  std::filesystem::create_symlink(base_ + "/elsewhere", cache.path());
  EXPECT_FALSE(cache.Load());
}

TEST_F(TopologyCacheTest, NoDirectoryMeansNoCache) {
  const TopologyCache cache("", "boot 1\n");
  EXPECT_FALSE(cache.Store("text"));
  EXPECT_FALSE(cache.Load());
  std::ofstream(base_ + "/file") << "x";
  EXPECT_FALSE(TopologyCache(base_ + "/file/rex", "boot 1\n").Store("text"));
}

TEST_F(TopologyCacheTest, OldEntriesGo) {
  for (size_t i = 0; i < kMaxCacheFiles + 5; ++i) {
    ASSERT_TRUE(TopologyCache(dir_, "key " + std::to_string(i)).Store("text"));
  }
  const auto files = std::filesystem::directory_iterator(dir_);
  EXPECT_EQ(std::distance(begin(files), end(files)), static_cast<ptrdiff_t>(kMaxCacheFiles));
  EXPECT_TRUE(TopologyCache(dir_, "key " + std::to_string(kMaxCacheFiles + 4)).Load());
}

TEST(TopologyCacheKeyTest, IsTheSameTwiceAndTellsWhatItStandsFor) {
  const std::string key = TopologyCacheKey();
  EXPECT_EQ(key, TopologyCacheKey());
  for (const char* fact : {"boot ", "node ", "hwloc ", "Cpus_allowed:", "online "}) {
    EXPECT_NE(key.find(fact), std::string::npos) << fact;
  }
  EXPECT_EQ(key.find("\n\n"), std::string::npos);
}

TEST(TopologyCacheKeyTest, ChangesWithAffinity) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "needs two processors";
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  const std::string key = TopologyCacheKey();
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_NE(TopologyCacheKey(), key);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace rex
