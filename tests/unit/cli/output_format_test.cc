#include "launcher/cli/output_format.h"

#include <gtest/gtest.h>

#include "launcher/cli/console.h"

namespace rex {
namespace {

constexpr OutputStream kOut = OutputStream::kStdout;
constexpr OutputStream kErr = OutputStream::kStderr;

TEST(LineTagger, TagsEachLine) {
  LineTagger tagger;
  EXPECT_EQ(tagger.Tag(0, kOut, "a\nb\n"), "[1,0]<stdout>:a\n[1,0]<stdout>:b\n");
  EXPECT_EQ(tagger.Tag(12, kErr, "\n"), "[1,12]<stderr>:\n");
  EXPECT_EQ(tagger.Tag(0, kOut, ""), "");
}

TEST(LineTagger, ALineInPartsIsTaggedOnce) {
  LineTagger tagger;
  EXPECT_EQ(tagger.Tag(0, kOut, "par"), "[1,0]<stdout>:par");
  EXPECT_EQ(tagger.Tag(0, kErr, "e"), "[1,0]<stderr>:e");
  EXPECT_EQ(tagger.Tag(1, kOut, "x\n"), "[1,1]<stdout>:x\n");
  EXPECT_EQ(tagger.Tag(0, kOut, "t\nnext"), "t\n[1,0]<stdout>:next");
  EXPECT_EQ(tagger.Tag(0, kErr, "\n"), "\n");
  EXPECT_EQ(tagger.Tag(0, kErr, "f\n"), "[1,0]<stderr>:f\n");
}

TEST(ConsoleLine, CannotSteerTheTerminal) {
  EXPECT_EQ(ConsoleLine("a\tb\nc\x1b[0m\x7f"), "rexlaunch: a b c?[0m?\n");
}

}  // namespace
}  // namespace rex
