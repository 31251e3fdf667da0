#include "launcher/agent/check_facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "launcher/base/fd.h"
#include "launcher/base/private_dir.h"

namespace rex {
namespace {

TEST(CheckFacts, RoundTrip) {
  CheckFacts facts = ReadCheckFacts(3, "/tmp/rex-x", "");
  facts.way_back = "eth0 a to b";
  facts.sent = true;
  const auto back = DecodeFacts(ToWire(facts));
  ASSERT_TRUE(back.has_value()) << back.error().text;
  EXPECT_EQ(ToWire(*back), ToWire(facts));
  EXPECT_EQ(back->cores, 3u);
  EXPECT_EQ(back->temp, "/tmp");
  EXPECT_EQ(back->rex, REX_VERSION);
  EXPECT_FALSE(back->glibc.empty());
  EXPECT_GT(back->temp_free, 0u);
  const auto path = DecodeAsk(EncodeAsk("/a:/b"));
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(*path, "/a:/b");
}

TEST(CheckFacts, WhatCanNotBeIsRefused) {
  const CheckFacts good = ReadCheckFacts(1, "/tmp/rex-x", "");
  const auto refused = [&](auto change) {
    CheckFacts facts = good;
    change(facts);
    return !DecodeFacts(ToWire(facts)).has_value();
  };
  EXPECT_TRUE(refused([](CheckFacts& f) { f.machine.clear(); }));
  EXPECT_TRUE(refused([](CheckFacts& f) { f.cores = 0; }));
  EXPECT_TRUE(refused([](CheckFacts& f) { f.realtime = std::chrono::seconds(-1); }));
  EXPECT_TRUE(refused([](CheckFacts& f) { f.way_back = std::string(5000, 'x'); }));
  const std::string wire = ToWire(good);
  for (size_t length = 0; length < wire.size(); ++length) {
    const auto cut = DecodeFacts(wire.substr(0, length));
    EXPECT_TRUE(!cut || !cut->machine.empty());
  }
}

class FindLibraryTest : public ::testing::Test {
 protected:
  FindLibraryTest() {
    std::filesystem::create_directories(dir_ + "/one");
    std::filesystem::create_directories(dir_ + "/two");
    for (const std::string version : {"one/liba.so.1.2", "two/liba.so.1.3"}) {
      EXPECT_TRUE(WriteFileAtomically(dir_ + "/" + version, "x").has_value());
      std::filesystem::create_symlink(dir_ + "/" + version,
                                      dir_ + "/" + version.substr(0, version.size() - 2));
    }
  }
  ~FindLibraryTest() override { RemoveTree(dir_); }

  const std::string dir_ = "/tmp/rextest-check-" + std::to_string(::getpid());
};

TEST_F(FindLibraryTest, ThePathBeforeTheCache) {
  const std::string nul(1, '\0');
  const std::string cache = "ld.so-1.7.0" + nul + "liba.so.1" + nul + "/no/such/liba.so.1" + nul +
                            "liba.so.1" + nul + dir_ + "/one/liba.so.1" + nul + "libb.so.1" + nul;
  EXPECT_EQ(FindLibrary("liba.so.1", "", cache), "liba.so.1.2");
  EXPECT_EQ(FindLibrary("liba.so.1", "/nowhere::" + dir_ + "/two", cache), "liba.so.1.3");
  EXPECT_EQ(FindLibrary("libb.so.1", dir_ + "/two", cache), "");
  EXPECT_EQ(FindLibrary("liba.so.1", "", ""), "");
}

}  // namespace
}  // namespace rex
