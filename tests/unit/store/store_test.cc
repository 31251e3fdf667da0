#include "launcher/store/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace rex {
namespace {

FileDigest DigestOfText(const std::string& content) {
  FileDigest digest;
  digest.bytes = content.size();
  for (size_t at = 0; at < content.size(); at += kBlockBytes) {
    digest.blocks.push_back(BlockDigest(std::string_view(content).substr(at, kBlockBytes)));
  }
  digest.whole = WholeDigest(content.size(), digest.blocks);
  return digest;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : dir_("/tmp/store-test-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~StoreTest() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Store> Open(uint64_t most = 1 << 30) {
    auto store = Store::Open({StoreKind::kDirectory, dir_, most}, "");
    EXPECT_TRUE(store) << store.error().text;
    return store ? std::move(*store) : nullptr;
  }
  std::string Root() const { return dir_ + "/rexstore-" + std::to_string(::geteuid()); }
  std::string Object(const std::string& content) const {
    return Root() + "/objects/" + Hex(DigestOfText(content).whole);
  }
  std::string Place(const std::string& name) const { return dir_ + "/job/" + name; }
  // Receives and publishes it, linked as `name`.
  void Put(Store& store, const std::string& content, const std::string& name) {
    auto incoming = store.Begin(DigestOfText(content));
    ASSERT_TRUE(incoming && *incoming);
    ASSERT_TRUE((*incoming)->Write(0, content));
    ASSERT_TRUE((*incoming)->Publish(Place(name)));
  }
  bool Take(Store& store, const std::string& content, const std::string& name) {
    const auto taken = store.Take(DigestOfText(content), Place(name));
    EXPECT_TRUE(taken) << taken.error().text;
    return taken && *taken;
  }
  static std::string Text(const std::string& path) { return *ReadFile(path); }
  void Forget(const std::string& name) { ::unlink(Place(name).c_str()); }
  void SetUsed(const std::string& content, time_t when) {
    const timespec times[] = {{when, 0}, {when, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (Object(content) + ".index").c_str(), times, 0), 0);
  }
  const std::string dir_;
};

TEST_F(StoreTest, WhatIsPublishedIsThereForOthers) {
  Put(*Open(), "content", "a/b");
  EXPECT_EQ(Text(Place("a/b")), "content");
  auto other = Open();
  EXPECT_TRUE(Take(*other, "content", "c"));
  EXPECT_EQ(Text(Place("c")), "content");
  EXPECT_FALSE(Take(*other, "something else", "d"));
  struct stat st {};
  ASSERT_EQ(::stat(Place("c").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0500u);
  EXPECT_EQ(st.st_nlink, 3u);
}

TEST_F(StoreTest, AnEmptyFile) {
  auto store = Open();
  Put(*store, "", "empty");
  EXPECT_EQ(Text(Place("empty")), "");
  EXPECT_TRUE(Take(*store, "", "again"));
}

TEST_F(StoreTest, UnpublishedNothingIsLeft) {
  auto store = Open();
  {
    auto incoming = store->Begin(DigestOfText("content"));
    ASSERT_TRUE(incoming && *incoming);
    ASSERT_TRUE((*incoming)->Write(0, "con"));
    EXPECT_FALSE(std::filesystem::is_empty(Root() + "/incoming"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(Root() + "/incoming"));
  EXPECT_FALSE(Take(*store, "content", "x"));
}

TEST_F(StoreTest, OneReceivesAndTheOthersAreTold) {
  auto first = Open();
  auto second = Open();
  const FileDigest digest = DigestOfText("content");
  auto incoming = first->Begin(digest);
  ASSERT_TRUE(incoming && *incoming);
  auto refused = second->Begin(digest);
  ASSERT_TRUE(refused);
  EXPECT_EQ(*refused, nullptr);
  incoming->reset();  // given up
  auto taken_over = second->Begin(digest);
  ASSERT_TRUE(taken_over);
  EXPECT_NE(*taken_over, nullptr);
}

TEST_F(StoreTest, WhatTheDeadHaveLeftIsRemoved) {
  Open();
  std::ofstream(Root() + "/incoming/dead") << "half";
  auto living = Open();
  EXPECT_TRUE(std::filesystem::is_empty(Root() + "/incoming"));
  auto incoming = living->Begin(DigestOfText("content"));
  Open();
  EXPECT_FALSE(std::filesystem::is_empty(Root() + "/incoming"));
}

TEST_F(StoreTest, DamagedContentIsDropped) {
  auto store = Open();
  Put(*store, "content", "x");
  Forget("x");
  ASSERT_EQ(::chmod(Object("content").c_str(), 0700), 0);
  std::ofstream(Object("content"), std::ios::in) << "CONTENT";
  EXPECT_FALSE(Take(*store, "content", "y"));
  EXPECT_FALSE(std::filesystem::exists(Object("content")));
  Put(*store, "content", "z");
  EXPECT_TRUE(Take(*store, "content", "y"));
}

TEST_F(StoreTest, TruncatedContentIsDropped) {
  auto store = Open();
  Put(*store, "content", "x");
  Forget("x");
  std::filesystem::resize_file(Object("content"), 3);
  EXPECT_FALSE(Take(*store, "content", "y"));
  EXPECT_FALSE(std::filesystem::exists(Object("content")));
}

TEST_F(StoreTest, WithoutItsIndexContentIsReadAgain) {
  auto store = Open();
  Put(*store, "content", "x");
  ::unlink((Object("content") + ".index").c_str());
  EXPECT_TRUE(Take(*store, "content", "y"));
  EXPECT_TRUE(std::filesystem::exists(Object("content") + ".index"));
}

TEST_F(StoreTest, TheLongestUnusedGoesFirst) {
  auto store = Open(25);
  for (const char* content : {"aaaaaaaaaa", "bbbbbbbbbb"}) Put(*store, content, content);
  Forget("aaaaaaaaaa");
  Forget("bbbbbbbbbb");
  SetUsed("aaaaaaaaaa", 2000);
  SetUsed("bbbbbbbbbb", 1000);
  Put(*store, "cccccccccc", "c");
  EXPECT_TRUE(std::filesystem::exists(Object("aaaaaaaaaa")));
  EXPECT_FALSE(std::filesystem::exists(Object("bbbbbbbbbb")));
  EXPECT_FALSE(std::filesystem::exists(Object("bbbbbbbbbb") + ".index"));
  EXPECT_LE(store->used(), 25u);
}

TEST_F(StoreTest, WhatAJobUsesStays) {
  auto store = Open(15);
  Put(*store, "aaaaaaaaaa", "used");
  const auto refused = store->Begin(DigestOfText("bbbbbbbbbb"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kResource);
  EXPECT_NE(refused.error().text.find("running jobs use 10 B"), std::string::npos)
      << refused.error().text;
  Forget("used");
  EXPECT_TRUE(store->Begin(DigestOfText("bbbbbbbbbb")));
}

TEST_F(StoreTest, MoreThanTheCapIsRefusedWithNumbers) {
  const auto refused = Open(5)->Begin(DigestOfText("content"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("7 B does not fit"), std::string::npos);
  EXPECT_NE(refused.error().text.find("may hold 5 B"), std::string::npos);
}

TEST_F(StoreTest, BlocksOfOtherFilesAreFound) {
  auto store = Open();
  const std::string old = std::string(kBlockBytes, 'a') + std::string(kBlockBytes, 'b') + "tail";
  Put(*store, old, "old");
  EXPECT_EQ(store->FindBlock(BlockDigest("tail")), "tail");
  EXPECT_EQ(store->FindBlock(BlockDigest(std::string(kBlockBytes, 'b'))),
            std::string(kBlockBytes, 'b'));
  EXPECT_FALSE(store->FindBlock(BlockDigest("new")));
}

TEST_F(StoreTest, ADamagedBlockIsNone) {
  auto store = Open();
  Put(*store, "content", "old");
  ASSERT_EQ(::chmod(Object("content").c_str(), 0700), 0);
  std::ofstream(Object("content"), std::ios::in) << "CONTENT";
  EXPECT_FALSE(store->FindBlock(BlockDigest("content")));
}

TEST_F(StoreTest, ADirectoryThatIsNotOursAloneIsRefused) {
  ASSERT_EQ(::mkdir(Root().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(Root().c_str(), 0755), 0);
  const auto store = Store::Open({StoreKind::kDirectory, dir_, 0}, "");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::kPermission);
  ::rmdir(Root().c_str());
  ASSERT_EQ(::symlink("/tmp", Root().c_str()), 0);
  EXPECT_FALSE(Store::Open({StoreKind::kDirectory, dir_, 0}, ""));
}

TEST_F(StoreTest, EveryPlaceThatWillNotDoIsNamed) {
  const auto store = Store::Open({StoreKind::kDirectory, "/no/such", 0}, "");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::kResource);
  EXPECT_NE(store.error().text.find("/no/such: No such file"), std::string::npos)
      << store.error().text;
}

TEST(SizeText, Table) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(999), "999 B");
  EXPECT_EQ(SizeText(1500), "1.5 kB");
  EXPECT_EQ(SizeText(4'294'967'296), "4.3 GB");
}

}  // namespace
}  // namespace rex
