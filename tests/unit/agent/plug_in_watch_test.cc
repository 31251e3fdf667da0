#include "launcher/agent/plug_in_watch.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

using Paths = std::vector<std::string>;

TEST(OwnLibraries, LeavesOutWhatEveryNodeHas) {
  EXPECT_EQ(OwnLibraries({"/home/u/app", "/home/u/lib/libx.so.1", "/usr/lib/libm.so.6",
                          "/home/u/lib/plug.so", "/opt/rex/libexec/rex/librex_template.so",
                          "/home/u/data.socks", "/usr/local/lib/liby.so"},
                         ""),
            (Paths{"/home/u/lib/libx.so.1", "/home/u/lib/plug.so", "/usr/local/lib/liby.so"}));
}

TEST(OwnLibraries, AreCalledAsOnTheHead) {
  const std::string own = "/dev/shm/rex-1/job/image";
  EXPECT_EQ(
      OwnLibraries({own + "/home/u/plug.so", own + "/usr/lib/libz.so.1", own + "2/x.so"}, own),
      (Paths{"/home/u/plug.so", own + "2/x.so"}));
}

TEST(OwnLibraries, WhatIsGoneIsNone) {
  EXPECT_EQ(OwnLibraries({"/home/u/plug.so (deleted)"}, ""), Paths{});
}

TEST(OwnLibraries, AreNotTooMany) {
  EXPECT_EQ(OwnLibraries(Paths(kMaxPlugIns + 9, "/a.so"), "").size(), kMaxPlugIns);
}

class PlugInWatchTest : public ::testing::Test {
 protected:
  PlugInWatchTest()
      : watch_(loop_, {[this](JobNumber) {
                         ++looks_;
                         return samples_;
                       },
                       [this](JobNumber job, PartPlugIns seen) {
                         job_ = job;
                         told_.push_back(std::move(seen));
                       }}) {}
  EventLoop loop_;
  std::vector<Part::Sample> samples_;
  int looks_ = 0;
  JobNumber job_ = 0;
  std::vector<PartPlugIns> told_;
  PlugInWatch watch_;
};

TEST_F(PlugInWatchTest, LooksOnceMoreAfterAWhileAndTellsNewsOnly) {
  samples_ = {{3, ::getpid(), ""}, {4, 0x7fffffff, ""}};  // the second has ended
  watch_.Begin(7);
  EXPECT_EQ(looks_, 0);
  while (looks_ < 2) loop_.RunOnce();
  // This program may have libraries of its own, or none.
  EXPECT_LE(told_.size(), 1u);
  for (const PartPlugIns& seen : told_) EXPECT_EQ(seen.app, 3u);
}

TEST_F(PlugInWatchTest, AnEndedJobIsNotLookedAt) {
  watch_.Begin(7);
  watch_.End(7);
  watch_.Begin(8);
  while (looks_ < 1) loop_.RunOnce();
  EXPECT_EQ(looks_, 1);
}

}  // namespace
}  // namespace rex
