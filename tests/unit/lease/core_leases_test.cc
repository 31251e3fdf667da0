// Lock files of cores, and what others may leave under their names.
#include "launcher/lease/core_leases.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "launcher/base/private_dir.h"

namespace rex {
namespace {

class CoreLeasesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/rexlease-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    ASSERT_EQ(::chmod(name, 01777), 0);
  }
  void TearDown() override { RemoveTree(dir_); }
  std::string File(uint32_t core) const { return dir_ + "/core-" + std::to_string(core); }

  // In a process of an ordinary user; skips the test when we are none who can be others.
  void AsUser(uid_t uid, const std::function<bool()>& action) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const bool other = ::setgid(uid) == 0 && ::setuid(uid) == 0;
      ::_exit(!other ? 2 : action() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "only root can be two users";
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }

  std::string dir_;
};

TEST_F(CoreLeasesTest, ACoreIsHeldByOneAndFreeAgainWhenGivenBack) {
  CoreLeases first(dir_);
  CoreLeases second(dir_);
  ASSERT_TRUE(first.usable());
  EXPECT_FALSE(first.HeldByOthers(3));
  EXPECT_TRUE(first.Take(3));
  EXPECT_TRUE(first.Take(3)) << "ours already";
  EXPECT_FALSE(first.HeldByOthers(3)) << "nobody else";
  EXPECT_TRUE(second.HeldByOthers(3));
  EXPECT_FALSE(second.Take(3));
  EXPECT_TRUE(second.Take(4));
  EXPECT_EQ(first.cores(), std::vector<uint32_t>{3});
  first.GiveBack(3);
  first.GiveBack(5);
  EXPECT_TRUE(second.Take(3));
}

TEST_F(CoreLeasesTest, LookingTakesNothing) {
  const CoreLeases one(dir_);
  CoreLeases two(dir_);
  EXPECT_FALSE(one.HeldByOthers(0));
  EXPECT_TRUE(two.Take(0));
}

TEST_F(CoreLeasesTest, ACopyOfTheDescriptorKeepsTheCore) {
  UniqueFd copy;
  CoreLeases other(dir_);
  {
    CoreLeases leases(dir_);
    ASSERT_TRUE(leases.Take(0));
    ASSERT_EQ(leases.fds().size(), 1u);
    copy.Reset(::fcntl(leases.fds()[0], F_DUPFD_CLOEXEC, 3));
  }
  EXPECT_FALSE(other.Take(0));
  copy.Reset();
  EXPECT_TRUE(other.Take(0));
}

TEST_F(CoreLeasesTest, GivingBackHoldsForAllCopies) {
  CoreLeases leases(dir_);
  ASSERT_TRUE(leases.Take(0));
  const UniqueFd copy(::fcntl(leases.fds()[0], F_DUPFD_CLOEXEC, 3));
  leases.GiveBackAll();
  EXPECT_TRUE(CoreLeases(dir_).Take(0));
}

