#include "launcher/image/seen_plug_ins.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace rex {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

class SeenPlugInsTest : public ::testing::Test {
 protected:
  SeenPlugInsTest()
      : dir_("/tmp/seen-plug-ins-" + std::to_string(::getpid())), seen_(dir_ + "/cache/rex") {
    fs::create_directories(dir_);
  }
  ~SeenPlugInsTest() override { fs::remove_all(dir_); }
  std::string FileOf(const Digest256& program) const {
    return dir_ + "/cache/rex/plug-ins-" + Hex(program);
  }
  const std::string dir_;
  const SeenPlugIns seen_;
  const Digest256 program_ = BlockDigest("a program");
};

TEST(PlugInsText, BackAndForth) {
  for (const Paths& paths : {Paths{}, Paths{"/a.so"}, Paths{"/a b.so", "/c/d.so"}}) {
    EXPECT_EQ(DecodePlugIns(EncodePlugIns(paths)), paths);
  }
}

TEST(PlugInsText, DamageIsSeen) {
  const std::string good = EncodePlugIns({"/a.so", "/b.so"});
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(DecodePlugIns(good.substr(0, i)));
    std::string bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(DecodePlugIns(bad)) << i;
  }
  EXPECT_FALSE(DecodePlugIns(EncodePlugIns({"relative.so"})));
  EXPECT_FALSE(DecodePlugIns(EncodePlugIns(Paths(SeenPlugIns::kMostOfOne + 1, "/a.so"))));
}

TEST_F(SeenPlugInsTest, AreRememberedByProgram) {
  EXPECT_EQ(seen_.Of(program_), Paths{});
  EXPECT_EQ(seen_.Add(program_, {"/a.so", "/b.so"}), 2u);
  EXPECT_EQ(seen_.Add(program_, {"/b.so", "/c.so"}), 1u);
  EXPECT_EQ(seen_.Add(program_, {"/c.so"}), 0u);
  EXPECT_EQ(SeenPlugIns(dir_ + "/cache/rex").Of(program_), (Paths{"/a.so", "/b.so", "/c.so"}));
  EXPECT_EQ(seen_.Of(BlockDigest("another")), Paths{});
}

TEST_F(SeenPlugInsTest, AreTheUsersOwn) {
  seen_.Add(program_, {"/a.so"});
  struct stat st {};
  ASSERT_EQ(::stat(FileOf(program_).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((dir_ + "/cache/rex").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  // Others could have written there.
  ASSERT_EQ(::chmod((dir_ + "/cache/rex").c_str(), 0770), 0);
  EXPECT_EQ(seen_.Of(program_), Paths{});
  EXPECT_EQ(seen_.Add(program_, {"/b.so"}), 0u);
}

TEST_F(SeenPlugInsTest, ADamagedFileIsNoneAndIsWrittenAnew) {
  seen_.Add(program_, {"/a.so"});
  std::ofstream(FileOf(program_), std::ios::app) << "x";
  EXPECT_EQ(seen_.Of(program_), Paths{});
  EXPECT_EQ(seen_.Add(program_, {"/b.so"}), 1u);
  EXPECT_EQ(seen_.Of(program_), Paths{"/b.so"});
}

TEST_F(SeenPlugInsTest, WhatCannotBeKeptIsLeftOut) {
  EXPECT_EQ(seen_.Add(program_, {"relative.so", "/new\nline.so", "/" + std::string(5000, 'x')}),
            0u);
  Paths many;
  for (size_t i = 0; i < SeenPlugIns::kMostOfOne + 10; ++i) {
    many.push_back("/" + std::to_string(i) + ".so");
  }
  EXPECT_EQ(seen_.Add(program_, many), SeenPlugIns::kMostOfOne);
  EXPECT_EQ(seen_.Of(program_).size(), SeenPlugIns::kMostOfOne);
}

TEST_F(SeenPlugInsTest, TheOldestProgramsGo) {
  seen_.Add(program_, {"/a.so"});
  const timespec long_ago[] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, FileOf(program_).c_str(), long_ago, 0), 0);
  for (size_t i = 0; i < SeenPlugIns::kMostPrograms; ++i) {
    seen_.Add(BlockDigest(std::to_string(i)), {"/a.so"});
  }
  EXPECT_EQ(seen_.Of(program_), Paths{});
  EXPECT_EQ(seen_.Of(BlockDigest("0")), Paths{"/a.so"});
}

TEST_F(SeenPlugInsTest, WithoutADirectoryNothingIsKept) {
  const SeenPlugIns none("");
  EXPECT_EQ(none.Add(program_, {"/a.so"}), 0u);
  EXPECT_EQ(none.Of(program_), Paths{});
}

}  // namespace
}  // namespace rex
