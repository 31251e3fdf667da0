#include "launcher/image/digest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "launcher/image/blake2b_four.h"
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

// hashlib.blake2b(b"rex block" + the parts' own, digest_size=32).
TEST(Digest, IsBlake2b256OfTheParts) {
  EXPECT_EQ(Hex(BlockDigest("")),
            "d99eb1cf76e2b96a731391cfaa82775464ff7a616a46a4397437c33bc2bceda0");
  EXPECT_EQ(Hex(BlockDigest("abc")),
            "bdf44d5451c7f2edd7b6131f4b133fefdc0486852d1b0d7669598172cc94080b");
  std::string block(kBlockBytes, '\0');
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 31 + i / 251);
  EXPECT_EQ(Hex(BlockDigest(block)),
            "2e0e98e45b59a0d495c0fba37df2f3f9d84d97d4d158b81301c99e0b8fb97a5a");
}

TEST(Digest, FourSideBySideAreWhatTheyAreOneByOne) {
  if (!HasBlake2bFour()) GTEST_SKIP() << "this processor has no AVX2";
  for (const size_t bytes : {1, 7, 127, 128, 129, 255, 256, 257, 65536}) {
    std::array<std::string, 4> texts;
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t at = 0; at < bytes; ++at)
        texts[i] += static_cast<char>(at * 7 + i * 101 + at / 9);
    }
    const auto four =
        Blake2bFour({texts[0].data(), texts[1].data(), texts[2].data(), texts[3].data()}, bytes);
    for (size_t i = 0; i < texts.size(); ++i) {
      Hash256 one;
      ::crypto_generichash(one.data(), one.size(),
                           reinterpret_cast<const unsigned char*>(texts[i].data()), bytes, nullptr,
                           0);
      EXPECT_EQ(four[i], one) << i << " of " << bytes;
    }
  }
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
