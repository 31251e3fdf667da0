// Each mistake of a user has its code and a message that says what, where, and how to mend it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

struct BadLine {
  const char* name;
  std::vector<std::string> args;
  int code;
  std::vector<std::string> words;  // that the message must contain
};

void PrintTo(const BadLine& line, std::ostream* os) { *os << line.name; }

class BadCommandLine : public RexTest, public ::testing::WithParamInterface<BadLine> {};

TEST_P(BadCommandLine, IsRefusedWithAReason) {
  const CommandResult result = Rex(GetParam().args);
  EXPECT_TRUE(ExitedWith(result, GetParam().code));
  EXPECT_TRUE(StderrNames(result, GetParam().words));
  EXPECT_EQ(result.out, "");
  EXPECT_LE(Lines(result.err).size(), 4u) << result;
}

const BadLine kBadLines[] = {
    {"NoProgram", {"-n", "2"}, kExitUsage, {"program", "rexlaunch"}},
    {"NoWordAtAll", {}, kExitUsage, {"program"}},
    {"NotFound",
     {"-n", "2", "no-such-program-here"},
     kExitNotFound,
     {"no-such-program-here", "not found", "PATH"}},
    {"PathNotFound", {"./no/such/file"}, kExitNotFound, {"./no/such/file"}},
    {"NotExecutable", {"-n", "1", "/etc/passwd"}, kExitNotRunnable, {"/etc/passwd", "chmod"}},
    {"ADirectory", {"-n", "1", "/usr"}, kExitNotRunnable, {"/usr", "directory"}},
    {"UnknownOption", {"--stdot", "pipe", "true"}, kExitUsage, {"--stdot", "--stdout"}},
    {"UnknownShortOption", {"-Q", "true"}, kExitUsage, {"-Q", "--help"}},
    {"BadNumber", {"-n", "four", "true"}, kExitUsage, {"four", "-n"}},
    {"BadNumberTail", {"-n", "4x", "true"}, kExitUsage, {"4x"}},
    {"NegativeNumber", {"-n", "-4", "true"}, kExitUsage, {"-4"}},
    {"ZeroRanks", {"-n", "0", "true"}, kExitUsage, {"-n", "0"}},
    {"HugeNumber", {"-n", "99999999999999999999", "true"}, kExitUsage, {"99999999999999999999"}},
    {"TooManyRanks", {"-n", "2000000", "true"}, kExitUsage, {"2000000", "1048576"}},
    {"TooManyInSum",
     {"-n", "1000000", "true", ":", "-n", "1000000", "true"},
     kExitUsage,
     {"2000000"}},
    {"NumberMissing", {"-n"}, kExitUsage, {"-n", "value"}},
    {"BadVariable", {"-x", "=value", "true"}, kExitUsage, {"-x", "=value"}},
    {"EmptyVariable", {"-x", "", "true"}, kExitUsage, {"-x"}},
    {"BadStdout", {"--stdout=file", "true"}, kExitUsage, {"file", "pty", "pipe"}},
    {"BadStdin", {"--stdin", "some", "true"}, kExitUsage, {"some", "all", "none"}},
    {"StdinOfNoRank", {"-n", "2", "--stdin", "2", "true"}, kExitUsage, {"2"}},
    {"BadTimeout", {"--timeout", "soon", "true"}, kExitUsage, {"soon", "seconds"}},
    {"BadGrace", {"--grace", "-1", "true"}, kExitUsage, {"-1"}},
    {"McaWithoutValue", {"--mca", "btl"}, kExitUsage, {"--mca"}},
    {"EmptyFirstProgram", {":", "-n", "1", "true"}, kExitUsage, {"':'"}},
    {"EmptyLastProgram", {"-n", "1", "true", ":"}, kExitUsage, {"':'"}},
    {"EmptyMiddleProgram", {"-n", "1", "true", ":", ":", "-n", "1", "true"}, kExitUsage, {"':'"}},
    {"EmptyWordAsProgram", {"-n", "1", ""}, kExitUsage, {"empty"}},
    {"SecondWithoutNumber", {"-n", "1", "true", ":", "false"}, kExitUsage, {"-n", "false"}},
    {"ValueForAFlag", {"--quiet=yes", "true"}, kExitUsage, {"--quiet"}},
    {"MissingDirectory",
     {"--wdir", "/no/such/directory", "true"},
     kExitNoWdir,
     {"/no/such/directory"}},
    {"FileAsDirectory", {"--wdir", "/etc/passwd", "true"}, kExitNoWdir, {"/etc/passwd"}},
    {"MissingInSecondProgram",
     {"-n", "1", "sleep", "60", ":", "-n", "1", "no-such-program-here"},
     kExitNotFound,
     {"no-such-program-here"}},
};

