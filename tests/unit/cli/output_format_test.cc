#include "launcher/cli/output_format.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include "launcher/cli/console.h"

namespace rex {
namespace {

constexpr OutputStream kOut = OutputStream::kStdout;
constexpr OutputStream kErr = OutputStream::kStderr;

TEST(LineTagger, TagsEachLine) {
  LineTagger tagger(/*rank=*/true, /*timestamp=*/false);
  EXPECT_EQ(tagger.Tag(0, kOut, "a\nb\n", 0), "[1,0]<stdout>:a\n[1,0]<stdout>:b\n");
  EXPECT_EQ(tagger.Tag(12, kErr, "\n", 0), "[1,12]<stderr>:\n");
  EXPECT_EQ(tagger.Tag(0, kOut, "", 0), "");
}

TEST(LineTagger, ALineInPartsIsTaggedOnce) {
  LineTagger tagger(/*rank=*/true, /*timestamp=*/false);
  EXPECT_EQ(tagger.Tag(0, kOut, "par", 0), "[1,0]<stdout>:par");
  EXPECT_EQ(tagger.Tag(0, kErr, "e", 0), "[1,0]<stderr>:e");
  EXPECT_EQ(tagger.Tag(1, kOut, "x\n", 0), "[1,1]<stdout>:x\n");
  EXPECT_EQ(tagger.Tag(0, kOut, "t\nnext", 0), "t\n[1,0]<stdout>:next");
  EXPECT_EQ(tagger.Tag(0, kErr, "\n", 0), "\n");
  EXPECT_EQ(tagger.Tag(0, kErr, "f\n", 0), "[1,0]<stderr>:f\n");
}

TEST(LineTagger, TimeComesBeforeTheRankAsInMpirun) {
  ASSERT_EQ(::setenv("TZ", "UTC", 1), 0);
  ::tzset();
  LineTagger both(true, true);
  EXPECT_EQ(both.Tag(3, kOut, "x\n", 86400), "Fri Jan  2 00:00:00 1970[1,3]<stdout>:x\n");
  LineTagger time(false, true);
  EXPECT_EQ(time.Tag(3, kErr, "x\n", 86400), "Fri Jan  2 00:00:00 1970<stderr>:x\n");
}

TEST(ConsoleLine, CannotSteerTheTerminal) {
  EXPECT_EQ(ConsoleLine("a\tb\nc\x1b[0m\x7f"), "rexlaunch: a b c?[0m?\n");
}

}  // namespace
}  // namespace rex
