#include "launcher/cli/output_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "launcher/base/private_dir.h"

namespace rex {
namespace {

class OutputFilesTest : public ::testing::Test {
 protected:
  OutputFilesTest() {
    std::string dir = ::testing::TempDir() + "/rex-output-XXXXXX";
    EXPECT_NE(::mkdtemp(dir.data()), nullptr);
    dir_ = dir;
  }
  ~OutputFilesTest() override { RemoveTree(dir_); }
  std::string Text(const std::string& name) {
    const auto text = ReadFile(dir_ + "/" + name);
    return text ? *text : "(" + text.error().text + ")";
  }
  std::string dir_;
};

TEST_F(OutputFilesTest, OneDirectoryPerRankAsMpirun) {
  OutputFiles files("", dir_ + "/d", 12);
  ASSERT_TRUE(files.Write(3, OutputStream::kStdout, "a\n"));
  ASSERT_TRUE(files.Write(3, OutputStream::kStderr, "e"));
  ASSERT_TRUE(files.Write(3, OutputStream::kStdout, "b"));
  EXPECT_EQ(Text("d/1/rank.03/stdout"), "a\nb");
  EXPECT_EQ(Text("d/1/rank.03/stderr"), "e");
}

TEST_F(OutputFilesTest, TheNumberOfRanksMayBeSaidLater) {
  OutputFiles files("", dir_ + "/d", 0);
  files.SetRanks(100);
  ASSERT_TRUE(files.Write(3, OutputStream::kStdout, "a\n"));
  EXPECT_EQ(Text("d/1/rank.003/stdout"), "a\n");
}

TEST_F(OutputFilesTest, OneFilePerRankForBothStreams) {
  OutputFiles files(dir_ + "/f", "", 2);
  ASSERT_TRUE(files.Write(1, OutputStream::kStdout, "a\n"));
  ASSERT_TRUE(files.Write(1, OutputStream::kStderr, "e\n"));
  EXPECT_EQ(Text("f.1"), "a\ne\n");
}

TEST_F(OutputFilesTest, AFailureIsToldOnce) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/plain", "x"));
  OutputFiles files("", dir_ + "/plain/below", 1);
  const auto first = files.Write(0, OutputStream::kStdout, "a");
  ASSERT_FALSE(first);
  EXPECT_NE(first.error().text.find("plain/below"), std::string::npos);
  EXPECT_TRUE(files.Write(0, OutputStream::kStdout, "b"));
}

}  // namespace
}  // namespace rex
