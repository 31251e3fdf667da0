#include "launcher/agent/program_dirs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace rex {
namespace {

namespace fs = std::filesystem;

Image ImageOf(const std::string& content, const std::string& place = "/home/u/app") {
  Image image;
  ImageFile file;
  file.path = file.place = place;
  file.digest.bytes = content.size();
  file.digest.blocks = {BlockDigest(content)};
  file.digest.whole = WholeDigest(content.size(), file.digest.blocks);
  image.files = {file};
  return image;
}

class ProgramDirsTest : public ::testing::Test {
 protected:
  ProgramDirsTest()
      : root_("/tmp/program-dirs-" + std::to_string(::getpid())),
        dirs_(loop_, root_ + "/memory", root_ + "/disk") {}
  ~ProgramDirsTest() override { fs::remove_all(root_); }
  // As if the image were put together there.
  std::string Use(JobNumber job, const Image& image) {
    const ImageDirs dirs = dirs_.Use(job, image);
    fs::create_directories(dirs.memory);
    return dirs.memory;
  }
  EventLoop loop_;
  const std::string root_;
  ProgramDirs dirs_;
};

TEST(ContentKey, TellsContentsPlacesAndModesApart) {
  Image always = ImageOf("a");
  always.always = true;
  Image executable = ImageOf("a");
  executable.files[0].executable = true;
  const std::set<std::string> keys = {
      ContentKey(ImageOf("a")), ContentKey(ImageOf("b")), ContentKey(ImageOf("a", "/home/u/b")),
      ContentKey(always),       ContentKey(executable),   ContentKey(Image{})};
  EXPECT_EQ(keys.size(), 6u);
  EXPECT_EQ(ContentKey(ImageOf("a")), ContentKey(ImageOf("a")));
}

TEST(ContentKey, EveryFileOfALargeImageCounts) {
  Image image;
  for (int i = 0; i < 5000; ++i) image.files.push_back(ImageOf("a").files[0]);
  const std::string key = ContentKey(image);
  for (const size_t i : {0UL, 2500UL, 4999UL}) {
    Image other = image;
    other.files[i].place = "/home/u/bpp";
    EXPECT_NE(ContentKey(other), key) << i;
  }
}

TEST_F(ProgramDirsTest, JobsOfOneImageShareADirectoryAlsoLater) {
  const std::string first = Use(1, ImageOf("a"));
  EXPECT_EQ(Use(2, ImageOf("a")), first);
  dirs_.Release(1);
  dirs_.Release(2);
  EXPECT_TRUE(fs::exists(first));
  EXPECT_EQ(Use(3, ImageOf("a")), first);
  EXPECT_NE(Use(4, ImageOf("b")), first);
  EXPECT_EQ(dirs_.size(), 2u);
}

TEST_F(ProgramDirsTest, TooManyThatNobodyUsesGoTheOldestFirst) {
  std::vector<std::string> made;
  for (JobNumber job = 1; job <= ProgramDirs::kMostIdle + 1; ++job) {
    made.push_back(Use(job, ImageOf(std::to_string(job))));
    dirs_.Release(job);
  }
  const std::string used = Use(100, ImageOf("used"));
  EXPECT_FALSE(fs::exists(made[0]));
  for (size_t i = 1; i < made.size(); ++i) EXPECT_TRUE(fs::exists(made[i])) << i;
  EXPECT_TRUE(fs::exists(used));
}

// The store may have no more than this, and can't remove what is linked here.
TEST_F(ProgramDirsTest, TheStoresCapLeavesNoRoomForIdleOnes) {
  Image small = ImageOf("small");
  small.store.most_bytes = 8;
  const std::string first = Use(1, small);
  const std::string running = Use(2, ImageOf("r"));
  dirs_.Release(1);
  Image next = ImageOf("next");
  next.store.most_bytes = 8;
  Use(3, next);
  EXPECT_FALSE(fs::exists(first));
  EXPECT_TRUE(fs::exists(running));
}

TEST_F(ProgramDirsTest, AJobWithoutAnImageIsNoMatter) {
  dirs_.Release(7);
  EXPECT_EQ(dirs_.size(), 0u);
}

}  // namespace
}  // namespace rex
