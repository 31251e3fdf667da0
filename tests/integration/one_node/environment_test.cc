// What a rank inherits: environment, descriptors, masks, limits.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class EnvironmentTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

TEST_F(EnvironmentTest, OursReachesTheRanks) {
  CommandOptions options;
  options.set_env["ANY_OLD_THING"] = "kept \xc3\xa4 as is";
  const CommandResult result = Rex({"-n", "1", Program(), "env", "ANY_OLD_THING"}, options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "env rank=0 ANY_OLD_THING=kept \xc3\xa4 as is\n");
}

// Latin-1, as old scripts and file names have it.
TEST_F(EnvironmentTest, BytesThatAreNotUtf8ReachTheRanks) {
  CommandOptions options;
  options.set_env["LATIN"] = "\xe9t\xe9";
  const CommandResult result =
      Rex({"-n", "1", "-x", "MORE=\xff", "sh", "-c", "echo \"$LATIN $MORE $1\"", "sh", "\xe0"},
          options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "\xe9t\xe9 \xff \xe0\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(EnvironmentTest, ASurroundingJobsIdentityDoesNot) {
  CommandOptions options;
  options.set_env["PMIX_ID"] = "of-another-job.5";
  options.set_env["PMI_RANK"] = "5";
  options.set_env["OMPI_COMM_WORLD_NODE_RANK"] = "77";
  options.set_env["OMPI_COMM_WORLD_RANK"] = "88";
  options.set_env["REX_TEST_SETTING"] = "x";
  const CommandResult result =
      Rex({"-n", "1", Program(), "env", "PMIX_ID", "PMI_RANK", "OMPI_COMM_WORLD_NODE_RANK",
           "OMPI_COMM_WORLD_RANK", "REX_TEST_SETTING"},
          options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "another"), 0u) << result;
  EXPECT_TRUE(Contains(result.out, "PMI_RANK unset"));
  EXPECT_EQ(CountOf(result.out, "77"), 0u) << result;
  EXPECT_TRUE(Contains(result.out, "OMPI_COMM_WORLD_RANK=0"));
  EXPECT_TRUE(Contains(result.out, "REX_TEST_SETTING unset"));
}

TEST_F(EnvironmentTest, AUsersMcaSettingWins) {
  CommandOptions options;
  options.set_env["OMPI_MCA_pml"] = "ob1";
  options.set_env["OMPI_MCA_mtl"] = "^nothing";
  const CommandResult result =
      Rex({"-n", "1", Program(), "env", "OMPI_MCA_pml", "OMPI_MCA_mtl"}, options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out), (std::vector<std::string>{"env rank=0 OMPI_MCA_pml=ob1",
                                                         "env rank=0 OMPI_MCA_mtl=^nothing"}));
}

TEST_F(EnvironmentTest, NoEntryTwice) {
  const CommandResult result = Rex({"-n", "1", "-x", "HOME=/nowhere", Program(), "all-env"});
  ASSERT_TRUE(ExitedWith(result, 0));
  std::vector<std::string> names;
  for (const auto& line : SortedLines(result.out)) names.push_back(line.substr(0, line.find('=')));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << result.out;
}

TEST_F(EnvironmentTest, RanksHaveThreeDescriptorsAndNoMore) {
  // One that rexlaunch itself inherited, and must not pass on.
  const int extra = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(extra, 3);
  const CommandResult result = Rex({"-n", "2", Program(), "inherited"});
  ::close(extra);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "fds rank=0 0 1 2\n"));
  EXPECT_TRUE(Contains(result.out, "fds rank=1 0 1 2\n"));
}

TEST_F(EnvironmentTest, LimitsAndUmaskAreOurs) {
  CommandOptions options;
  options.limits.push_back({RLIMIT_NOFILE, {321, 4096}});
  const mode_t before = ::umask(027);
  const CommandResult result = Rex({"-n", "2", Program(), "inherited"}, options);
  ::umask(before);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "nofile=321 "), 2u) << result;
  EXPECT_EQ(CountOf(result.out, "umask=27 "), 2u) << result;
}

TEST_F(EnvironmentTest, EachRankLeadsItsOwnProcessGroup) {
  const CommandResult result = Rex({"-n", "2", Program(), "inherited"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const size_t second = result.out.find("pgid=", result.out.find("pgid=") + 1);
  EXPECT_NE(NumberAfter(result.out, "pgid"), NumberAfter(result.out, "pgid", second)) << result;
}

TEST_F(EnvironmentTest, ABigEnvironment) {
  CommandOptions options;
  for (int i = 0; i < 100; ++i) {
    options.set_env["BIG_" + std::to_string(i)] = std::string(10'000, 'x');
  }
  EXPECT_TRUE(ExitedWith(Rex({"-n", "2", Program(), "exit", "0"}, options), 0));
}

}  // namespace
}  // namespace rex::testing
