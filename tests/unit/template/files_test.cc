#include "launcher/template/template_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/base/fd.h"

namespace rex {
namespace {

TEST(MappedPaths, EachFileOnce) {
  EXPECT_EQ(
      MappedPaths("55e0-55e1 r--p 00000000 08:01 12 /usr/bin/app\n"
                  "55e1-55e2 r-xp 00001000 08:01 12 /usr/bin/app\n"
                  "55e5-55e6 rw-p 00000000 00:00 0 \n"
                  "55e6-55e7 rw-p 00000000 00:00 0                  [heap]\n"
                  "7f00-7f01 r--p 00000000 08:01 13 /lib/with a blank.so\n"
                  "7f02-7f03 r--p 00000000 08:01 14 /lib/gone.so (deleted)\n"
                  "7f04-7f05 rw-s 00000000 00:01 15 /memfd:rex-batch (deleted)\n"
                  "7ffc-7ffd rw-p 00000000 00:00 0 [stack]"),
      (std::vector<std::string>{"/usr/bin/app", "/lib/with a blank.so", "/lib/gone.so (deleted)"}));
  EXPECT_TRUE(MappedPaths("").empty());
}

class Files : public ::testing::Test {
 protected:
  void SetUp() override { Write("one"); }
  void TearDown() override { ::unlink(path_.c_str()); }
  void Write(const std::string& bytes) { ASSERT_TRUE(WriteFileAtomically(path_, bytes)); }
  MappedFile Look() const {
    struct stat st {};
    EXPECT_EQ(::stat(path_.c_str(), &st), 0);
    return {path_,
            st.st_dev,
            st.st_ino,
            static_cast<uint64_t>(st.st_size),
            st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec,
            st.st_ctim.tv_sec * 1'000'000'000 + st.st_ctim.tv_nsec};
  }
  const std::string path_ = ::testing::TempDir() + "mapped_file." + std::to_string(::getpid());
};

TEST_F(Files, Unchanged) { EXPECT_TRUE(StillAsMapped({Look()})); }

TEST_F(Files, ReplacedByOneThatLooksTheSame) {
  const MappedFile was = Look();
  Write("two");
  const std::timespec old[2] = {{was.modified_ns / 1'000'000'000, was.modified_ns % 1'000'000'000},
                                {was.modified_ns / 1'000'000'000, was.modified_ns % 1'000'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), old, 0), 0);
  const Status now = StillAsMapped({was});
  ASSERT_FALSE(now);
  EXPECT_NE(now.error().text.find(path_), std::string::npos);
}

TEST_F(Files, Removed) {
  const MappedFile was = Look();
  ::unlink(path_.c_str());
  EXPECT_FALSE(StillAsMapped({was}));
}

TEST_F(Files, EachFactCounts) {
  for (int i = 0; i < 5; ++i) {
    MappedFile was = Look();
    (i == 0 ? was.device : i == 1 ? was.inode : was.bytes) += i < 3 ? 1 : 0;
    (i == 3 ? was.modified_ns : was.changed_ns) += i >= 3 ? 1 : 0;
    EXPECT_FALSE(StillAsMapped({was})) << i;
  }
}

TEST(ReadMappedFiles, OurOwn) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer maps a file that it has removed";
#endif
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto files = ReadMappedFiles(::getpid(), now);
  ASSERT_TRUE(files.has_value()) << files.error().text;
  EXPECT_TRUE(StillAsMapped(*files));
  EXPECT_FALSE(ReadMappedFiles(::getpid(), std::timespec{1, 0}).has_value())
      << "every file is younger than 1970";
}

TEST(ThreadCount, Ours) {
  EXPECT_GE(ThreadCount(::getpid()), 1u);
  EXPECT_EQ(ThreadCount(1 << 30), 0u);
}

}  // namespace
}  // namespace rex
