#include "launcher/base/private_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <set>
#include <vector>

namespace rex {
namespace {

bool Exists(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

void Touch(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(static_cast<bool>(fd)) << path;
}

void MakeOlder(const std::string& path, time_t seconds) {
  const timespec then{::time(nullptr) - seconds, 0};
  const timespec both[] = {then, then};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), both, 0), 0);
}

class PrivateDirTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(parent_.data()), nullptr); }
  void TearDown() override { RemoveTree(parent_); }
  std::string parent_ = ::testing::TempDir() + "private_dir_test.XXXXXX";
};

TEST(RandomHex, HasTheLengthAndIsNew) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string hex = RandomHex(17);
    EXPECT_EQ(hex.size(), 17u);
    EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(seen.insert(hex).second);
  }
}

TEST_F(PrivateDirTest, IsForUsAloneAndLocked) {
  auto dir = PrivateDir::Create(parent_);
  ASSERT_TRUE(dir.has_value());
  struct stat st {};
  ASSERT_EQ(::stat(dir->path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  EXPECT_EQ(dir->path().rfind(parent_ + "/rex-", 0), 0u);
  EXPECT_TRUE(RemoveStaleDirs(parent_).empty()) << "in use";
  EXPECT_TRUE(Exists(dir->path()));
}

// What is left of a removal that was killed is a dead one's directory to everybody.
TEST_F(PrivateDirTest, TheLockGoesLast) {
  auto dir = PrivateDir::Create(parent_);
  ASSERT_TRUE(dir.has_value());
  for (const char* name : {"/a", "/lock2", "/z"}) Touch(dir->path() + name);
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watch.get(), dir->path().c_str(), IN_DELETE), 0);
  dir->Remove();
  alignas(inotify_event) std::array<char, 4096> events{};
  const ssize_t n = ::read(watch.get(), events.data(), events.size());
  std::vector<std::string> removed;
  for (ssize_t at = 0; at < n;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    if ((event->mask & IN_DELETE) != 0) removed.emplace_back(event->name);
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  ASSERT_EQ(removed.size(), 4U);
  EXPECT_EQ(removed.back(), "lock");
}

TEST_F(PrivateDirTest, RemoveTakesEverythingInItAndCanBeRepeated) {
  auto dir = PrivateDir::Create(parent_);
  ASSERT_TRUE(dir.has_value());
  const std::string path = dir->path();
  ASSERT_EQ(::mkdir((path + "/sub").c_str(), 0700), 0);
  Touch(path + "/sub/file");
  Touch(parent_ + "/outside");
  ASSERT_EQ(::symlink((parent_ + "/outside").c_str(), (path + "/sub/link").c_str()), 0);
  dir->Remove();
  EXPECT_FALSE(Exists(path));
  EXPECT_TRUE(Exists(parent_ + "/outside")) << "links are not followed";
  dir->Remove();
}

TEST_F(PrivateDirTest, TheDestructorLeavesTheDirectoryButFreesTheLock) {
  std::string path;
  {
    auto dir = PrivateDir::Create(parent_);
    ASSERT_TRUE(dir.has_value());
    path = dir->path();
  }
  EXPECT_TRUE(Exists(path));
  EXPECT_EQ(RemoveStaleDirs(parent_), std::vector<std::string>{path});
  EXPECT_FALSE(Exists(path));
}

TEST_F(PrivateDirTest, StaleWithoutALockOnlyWhenOlderThanAMinute) {
  const std::string young = parent_ + "/rex-0000000000000001";
  const std::string old = parent_ + "/rex-0000000000000002";
  ASSERT_EQ(::mkdir(young.c_str(), 0700), 0);
  ASSERT_EQ(::mkdir(old.c_str(), 0700), 0);
  MakeOlder(old, 120);
  EXPECT_EQ(RemoveStaleDirs(parent_), std::vector<std::string>{old});
  EXPECT_TRUE(Exists(young));
}

TEST_F(PrivateDirTest, OtherNamesFilesAndLinksAreNotStale) {
  const std::string target = parent_ + "/target";
  ASSERT_EQ(::mkdir(target.c_str(), 0700), 0);
  Touch(target + "/lock");
  ASSERT_EQ(::symlink(target.c_str(), (parent_ + "/rex-0000000000000003").c_str()), 0);
  Touch(parent_ + "/rex-0000000000000004");
  ASSERT_EQ(::mkdir((parent_ + "/rex-short").c_str(), 0700), 0);
  MakeOlder(parent_ + "/rex-short", 120);
  EXPECT_TRUE(RemoveStaleDirs(parent_).empty());
  EXPECT_TRUE(Exists(target + "/lock"));
  EXPECT_TRUE(Exists(parent_ + "/rex-short"));
}

TEST_F(PrivateDirTest, AMissingParentIsNamed) {
  const auto dir = PrivateDir::Create(parent_ + "/nowhere");
  ASSERT_FALSE(dir.has_value());
  EXPECT_EQ(dir.error().code, Errc::kNotFound);
  EXPECT_NE(dir.error().text.find(parent_ + "/nowhere"), std::string::npos);
  EXPECT_TRUE(RemoveStaleDirs(parent_ + "/nowhere").empty());
}

}  // namespace
}  // namespace rex
