#include "launcher/cli/progress_line.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(ProgressLine, SaysWhatIsWaitedFor) {
  EXPECT_EQ(ProgressLine({JobPhase::kNodes, 3, 16}), "3 of 16 nodes up");
  EXPECT_EQ(ProgressLine({JobPhase::kNodes, 0, 1}), "0 of 1 node up");
  EXPECT_EQ(ProgressLine({JobPhase::kPrepare, 0, 8}), "0 of 8 ranks born");
  EXPECT_EQ(ProgressLine({JobPhase::kBirths, 5, 8}), "5 of 8 ranks born");
  EXPECT_EQ(ProgressLine({JobPhase::kInit, 7, 8}), "7 of 8 ranks in MPI_Init");
  EXPECT_EQ(ProgressLine({JobPhase::kRun, 0, 0}), "");
}

TEST(ProgressLine, SomeTerminalsCannotRewriteLines) {
  EXPECT_TRUE(RewritesLines("xterm-256color"));
  EXPECT_FALSE(RewritesLines("dumb"));
  EXPECT_FALSE(RewritesLines(""));
}

}  // namespace
}  // namespace rex
