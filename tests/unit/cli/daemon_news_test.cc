#include "launcher/cli/daemon_news.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(ParseDaemonEnd, BothForms) {
  auto end = ParseDaemonEnd("agent signal 9 pid 123");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->name, "agent");
  EXPECT_EQ(end->status.signal, 9);
  EXPECT_EQ(end->pid, 123);
  end = ParseDaemonEnd("host exit 134 pid 7");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->status.signal, 0);
  EXPECT_EQ(end->status.code, 134);
}

TEST(ParseDaemonEnd, NothingElse) {
  for (const char* line :
       {"", "agent", "agent signal 9", "agent signal 9 pid", "agent signal 0 pid 1",
        "agent signal 65 pid 1", "agent exit 256 pid 1", "agent left 9 pid 1",
        "agent signal 9 PID 1", "agent signal 9 pid 1 x", "agent  signal 9 pid 1",
        "agent signal -9 pid 1", " signal 9 pid 1", "agent signal 9 pid 99999999999"}) {
    EXPECT_FALSE(ParseDaemonEnd(line)) << line;
  }
}

TEST(LostHeadLines, NamesTheFirstAsTheCause) {
  const std::vector<DaemonEnd> ends = {
      {"host", {.code = 0, .signal = 9}, 77}, {"agent", {.code = 1}, 78}, {"spawner", {}, 79}};
  EXPECT_EQ(LostHeadLines(ends, "closed"),
            (std::vector<std::string>{
                "rex's host (pid 77) was ended by signal 9 (Killed); the job was ended",
                "  then rex's agent (pid 78) exited with code 1",
                "  somebody killed it, or the kernel did for lack of memory ('dmesg' tells); run "
                "the job again"}));
}

TEST(LostHeadLines, ACrashIsToBeReported) {
  EXPECT_EQ(LostHeadLines({{"agent", {.signal = 6}, 78}}, "closed"),
            (std::vector<std::string>{
                "rex's agent (pid 78) was ended by signal 6 (Aborted); the job was ended",
                "  run it again with REX_LOG=debug set; if it fails again, please report those "
                "lines"}));
}

TEST(LostHeadLines, WithoutNewsTheConnectionIsNamed) {
  EXPECT_EQ(LostHeadLines({}, "malformed Notice")[0],
            "the connection to rex's agent was lost (malformed Notice); the job was ended");
}

}  // namespace
}  // namespace rex
