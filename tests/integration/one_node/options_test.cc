// What each option of rexlaunch does.
#include <unistd.h>

#include <algorithm>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class OptionsTest : public RexTest {
 protected:
  static std::string Program() { return ProgramPath("testprog"); }
};

class RanksOption : public OptionsTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RanksOption, StartsThatMany) {
  const CommandResult result =
      Rex({GetParam(), "3", "--oversubscribe", Program(), "print", "x\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "x\nx\nx\n");
}

INSTANTIATE_TEST_SUITE_P(All, RanksOption,
                         ::testing::Values("-n", "-np", "-c", "--n", "--np", "--c"),
                         [](const auto& param) {
                           return "Spelling" + std::to_string(param.index);
                         });

TEST_F(OptionsTest, WithoutANumberOneRankPerCore) {
  const CommandResult result = Rex({Program(), "print", "x\\n"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_GE(Lines(result.out).size(), 1u);
}

TEST_F(OptionsTest, SeveralProgramsAreRankedInTheirOrder) {
  const CommandResult result = Rex(
      {"-n", "2", Program(), "args", "first", ":", "-n", "1", Program(), "args", "second", "word"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out),
            (std::vector<std::string>{"args rank=0 [first]", "args rank=1 [first]",
                                      "args rank=2 [second] [word]"}));
}

TEST_F(OptionsTest, WordsReachTheProgramAsTheyAre) {
  const CommandResult result =
      Rex({"-n", "1", Program(), "args", "", "two words", "-n", "--version", "*", "a\"b'c\\"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "args rank=0 [] [two words] [-n] [--version] [*] [a\"b'c\\]\n");
}

TEST_F(OptionsTest, AProgramInThePath) {
  const CommandResult result = Rex({"-n", "2", "echo", "hello"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "hello\nhello\n");
}

TEST_F(OptionsTest, AProgramBesideUs) {
  WriteFile("here.sh", "#!/bin/sh\necho \"$0 ran\"\n", 0755);
  const CommandResult result = Rex({"-n", "1", "./here.sh"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "here.sh ran"));
}

TEST_F(OptionsTest, DirectoryOfARank) {
  const CommandResult result =
      Rex({"-n", "1", "--wdir", "/usr", Program(), "cwd", ":", "-n", "1", Program(), "cwd"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(
      SortedLines(result.out),
      (std::vector<std::string>{"cwd rank=0 dir=/usr", "cwd rank=1 dir=" + left().work_dir()}));
}

TEST_F(OptionsTest, ARelativeDirectory) {
  const CommandResult result = Rex({"-n", "1", "--wdir", "..", Program(), "cwd"});
  ASSERT_TRUE(ExitedWith(result, 0));
  const std::string parent = left().work_dir().substr(0, left().work_dir().rfind('/'));
  EXPECT_EQ(result.out, "cwd rank=0 dir=" + parent + "\n");
}

TEST_F(OptionsTest, VariablesByValueAndByName) {
  CommandOptions options;
  options.set_env["COLOUR"] = "green";
  const CommandResult result = Rex({"-n", "1", "-x", "COLOUR", "-x", "SIZE=a b=c", "-x",
                                    "EMPTY=", Program(), "env", "COLOUR", "SIZE", "EMPTY"},
                                   options);
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.out),
            (std::vector<std::string>{"env rank=0 COLOUR=green", "env rank=0 SIZE=a b=c",
                                      "env rank=0 EMPTY="}));
}

TEST_F(OptionsTest, VariablesOfOneProgramOnly) {
  const CommandResult result = Rex({"-n", "1", "-x", "WHO=first", Program(), "env", "WHO", ":",
                                    "-n", "1", Program(), "env", "WHO"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(SortedLines(result.out),
            (std::vector<std::string>{"env rank=0 WHO=first", "env rank=1 WHO unset"}));
}

TEST_F(OptionsTest, McaParametersAreVariables) {
  const CommandResult result =
      Rex({"-n", "1", "--mca", "btl", "vader,self", Program(), "env", "OMPI_MCA_btl", ":", "-n",
           "1", Program(), "env", "OMPI_MCA_btl"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "env rank=0 OMPI_MCA_btl=vader,self\n"));
  EXPECT_FALSE(Contains(result.out, "env rank=1 OMPI_MCA_btl=vader,self\n")) << result;
}

TEST_F(OptionsTest, MoreRanksThanCoresIsSaidOnce) {
  const CommandResult result = Rex({"-n", "130", Program(), "exit", "0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(Lines(result.err).size(), 1u) << result;
  EXPECT_TRUE(StderrNames(result, {"130", "core"}));
}

TEST_F(OptionsTest, MoreRanksThanCoresOnPurposeIsNotSaid) {
  for (const char* option : {"--oversubscribe", "--quiet"}) {
    const CommandResult result = Rex({"-n", "130", option, Program(), "exit", "0"});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(result.err, "") << option;
  }
}

TEST_F(OptionsTest, MoreRanksThanCoresYieldWhileTheyWait) {
  const CommandResult result = Rex({"-n", "130", "-q", Program(), "at", "7", "env",
                                    "OMPI_MCA_mpi_yield_when_idle", "OMPI_MCA_mpi_oversubscribe"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "=1\n")) << result;
}

TEST_F(OptionsTest, QuietStillTellsOfFailures) {
  const CommandResult result = Rex({"-n", "1", "--quiet", Program(), "exit", "5"});
  EXPECT_TRUE(ExitedWith(result, 5));
  EXPECT_TRUE(StderrNames(result, {"rank 0"}));
}

TEST_F(OptionsTest, VerboseTellsWhereRanksAreAndWhatWasLeftOut) {
  const CommandResult result = Rex({"-n", "2", "--verbose", Program(), "exit", "0"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"rank 0", "rank 1", "pid", "psm"}));
}

TEST_F(OptionsTest, TimeoutReportShowsEachRank) {
  const CommandResult result =
      Rex({"-n", "2", "--timeout=1.5", "--report-state-on-timeout", Program(), "sleep", "60000"});
  EXPECT_TRUE(ExitedWith(result, kExitTimeout));
  EXPECT_TRUE(StderrNames(result, {"rank 0", "rank 1", "pid", "state", "MPI_Init"}));
}

TEST_F(OptionsTest, TimeoutFromTheEnvironment) {
  CommandOptions options;
  options.set_env["MPIEXEC_TIMEOUT"] = "1";
  EXPECT_TRUE(ExitedWith(Rex({"-n", "1", Program(), "sleep", "60000"}, options), kExitTimeout));
}

TEST_F(OptionsTest, AJobWithinItsTimeEndsAsUsual) {
  EXPECT_TRUE(ExitedWith(Rex({"-n", "1", "--timeout", "60", Program(), "exit", "0"}), 0));
}

TEST_F(OptionsTest, NoGraceAtAll) {
  const CommandResult result =
      Rex({"-n", "2", "--grace", "0", Program(), "at", "1", "then", "sleep", "300", ",", "exit",
           "3", "else", "ignore-term", "60000"});
  EXPECT_TRUE(ExitedWith(result, 3));
}

TEST_F(OptionsTest, RootIsToldOnceWhatItsRanksMayDo) {
  const std::string wanted = ::geteuid() != 0
                                 ? ""
                                 : "rexlaunch: running as root: ranks have all of root's rights "
                                   "(--allow-run-as-root hides this line)\n";
  CommandOptions told;
  told.set_env["OMPI_ALLOW_RUN_AS_ROOT"] = "0";  // the fixture sets 1
  const CommandResult result = Rex({"-n", "2", Program(), "exit", "0"}, told);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.err, wanted);
  for (const char* option : {"--quiet", "--allow-run-as-root"}) {
    EXPECT_EQ(Rex({"-n", "1", option, Program(), "exit", "0"}, told).err, "") << option;
  }
  EXPECT_EQ(Rex({"-n", "1", Program(), "exit", "0"}).err, "");
}

TEST_F(OptionsTest, VersionAndHelpGoToStdout) {
  const CommandResult version = Rex({"--version"});
  EXPECT_TRUE(ExitedWith(version, 0));
  EXPECT_TRUE(Contains(version.out, "rex"));
  EXPECT_EQ(version.err, "");
  const CommandResult help = Rex({"--help"});
  EXPECT_TRUE(ExitedWith(help, 0));
  for (const char* name : {"-np", "-x", "--wdir", "--oversubscribe", "--stdin", "--stdout",
                           "--grace", "--timeout", "--report-state-on-timeout", "--mca",
                           "--tag-output", "--quiet", "--verbose", "--version", "--timeline"}) {
    EXPECT_TRUE(Contains(help.out, name));
  }
  EXPECT_EQ(help.err, "");
}

TEST_F(OptionsTest, NoLineOfHelpIsWiderThanAPage) {
  for (const auto& line : Lines(Rex({"--help"}).out)) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(OptionsTest, OneDashIsAsGoodAsTwo) {
  const CommandResult result = Rex({"-n", "1", "-timeout", "60", "-tag-output", Program(), "both"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "[1,0]<stdout>:out rank=0\n");
}

}  // namespace
}  // namespace rex::testing
