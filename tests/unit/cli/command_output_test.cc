#include "launcher/cli/command_output.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

constexpr size_t kMost = 1000;
constexpr std::chrono::seconds kPatience{60};

TEST(CommandOutput, IsWhatTheProgramPrints) {
  EXPECT_EQ(*CommandOutput({"sh", "-c", "echo a; echo b"}, kMost, kPatience), "a\nb\n");
  EXPECT_EQ(*CommandOutput({"cat"}, kMost, kPatience), "");  // its stdin is empty
}

TEST(CommandOutput, FailuresNameTheProgram) {
  const auto missing = CommandOutput({"no-such-program", "R"}, kMost, kPatience);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_EQ(missing.error().text, "start 'no-such-program R': No such file or directory");
  const auto failed = CommandOutput({"sh", "-c", "exit 3"}, kMost, kPatience);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().text, "'sh -c exit 3' ended with exit code 3");
  const auto killed = CommandOutput({"sh", "-c", "kill -9 $$"}, kMost, kPatience);
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().text, "'sh -c kill -9 $$' was ended by signal 9");
}

TEST(CommandOutput, TooMuchIsRefused) {
  const auto much = CommandOutput({"yes"}, kMost, kPatience);
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().text, "'yes': it prints too much");
}

TEST(CommandOutput, WhoIsLateIsKilled) {
  const auto late = CommandOutput({"sleep", "1000"}, kMost, std::chrono::milliseconds(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout);
  EXPECT_EQ(late.error().text, "'sleep 1000': it has not ended after 1 ms");
  // Also when it has closed its output.
  const auto closed = CommandOutput({"sh", "-c", "exec >&-; exec sleep 1000"}, kMost,
                                    std::chrono::milliseconds(500));
  EXPECT_FALSE(closed);
}

}  // namespace
}  // namespace rex
