// rexlaunch in orted's and prted's place, with scripts and programs that stand in for them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

const std::vector<std::string> kOrteWords = {"-mca", "ess", "env", "-mca", "ess_base_jobid", "7"};
const std::vector<std::string> kPrrteWords = {"--prtemca", "ess",   "env",    "--prtemca",
                                              "prte_uri",  "a;b c", "--leave"};
// Its words, each in brackets, what it sees of hwloc, and the room for descriptors.
constexpr const char* kDaemon = R"(#!/bin/sh
echo "${0##*/}"
for word; do echo "[$word]"; done
echo "hwloc=${HWLOC_COMPONENTS-unset}"
while read -r name value; do [ "$name" = FDSize: ] && echo "FDSize=$value"; done < /proc/$$/status
exit 3
)";

class DaemonTest : public RexTest {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir()); }
  std::string dir() { return left().work_dir() + "/bin"; }
  void AddDaemon(const std::string& name) { WriteFile("bin/" + name, kDaemon, 0755); }
  CommandResult AsDaemon(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return Rex(words, {.set_env = {{"PATH", dir()}}});
  }
};

std::string Bracketed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += "[" + word + "]\n";
  return text;
}

int Room(const std::string& out) {
  const size_t at = out.find("FDSize=");
  return at == std::string::npos ? -1 : std::stoi(out.substr(at + 7));
}

TEST_F(DaemonTest, PrtedGetsItsWordsAsTheyAre) {
  AddDaemon("prted");
  AddDaemon("orted");
  const CommandResult result = AsDaemon({"--rex-verbose"}, kPrrteWords);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out.find("prted\n" + Bracketed(kPrrteWords) + "hwloc=unset\n"), 0u) << result;
}

TEST_F(DaemonTest, OrtedHasRoomForRanksDescriptors) {
  AddDaemon("orted");
  const CommandResult result = AsDaemon({}, kOrteWords);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out.find("orted\n" + Bracketed(kOrteWords)), 0u) << result;
  EXPECT_GE(Room(result.out), 1024);
  CommandOptions few{.set_env = {{"PATH", dir()}}};
  few.limits = {{RLIMIT_NOFILE, {100, 100}}};
  EXPECT_EQ(Rex(kOrteWords, few).exit_code, 3);
}

TEST_F(DaemonTest, PlainIsOrtedAlone) {
  AddDaemon("orted");
  const CommandResult result = AsDaemon({"--rex-plain"}, kOrteWords);
  EXPECT_EQ(result.out.find("orted\n" + Bracketed(kOrteWords) + "hwloc=unset\n"), 0u) << result;
  EXPECT_LT(Room(result.out), 1024);
}

TEST_F(DaemonTest, AMissingDaemonIsNamed) {
  for (const auto& [words, name] : {std::pair{kOrteWords, "'orted'"}, {kPrrteWords, "'prted'"}}) {
    const CommandResult result = AsDaemon({}, words);
    EXPECT_EQ(result.exit_code, kExitNotFound);
    EXPECT_NE(result.err.find(name), std::string::npos) << result;
    EXPECT_NE(result.err.find(dir()), std::string::npos) << result;
  }
}

TEST_F(DaemonTest, ASlipIsNamed) {
  AddDaemon("orted");
  const CommandResult result = AsDaemon({"--rex-exce"}, kOrteWords);
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_NE(result.err.find("'--rex-exce'"), std::string::npos) << result;
}

}  // namespace
}  // namespace rex::testing
