#include "launcher/image/digest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "launcher/image/digest_cache.h"

namespace rex {
namespace {

class DigestFiles : public ::testing::Test {
 protected:
  DigestFiles() : dir_("/tmp/digest-test-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~DigestFiles() override { std::filesystem::remove_all(dir_); }
  std::string Put(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << bytes;
    return dir_ + "/" + name;
  }
  // Long ago: its times can be told from any later ones.
  void Age(const std::string& path) {
    const timespec times[] = {{1'000'000, 0}, {1'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  const std::string dir_;
};

// b2sum -l 256 of nothing, and of "abc".
TEST(Digest, IsBlake2b256) {
  EXPECT_EQ(Hex(BlockDigest("")),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(Hex(BlockDigest("abc")),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

TEST(Digest, WholeDependsOnSizeAndOrder) {
  const Digest256 a = BlockDigest("a");
  const Digest256 b = BlockDigest("b");
  const std::set<Digest256> all = {WholeDigest(0, {}), WholeDigest(2, {a, b}),
                                   WholeDigest(2, {b, a}), WholeDigest(3, {a, b})};
  EXPECT_EQ(all.size(), 4u);
}

TEST(Digest, HexBackAndForth) {
  const Digest256 digest = BlockDigest("x");
  EXPECT_EQ(DigestFromHex(Hex(digest)), digest);
  EXPECT_FALSE(DigestFromHex(Hex(digest).substr(1)));
  EXPECT_FALSE(DigestFromHex(std::string(64, 'G')));
}

TEST_F(DigestFiles, BlocksOfAFile) {
  const std::string content(kBlockBytes + 1, 'x');
  const std::string path = Put("f", content);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY));
  const auto read = DigestOf(fd.get(), path);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->digest.blocks.size(), 2u);
  EXPECT_EQ(read->digest.blocks[1], BlockDigest("x"));
  EXPECT_EQ(read->digest.whole, WholeDigest(content.size(), read->digest.blocks));
}

TEST_F(DigestFiles, AnEmptyFileHasNoBlocks) {
  const std::string path = Put("f", "");
  const UniqueFd fd(::open(path.c_str(), O_RDONLY));
  const auto read = DigestOf(fd.get(), path);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->digest.blocks.empty());
}

TEST_F(DigestFiles, TheCacheAnswersForAnUnchangedFileOnly) {
  const std::string path = Put("f", "one");
  const DigestCache cache(dir_ + "/cache");
  const auto first = cache.Get(path);
  ASSERT_TRUE(first);
  Put("f", "two");  // the same size
  const auto second = cache.Get(path);
  ASSERT_TRUE(second);
  EXPECT_NE(first->digest.whole, second->digest.whole);
  EXPECT_EQ(second->digest.blocks[0], BlockDigest("two"));
}

// What stands in the cache is believed: seen by an entry that says something else.
TEST_F(DigestFiles, TheCacheIsUsed) {
  const std::string path = Put("f", "one");
  const DigestCache cache(dir_ + "/cache");
  auto read = cache.Get(path);
  ASSERT_TRUE(read);
  const auto entry = [&] {
    for (const auto& file : std::filesystem::directory_iterator(dir_ + "/cache")) {
      return file.path().string();
    }
    return std::string();
  };
  ReadDigest other = *read;
  other.digest.blocks[0] = BlockDigest("another");
  other.digest.whole = WholeDigest(3, other.digest.blocks);
  // A file that is this young is not remembered: its times do not tell it from a later one.
  EXPECT_EQ(entry(), "");
  char name[64];
  std::snprintf(name, sizeof name, "/cache/%08x-%016lx",
                static_cast<unsigned>(read->identity.device), read->identity.inode);
  std::ofstream(dir_ + name, std::ios::binary) << EncodeEntry(other);
  EXPECT_EQ(cache.Get(path)->digest.whole, other.digest.whole);
}

TEST_F(DigestFiles, ADamagedEntryIsNone) {
  const std::string path = Put("f", std::string(kBlockBytes * 2, 'z'));
  const UniqueFd fd(::open(path.c_str(), O_RDONLY));
  const std::string good = EncodeEntry(*DigestOf(fd.get(), path));
  ASSERT_TRUE(DecodeEntry(good));
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_FALSE(DecodeEntry(std::string_view(good).substr(0, bytes)));
    std::string bad = good;
    bad[bytes] = static_cast<char>(bad[bytes] ^ 1);
    EXPECT_FALSE(DecodeEntry(bad));
  }
}

TEST_F(DigestFiles, WithoutAnUsableDirectoryNothingIsRemembered) {
  const DigestCache cache("/proc/no/such");
  const std::string path = Put("f", "x");
  Age(path);
  EXPECT_TRUE(cache.Get(path));
  EXPECT_FALSE(cache.Get(dir_ + "/none"));
}

}  // namespace
}  // namespace rex