INSTANTIATE_TEST_SUITE_P(All, BadCommandLine, ::testing::ValuesIn(kBadLines),
                         [](const auto& param) { return std::string(param.param.name); });

class BadProgram : public RexTest {};

TEST_F(BadProgram, OfAnotherArchitecture) {
  const auto self = ReadFile(ProgramPath("testprog"));
  ASSERT_TRUE(self.has_value());
  std::string bytes = *self;
  // elf(5): e_machine, two bytes at 18; 243 is RISC-V.
  bytes[18] = static_cast<char>(243);
  bytes[19] = 0;
  const CommandResult result = Rex({"-n", "2", WriteFile("foreign", bytes, 0755)});
  EXPECT_TRUE(ExitedWith(result, kExitNotRunnable));
  EXPECT_TRUE(StderrNames(result, {"foreign", "RISC-V"}));
}

TEST_F(BadProgram, WithoutAnyFormat) {
  const CommandResult result =
      Rex({"-n", "1", WriteFile("junk", std::string("\x01\x02\x03\x04", 4), 0755)});
  EXPECT_TRUE(ExitedWith(result, kExitNotRunnable));
  EXPECT_TRUE(StderrNames(result, {"junk"}));
}

TEST_F(BadProgram, AnEmptyFile) {
  const CommandResult result = Rex({"-n", "1", WriteFile("empty", "", 0755)});
  EXPECT_TRUE(ExitedWith(result, kExitNotRunnable));
  EXPECT_TRUE(StderrNames(result, {"empty"}));
}

TEST_F(BadProgram, AScriptWhoseInterpreterIsMissing) {
  const CommandResult result =
      Rex({"-n", "1", WriteFile("script", "#!/no/such/interpreter\n", 0755)});
  EXPECT_TRUE(result.exit_code == kExitNotRunnable || result.exit_code == kExitNotFound) << result;
  EXPECT_TRUE(StderrNames(result, {"script", "/no/such/interpreter"}));
}

TEST_F(BadProgram, ASharedLibraryIsMissing) {
  const CommandResult result = Rex({"-n", "2", ProgramPath("needs_missing_library")});
  EXPECT_TRUE(ExitedWith(result, kExitNotFound));
  EXPECT_TRUE(StderrNames(result, {"libabsent.so", "rank", "shared librar", "ldd"}));
}

TEST_F(BadProgram, AnUnsetVariableIsAWarning) {
  const CommandResult result = Rex({"-n", "1", "-x", "NOT_SET_ANYWHERE", "true"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(StderrNames(result, {"NOT_SET_ANYWHERE", "-x"}));
}

TEST_F(BadProgram, TheDirectoryWeAreInIsGone) {
  const std::string dir = left().work_dir() + "/gone";
  ASSERT_EQ(::mkdir(dir.c_str(), 0700), 0);
  const CommandResult result = Run(
      {"/bin/sh", "-c",
       "cd " + dir + " && rmdir " + dir + " && exec " + ShellWord(RexlaunchPath()) + " -n 1 true"});
  EXPECT_FALSE(result.timed_out) << result;
  EXPECT_NE(result.exit_code, 0) << result;
  EXPECT_TRUE(StderrNames(result, {"directory"}));
}

}  // namespace
}  // namespace rex::testing
