#include "launcher/base/dvm_place.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/base/private_dir.h"

namespace rex {
namespace {

class DvmPlaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/dvmplace-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
    root_ = top_ + "/rex-dvm-0";
    link_ = root_ + "/default";
  }
  void TearDown() override { RemoveTree(top_); }
  std::string MakeDir(const std::string& name) {
    std::string dir = top_ + "/" + name;
    EXPECT_EQ(::mkdir(dir.c_str(), 0700), 0);
    return dir;
  }
  static bool Exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
  }
  std::string top_, root_, link_;
};

TEST(DvmNames, AreFileNamesWithoutSurprises) {
  for (const char* good : {"default", "a", "A-1.b_c", "x.y"}) EXPECT_TRUE(IsDvmName(good)) << good;
  for (const char* bad : {"", "none", ".", "..", ".a", "-a", "a/b", "a b", "a\n"}) {
    EXPECT_FALSE(IsDvmName(bad)) << bad;
  }
  EXPECT_TRUE(IsDvmName(std::string(64, 'a')));
  EXPECT_FALSE(IsDvmName(std::string(65, 'a')));
}

TEST_F(DvmPlaceTest, WhoListensIsFoundByName) {
  const std::string dir = MakeDir("d");
  auto listener = ListenInDvm(dir);
  ASSERT_TRUE(listener);
  ASSERT_TRUE(LinkDvm(link_, dir));
  EXPECT_EQ(*DvmDirectory(link_), dir);
  EXPECT_EQ(DvmNames(root_), std::vector<std::string>{"default"});
  auto client = ConnectToDvm(dir);
  ASSERT_TRUE(client) << client.error().text;
  EXPECT_EQ(PeerOf(client->get())->uid, ::geteuid());
  UnlinkDvm(link_, dir);
  EXPECT_FALSE(Exists(root_));
}

TEST_F(DvmPlaceTest, NobodyElseMayConnectToTheSocketFile) {
  const std::string dir = MakeDir("d");
  const auto listener = ListenInDvm(dir);
  struct stat info {};
  ASSERT_EQ(::stat((dir + "/" + kDvmSocketName).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

TEST_F(DvmPlaceTest, APathLongerThanASocketAddressWorks) {
  std::string dir = top_;
  for (int i = 0; i < 5; ++i) {
    dir += "/" + std::string(40, 'x');
    ASSERT_EQ(::mkdir(dir.c_str(), 0700), 0);
  }
  const auto listener = ListenInDvm(dir);
  ASSERT_TRUE(listener);
  EXPECT_TRUE(ConnectToDvm(dir));
}

TEST_F(DvmPlaceTest, OfTwoWithOneNameTheSecondIsRefused) {
  const std::string first = MakeDir("d");
  const std::string second = MakeDir("e");
  const auto listener = ListenInDvm(first);
  const auto other = ListenInDvm(second);
  ASSERT_TRUE(LinkDvm(link_, first));
  const Status refused = LinkDvm(link_, second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalid);
  UnlinkDvm(link_, second);  // not its own
  EXPECT_EQ(*DvmDirectory(link_), first);
}

TEST_F(DvmPlaceTest, AStaleLinkIsReplacedAndRemoved) {
  const std::string dead = MakeDir("d");
  { const auto listener = ListenInDvm(dead); }  // its socket file stays, nobody listens
  ASSERT_TRUE(LinkDvm(link_, dead));
  EXPECT_EQ(ConnectToDvm(dead).error().code, Errc::kNotFound);
  const std::string alive = MakeDir("e");
  const auto listener = ListenInDvm(alive);
  ASSERT_TRUE(LinkDvm(link_, alive));
  RemoveStaleDvm(link_);  // it is not
  EXPECT_EQ(*DvmDirectory(link_), alive);
  RemoveTree(alive);
  RemoveStaleDvm(link_);
  EXPECT_FALSE(Exists(link_));
  EXPECT_FALSE(Exists(root_));
}

TEST_F(DvmPlaceTest, WithoutALinkNothingIsFound) {
  EXPECT_EQ(DvmDirectory(link_).error().code, Errc::kNotFound);
  EXPECT_TRUE(DvmNames(root_).empty());
  RemoveStaleDvm(link_);
  UnlinkDvm(link_, "/nowhere");
  EXPECT_FALSE(Exists(root_));
}

TEST_F(DvmPlaceTest, ADirectoryThatOthersCanWriteToIsNotBelieved) {
  const std::string dir = MakeDir("d");
  ASSERT_TRUE(LinkDvm(link_, dir));
  ASSERT_EQ(::chmod(root_.c_str(), 0770), 0);
  EXPECT_EQ(DvmDirectory(link_).error().code, Errc::kPermission);
  EXPECT_EQ(LinkDvm(root_ + "/other", dir).error().code, Errc::kPermission);
}

TEST_F(DvmPlaceTest, ALinkInPlaceOfTheDirectoryIsNotFollowed) {
  const std::string elsewhere = MakeDir("elsewhere");
  ASSERT_EQ(::symlink(elsewhere.c_str(), root_.c_str()), 0);
  EXPECT_EQ(LinkDvm(link_, elsewhere).error().code, Errc::kPermission);
  EXPECT_FALSE(Exists(elsewhere + "/default"));
}

}  // namespace
}  // namespace rex
