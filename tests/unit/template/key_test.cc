#include "launcher/template/template_key.h"

#include <gtest/gtest.h>

#include <memory>

namespace rex {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TemplateKey Key() {
  return {"/bin/app", {"app", "x"}, "/home", {"LD_LIBRARY_PATH=/a"}, {1, 2}, {3}};
}

TEST(LoaderEnvironment, WhatLdSoReadsSorted) {
  EXPECT_EQ(LoaderEnvironment({"PATH=/bin", "MALLOC_ARENA_MAX=2", "LD_PRELOAD=/a.so", "OLD_X=1",
                               "GLIBC_TUNABLES=t", "GLIBC_TUNABLESX=t", "LD_LIBRARY_PATH=/b"}),
            (std::vector<std::string>{"GLIBC_TUNABLES=t", "LD_LIBRARY_PATH=/b", "LD_PRELOAD=/a.so",
                                      "MALLOC_ARENA_MAX=2"}));
  EXPECT_TRUE(LoaderEnvironment({}).empty());
}

TEST(TemplateKey, EachPartCounts) {
  const TemplateKey key = Key();
  std::vector<TemplateKey> others(6, key);
  others[0].path += "x";
  others[1].argv.push_back("y");
  others[2].wdir += "x";
  others[3].loader_env.clear();
  others[4].limits[1] = 9;
  others[5].affinity = {1};
  EXPECT_EQ(key, Key());
  for (const TemplateKey& other : others) EXPECT_NE(key, other);
}

TEST(TemplateKey, LooksInItsDirectoryForWhatIsRelative) {
  EXPECT_FALSE(LooksInDirectory(Key()));
  const auto with = [](const std::string& entry) {
    TemplateKey key = Key();
    key.loader_env = {entry};
    return LooksInDirectory(key);
  };
  for (const char* fixed : {"LD_LIBRARY_PATH=", "LD_LIBRARY_PATH=/a:/b", "LD_PRELOAD=libx.so /y.so",
                            "LD_PRELOAD=", "LD_BIND_NOW=1", "MALLOC_ARENA_MAX=1", "/own/lib:"}) {
    EXPECT_FALSE(with(fixed)) << fixed;
  }
  for (const char* relative : {"LD_LIBRARY_PATH=lib", "LD_LIBRARY_PATH=/a:", "LD_LIBRARY_PATH=:/a",
                               "LD_LIBRARY_PATH=/a::/b", "LD_LIBRARY_PATH=/a;.",
                               "LD_PRELOAD=/x.so:./y.so", "LD_PRELOAD=lib/y.so"}) {
    EXPECT_TRUE(with(relative)) << relative;
  }
  TemplateKey key = Key();
  key.path = "./app";
  EXPECT_TRUE(LooksInDirectory(key));
}

TEST(TemplateKey, OwnFacts) {
  EXPECT_FALSE(OwnAffinity().empty());
  EXPECT_GE(OwnLimits().size(), 20u);
  EXPECT_EQ(OwnLimits().size() % 2, 0u);
}

TEST(TemplateCache, FindsWhatWasPutUnderTheSameKey) {
  TemplateCache<std::shared_ptr<int>> cache;
  TemplateKey other = Key();
  other.argv = {"app"};
  EXPECT_EQ(cache.Find(Key(), seconds(0)), nullptr);
  cache.Put(Key(), std::make_shared<int>(7), seconds(0));
  ASSERT_NE(cache.Find(Key(), seconds(1)), nullptr);
  EXPECT_EQ(*cache.Find(Key(), seconds(1)), 7);
  EXPECT_EQ(cache.Find(other, seconds(1)), nullptr);
  cache.Put(Key(), std::make_shared<int>(8), seconds(2));
  EXPECT_EQ(*cache.Find(Key(), seconds(2)), 8);
  EXPECT_EQ(cache.size(), 1u);
  cache.Remove(Key());
  EXPECT_EQ(cache.Find(Key(), seconds(3)), nullptr);
}

TEST(TemplateCache, DropsWhatNobodyUsedForTenMinutes) {
  TemplateCache<std::shared_ptr<int>> cache;
  TemplateKey other = Key();
  other.wdir = "/";
  cache.Put(Key(), std::make_shared<int>(1), seconds(0));
  cache.Put(other, std::make_shared<int>(2), seconds(0));
  EXPECT_NE(cache.Find(other, minutes(5)), nullptr);
  EXPECT_EQ(cache.DropIdle(minutes(10) - seconds(1)), 0u);
  EXPECT_EQ(cache.DropIdle(minutes(10)), 1u);
  EXPECT_EQ(cache.Find(Key(), minutes(10)), nullptr);
  EXPECT_EQ(cache.DropIdle(minutes(15) - seconds(1)), 0u);
  EXPECT_EQ(cache.DropIdle(minutes(15)), 1u);
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace rex
