#include "launcher/base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace rex {
namespace {

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
bool IsCloseOnExec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

class TempFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(dir_.data()), nullptr); }
  void TearDown() override {
    ::unlink(Path().c_str());
    ::rmdir(dir_.c_str());
  }
  std::string Path() const { return dir_ + "/file"; }
  std::string dir_ = ::testing::TempDir() + "fd_test.XXXXXX";
};

TEST(UniqueFd, ClosesAtTheEnd) {
  int number = -1;
  {
    const UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = fd.get();
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFd, MovesOwnership) {
  UniqueFd a(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = a.get();
  UniqueFd b(std::move(a));
  EXPECT_FALSE(static_cast<bool>(a));  // NOLINT: that is the claim
  EXPECT_EQ(b.get(), number);
  UniqueFd c(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int replaced = c.get();
  c = std::move(b);
  EXPECT_EQ(c.get(), number);
  EXPECT_FALSE(IsOpen(replaced));
  UniqueFd& same = c;
  c = std::move(same);
  EXPECT_TRUE(IsOpen(number));
  EXPECT_EQ(UniqueFd(c.Release()).get(), number);
  EXPECT_FALSE(IsOpen(number));
}

TEST(Pairs, AreCloseOnExec) {
  for (auto* make : {&MakePipe, &MakeStreamPair, &MakeSeqpacketPair}) {
    auto pair = make();
    ASSERT_TRUE(pair.has_value());
    EXPECT_TRUE(IsCloseOnExec(pair->first.get()));
    EXPECT_TRUE(IsCloseOnExec(pair->second.get()));
    ASSERT_TRUE(WriteAll(pair->second.get(), "ab").has_value());
    char bytes[4] = {};
    EXPECT_EQ(::read(pair->first.get(), bytes, sizeof bytes), 2);
  }
}

TEST(Pairs, CloseOnExecCanBeCleared) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  EXPECT_TRUE(ClearCloseOnExec(pipe->first.get()).has_value());
  EXPECT_FALSE(IsCloseOnExec(pipe->first.get()));
  EXPECT_FALSE(ClearCloseOnExec(-1).has_value());
}

TEST(Pairs, RunningOutOfDescriptorsIsAResourceError) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto pipe = MakePipe();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(pipe.has_value());
  EXPECT_EQ(pipe.error().code, Errc::kResource);
  EXPECT_EQ(pipe.error().sys_errno, EMFILE);
}

TEST(SetNonBlocking, MakesReadsReturn) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  ASSERT_TRUE(SetNonBlocking(pipe->first.get()).has_value());
  char byte = 0;
  EXPECT_EQ(::read(pipe->first.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(TempFile, IsWrittenAtomicallyAndReadBack) {
  const std::string bytes(100'000, 'x');
  ASSERT_TRUE(WriteFileAtomically(Path(), "old").has_value());
  ASSERT_TRUE(WriteFileAtomically(Path(), bytes).has_value());
  const auto read = ReadFile(Path());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, bytes);
  struct stat st {};
  ASSERT_EQ(::stat(Path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(TempFile, LargerThanTheBoundIsRefused) {
  ASSERT_TRUE(WriteFileAtomically(Path(), "12345").has_value());
  EXPECT_TRUE(ReadFile(Path(), 5).has_value());
  const auto read = ReadFile(Path(), 4);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::kInvalid);
}

TEST_F(TempFile, MissingIsNotFoundAndNamesThePath) {
  const auto read = ReadFile(Path());
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, Errc::kNotFound);
  EXPECT_NE(read.error().text.find(Path()), std::string::npos);
  EXPECT_FALSE(WriteFileAtomically(dir_ + "/no/file", "").has_value());
}

TEST(RaiseOpenFileLimit, RaisesAsFarAsThisUserMayAndTellsTheNewOne) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const uint64_t told = RaiseOpenFileLimit(1);  // nothing wanted beyond the hard limit
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  EXPECT_EQ(after.rlim_max, before.rlim_max);
  EXPECT_EQ(told, after.rlim_cur);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace rex