TEST_F(CoreLeasesTest, FilesAreForEverybodyWhateverTheUmask) {
  const mode_t before = ::umask(077);
  EXPECT_TRUE(CoreLeases(dir_).Take(0));
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(File(0).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
  EXPECT_EQ(info.st_size, 0);
}

TEST_F(CoreLeasesTest, WhatIsNoLockFileCountsAsHeldAndIsLeftAlone) {
  ASSERT_EQ(::symlink("/etc/passwd", File(0).c_str()), 0);
  ASSERT_EQ(::symlink(File(9).c_str(), File(1).c_str()), 0);  // dangling
  ASSERT_EQ(::mkfifo(File(2).c_str(), 0666), 0);
  ASSERT_EQ(::mkdir(File(3).c_str(), 0777), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", File(4).c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  CoreLeases leases(dir_);
  for (uint32_t core = 0; core < 5; ++core) {
    EXPECT_TRUE(leases.HeldByOthers(core)) << core;
    EXPECT_FALSE(leases.Take(core)) << core;
  }
  EXPECT_FALSE(std::filesystem::exists(File(9))) << "made through a link";
  EXPECT_TRUE(leases.cores().empty());
}

TEST_F(CoreLeasesTest, TheSizeOfAFileDoesNotMatter) {
  const UniqueFd huge(::open(File(0).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  ASSERT_EQ(::ftruncate(huge.get(), off_t{1} << 40), 0);
  CoreLeases leases(dir_);
  EXPECT_TRUE(leases.Take(0));
  struct stat info {};
  ASSERT_EQ(::stat(File(0).c_str(), &info), 0);
  EXPECT_EQ(info.st_size, off_t{1} << 40);
}

TEST_F(CoreLeasesTest, AReadersLockHoldsACoreToo) {
  const UniqueFd fd(::open(File(0).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  struct flock lock {};
  lock.l_type = F_RDLCK;
  ASSERT_EQ(::fcntl(fd.get(), F_OFD_SETLK, &lock), 0);
  CoreLeases leases(dir_);
  EXPECT_TRUE(leases.HeldByOthers(0));
  EXPECT_FALSE(leases.Take(0));
}

// fs.leases: a file's owner may have every open of it wait for 45 s.
TEST_F(CoreLeasesTest, AFileWhoseOwnerWantsToBeAskedIsNotWaitedFor) {
  const UniqueFd fd(::open(File(0).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (::fcntl(fd.get(), F_SETLEASE, F_WRLCK) != 0) GTEST_SKIP() << "no leases on files here";
  ::fcntl(fd.get(), F_SETSIG, SIGCHLD);  // ignored, unlike SIGIO
  EXPECT_TRUE(CoreLeases(dir_).HeldByOthers(0));
}

TEST_F(CoreLeasesTest, WithoutADirectoryNothingIsHeldAndOneLineSaysWhy) {
  CoreLeases leases(dir_ + "/none");
  EXPECT_FALSE(leases.usable());
  EXPECT_FALSE(leases.off());
  EXPECT_TRUE(leases.trouble_is_new());
  EXPECT_EQ(leases.trouble(),
            "cores are not leased: there is no '" + dir_ + "/none' (--leases, REX_LEASES)");
  EXPECT_FALSE(leases.HeldByOthers(0));
  EXPECT_TRUE(leases.Take(0));
  EXPECT_TRUE(leases.fds().empty());
}

TEST_F(CoreLeasesTest, ADirectoryThatOthersCanCleanIsNotUsed) {
  ASSERT_EQ(::chmod(dir_.c_str(), 0777), 0);
  const CoreLeases leases(dir_);
  EXPECT_FALSE(leases.usable());
  EXPECT_NE(leases.trouble().find("has no sticky bit"), std::string::npos) << leases.trouble();
  ASSERT_EQ(::chmod(dir_.c_str(), 0755), 0);
  EXPECT_TRUE(CoreLeases(dir_).usable()) << "ours alone";
  ASSERT_EQ(::symlink(dir_.c_str(), (dir_ + "/link").c_str()), 0);
  EXPECT_FALSE(CoreLeases(dir_ + "/link").usable()) << "a link";
}

TEST_F(CoreLeasesTest, NoneMeansNone) {
  const CoreLeases leases(kNoLeases);
  EXPECT_TRUE(leases.off());
  EXPECT_FALSE(leases.usable());
  EXPECT_EQ(leases.trouble(), "");
}

// ---- two users

TEST_F(CoreLeasesTest, AnotherUsersCoreIsHisUntilHeIsGone) {
  std::array<int, 2> ready{};
  std::array<int, 2> end{};
  ASSERT_EQ(::pipe(ready.data()) + ::pipe(end.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = ::setgid(65534) == 0 && ::setuid(65534) == 0 ? 'y' : 's';
    CoreLeases his(dir_);
    if (byte == 'y' && !his.Take(0)) byte = 'n';
    ::close(end[1]);
    if (::write(ready[1], &byte, 1) == 1) (void)!::read(end[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  CoreLeases leases(dir_);
  const bool held = leases.HeldByOthers(0) && !leases.Take(0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {ready[0], ready[1], end[0], end[1]}) ::close(fd);
  if (byte == 's') GTEST_SKIP() << "only root can be two users";
  EXPECT_EQ(byte, 'y') << "he could not take a core";
  EXPECT_TRUE(held);
  EXPECT_TRUE(leases.Take(0)) << "his file is as good as ours once he is gone";
}

TEST_F(CoreLeasesTest, AFileThatAnotherUserClosesToUsIsHeld) {
  AsUser(65534, [this] {
    const UniqueFd fd(::open(File(0).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return ::fchmod(fd.get(), 0400) == 0;
  });
  if (IsSkipped()) return;
  AsUser(65533, [this] {
    CoreLeases leases(dir_);
    return leases.HeldByOthers(0) && !leases.Take(0) && leases.Take(1);
  });
}

TEST_F(CoreLeasesTest, ADirectoryOfAnotherUserIsNotUsed) {
  ASSERT_EQ(::chmod(dir_.c_str(), 01777), 0);
  if (::chown(dir_.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root can be two users";
  AsUser(65533, [this] {
    const CoreLeases leases(dir_);
    return !leases.usable() && leases.trouble().find("belongs to user 65534") != std::string::npos;
  });
}

TEST_F(CoreLeasesTest, ADirectoryInWhichWeMayMakeNothingHoldsNoCore) {
  ASSERT_EQ(::chmod(dir_.c_str(), 0755), 0);
  if (::chown(dir_.c_str(), 0, 0) != 0) GTEST_SKIP() << "only root can be two users";
  AsUser(65533, [this] {
    CoreLeases leases(dir_);
    return leases.usable() && !leases.HeldByOthers(0) && leases.Take(0) && leases.fds().empty();
  });
}

}  // namespace
}  // namespace rex
