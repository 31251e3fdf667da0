// What is installed: libraries that rexlaunch needs, its speed, that the tree can be moved, and
// that man page and completion say what rexlaunch does.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <set>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

class PackagingTest : public RexTest {
 protected:
  std::vector<std::string> Needed(const std::string& file) {
    std::vector<std::string> needed;
    const CommandResult result = Run({"readelf", "-d", "-W", file});
    EXPECT_TRUE(ExitedWith(result, 0));
    for (const auto& line : Lines(result.out)) {
      const size_t open = line.find('[');
      if (line.find("(NEEDED)") == std::string::npos || open == std::string::npos) continue;
      needed.push_back(line.substr(open + 1, line.find(']') - open - 1));
    }
    return needed;
  }
  void ExpectNoneOf(const std::string& file, const std::vector<std::string>& unwanted) {
    for (const auto& library : Needed(file)) {
      for (const auto& name : unwanted) {
        EXPECT_EQ(library.find(name), std::string::npos) << file << " needs " << library;
      }
    }
  }
};

// Of the tree under test: <prefix>/share/...
std::string SharedFile(const std::string& name) {
  const std::string program = RexlaunchPath();
  return program.substr(0, program.size() - std::string("/bin/rexlaunch").size()) + "/share/" +
         name;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The man page without its fonts and escapes, but with its requests (man(7)).
std::vector<std::string> ManPageLines() {
  const auto file = ReadFile(SharedFile("man/man1/rexlaunch.1"));
  if (!file) ADD_FAILURE() << file.error().text;
  std::string text = file ? *file : "";
  for (const char* font : {"\\fB", "\\fI", "\\fR", "\\&"}) text = Replaced(text, font, "");
  return Lines(Replaced(Replaced(text, "\\-", "-"), "\\e", "\\"));
}

// "-n, -np, -c N" of each option, in their order.
std::vector<std::string> OptionsOfManPage() {
  std::vector<std::string> options;
  bool in_options = false;
  bool after_tp = false;
  for (const auto& line : ManPageLines()) {
    if (line.starts_with(".SH")) in_options = line == ".SH OPTIONS";
    if (in_options && after_tp) options.push_back(line);
    after_tp = line == ".TP";
  }
  return options;
}

std::vector<std::string> OptionsOfHelp(const std::string& help) {
  std::vector<std::string> options;
  for (const auto& line : Lines(help)) {
    if (line.starts_with("  -")) options.push_back(line.substr(2, line.find("  ", 2) - 2));
  }
  return options;
}

// "1 - 255" and "1–255" are the same.
std::string CodeOf(const std::string& cell) {
  return Replaced(Replaced(cell, "\xe2\x80\x93", "-"), " ", "");
}

// First column of the table under "Exit code" in docs/rules.md.
std::set<std::string> ExitCodesOfRules() {
  std::set<std::string> codes;
  const auto file = ReadFile(SourceDir() + "/docs/rules.md");
  if (!file) ADD_FAILURE() << file.error().text;
  bool in_section = false;
  for (const auto& line : Lines(file ? *file : "")) {
    if (line.starts_with("## ")) in_section = line.starts_with("## Exit code");
    const bool row = line.starts_with("| ") && !line.starts_with("| code");
    if (in_section && row) codes.insert(CodeOf(line.substr(2, line.find(" |", 2) - 2)));
  }
  return codes;
}

std::set<std::string> ExitCodesOfManPage() {
  std::set<std::string> codes;
  bool in_table = false;
  for (const auto& line : ManPageLines()) {
    if (line == ".TS" || line == ".TE") in_table = line == ".TS";
    const size_t bar = line.find("|T{");
    if (in_table && bar != std::string::npos) codes.insert(CodeOf(line.substr(0, bar)));
  }
  return codes;
}

// The list items of docs/rules.md, and the sections that have none.
std::vector<std::string> Rules() {
  const auto file = ReadFile(SourceDir() + "/docs/rules.md");
  if (!file) ADD_FAILURE() << file.error().text;
  std::vector<std::string> rules;
  for (const auto& line : Lines(file ? *file : "")) {
    const bool item = line.starts_with("- ");
    if (!item && !line.starts_with("## ")) {
      if (!rules.empty()) rules.back() += "\n" + line;
      continue;
    }
    const bool after_heading =
        item && rules.back().find_first_not_of('\n', rules.back().find('\n')) == std::string::npos;
    if (after_heading) rules.pop_back();
    rules.push_back(line);
  }
  return rules;
}

// The sources of the tests in its brackets: "[stdio_test, tests/unit/job/exit_rules_test]".
std::vector<std::string> TestsNamedBy(const std::string& rule) {
  std::vector<std::string> sources;
  const std::string brackets = rule.substr(std::min(rule.rfind('['), rule.size()));
  const std::regex name("[a-z_/]+(_test\\b|\\.py)");
  for (std::sregex_iterator it(brackets.begin(), brackets.end(), name), end; it != end; ++it) {
    const std::string test = it->str();
    const bool has_path = test.find('/') != std::string::npos;
    sources.push_back(SourceDir() + (has_path ? "/" : "/tests/integration/one_node/") + test +
                      (test.ends_with(".py") ? "" : ".cc"));
  }
  return sources;
}

TEST_F(PackagingTest, RexlaunchNeedsOnlyTheCLibrary) {
  ExpectNoneOf(RexlaunchPath(),
               {"pmix", "hwloc", "mpi", "open-rte", "open-pal", "event", "protobuf", "crypto"});
}

TEST_F(PackagingTest, OnlyTheHostNeedsLibpmix) {
  for (const char* program : {"rexd", "rexd-agent", "rexd-spawner"}) {
    ExpectNoneOf(LibexecPath(program), {"pmix", "mpi"});
  }
  const auto needed = Needed(LibexecPath("rexd-pmix"));
  EXPECT_TRUE(std::any_of(needed.begin(), needed.end(), [](const std::string& library) {
    return library.starts_with("libpmix");
  }));
}

TEST_F(PackagingTest, VersionIsQuick) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer's start takes longer";
  // The quickest of many, as this may run beside other tests; the claim is about rexlaunch.
  milliseconds best{1000};
  for (int i = 0; i < 30; ++i) best = std::min(best, Rex({"--version"}).wall);
  EXPECT_LT(best, milliseconds(5));
}

TEST_F(PackagingTest, AnInstalledTreeKnowsNoDirectoryOfTheBuild) {
  const std::string prefix = left().work_dir() + "/prefix";
  ASSERT_TRUE(ExitedWith(Run({REX_TEST_CMAKE, "--install", BuildDir(), "--prefix", prefix}), 0));
  for (const char* program : {"/bin/rexlaunch", "/libexec/rex/rexd", "/libexec/rex/rexd-agent",
                              "/libexec/rex/rexd-pmix", "/libexec/rex/rexd-spawner"}) {
    const CommandResult result = Run({"readelf", "-d", "-W", prefix + program});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, BuildDir()) + CountOf(result.out, prefix), 0u) << result;
  }
}

TEST_F(PackagingTest, TheDirectoryOfLeasesIsMadeByTmpfiles) {
  const std::string root = left().work_dir() + "/root";
  ASSERT_TRUE(
      ExitedWith(Run({REX_TEST_CMAKE, "--install", BuildDir(), "--prefix", root + "/usr"}), 0));
  const auto file = ReadFile(root + "/usr/lib/tmpfiles.d/rex.conf");
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE(Contains(*file, "\nd /run/lock/rex 1777 root root -\n"));
  const CommandResult made = Run({"systemd-tmpfiles", "--create", "--root=" + root, "rex.conf"});
  if (made.exit_code == kExitNotFound || ::geteuid() != 0) {
    GTEST_SKIP() << "the file is there; no systemd-tmpfiles to try it with, or not root";
  }
  EXPECT_TRUE(ExitedWith(made, 0));
  struct stat info {};
  ASSERT_EQ(::stat((root + "/run/lock/rex").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode, S_IFDIR | 01777u);
}

TEST_F(PackagingTest, AnInstalledTreeCanBeMoved) {
  const std::string first = left().work_dir() + "/first";
  const std::string second = left().work_dir() + "/second place";
  const CommandResult install = Run({REX_TEST_CMAKE, "--install", BuildDir(), "--prefix", first});
  ASSERT_TRUE(ExitedWith(install, 0));
  ASSERT_EQ(::rename(first.c_str(), second.c_str()), 0);
  for (const char* name : {"rexlaunch", "mpirun.rex", "mpiexec.rex"}) {
    const CommandResult result =
        Run({second + "/bin/" + name, "-n", "2", ProgramPath("mpi_hello")});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, "hello rank="), 2u) << result;
    EXPECT_TRUE(ReadFile(second + "/share/man/man1/" + name + ".1").has_value()) << name;
    EXPECT_TRUE(ReadFile(second + "/share/bash-completion/completions/" + name).has_value())
        << name;
  }
}

TEST_F(PackagingTest, ItIsFoundThroughASymbolicLink) {
  const std::string link = left().work_dir() + "/rl";
  ASSERT_EQ(::symlink(RexlaunchPath().c_str(), link.c_str()), 0);
  EXPECT_TRUE(ExitedWith(Run({link, "-n", "1", "true"}), 0));
}

TEST_F(PackagingTest, TheManPageHasTheOptionsOfHelp) {
  const CommandResult help = Rex({"--help"});
  ASSERT_TRUE(ExitedWith(help, 0));
  const auto options = OptionsOfHelp(help.out);
  EXPECT_GE(options.size(), 15u) << help;
  EXPECT_EQ(OptionsOfManPage(), options);
}

TEST_F(PackagingTest, TheManPageHasTheExitCodesOfTheRules) {
  const auto codes = ExitCodesOfRules();
  EXPECT_GE(codes.size(), 11u);
  EXPECT_EQ(ExitCodesOfManPage(), codes);
  const std::string help = Rex({"--help"}).out;
  for (const auto& code : codes) {
    const bool plain_number = code.size() > 1 && code.find_first_not_of("0123456789") == code.npos;
    if (!plain_number) continue;
    EXPECT_TRUE(Contains(Replaced(help, "\n", " "), " " + code + " "));
  }
}

TEST_F(PackagingTest, EachRuleNamesTestsThatExist) {
  const auto rules = Rules();
  EXPECT_GE(rules.size(), 15u);
  for (const auto& rule : rules) {
    const auto tests = TestsNamedBy(rule);
    EXPECT_FALSE(tests.empty()) << "no test is named by: " << rule;
    for (const auto& test : tests) {
      EXPECT_EQ(::access(test.c_str(), R_OK), 0) << test << " is named by: " << rule;
    }
  }
}

// What bash would offer for the last of `words`, which follow "rexlaunch", one a line.
class BashCompletion : public PackagingTest {
 protected:
  std::vector<std::string> Offered(const std::vector<std::string>& words) {
    // compopt is refused outside of a real completion.
    std::vector<std::string> argv = {
        "bash", "-c",
        "compopt() { :; }; source \"$0\" && COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) && "
        "_rexlaunch && printf '%s\\n' \"${COMPREPLY[@]}\"",
        SharedFile("bash-completion/completions/rexlaunch"), "rexlaunch"};
    argv.insert(argv.end(), words.begin(), words.end());
    const CommandResult result = Run(argv);
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(result.err, "");
    return SortedLines(result.out);
  }
  using Words = std::vector<std::string>;
};

TEST_F(BashCompletion, OfOptions) {
  EXPECT_EQ(Offered({"--tim"}),
            (Words{"--timeline", "--timeout", "--timer-slack", "--timestamp-output"}));
  EXPECT_EQ(Offered({"-n", "2", "--qu"}), Words{"--quiet"});
  EXPECT_EQ(Offered({"--mca", "btl", "self", "--qu"}), Words{"--quiet"});
  EXPECT_EQ(Offered({"--stdout", "=", "pipe", "--qu"}), Words{"--quiet"});
  EXPECT_EQ(Offered({"-n", "1", "./a", "--odd", ":", "--qu"}), Words{"--quiet"});
}

TEST_F(BashCompletion, OfValues) {
  EXPECT_EQ(Offered({"--stdout", "p"}), (Words{"pipe", "pty"}));
  EXPECT_EQ(Offered({"-stdout", "=", "pi"}), Words{"pipe"});
  EXPECT_EQ(Offered({"--stdin", "="}), (Words{"all", "none"}));
  EXPECT_EQ(Offered({"--wdir", "/us"}), Words{"/usr"});
  EXPECT_EQ(Offered({"--bind-to", "co"}), Words{"core"});
  EXPECT_EQ(Offered({"--hostfile", "/etc/passw"}).front(), "/etc/passwd");
  EXPECT_EQ(Offered({"-x", "MPIEXEC_TIMEOU"}), Words{""});
  EXPECT_EQ(Offered({"-x", "TMPDI"}), Words{"TMPDIR"});
  EXPECT_EQ(Offered({"-n", "1"}), Words{""});
  EXPECT_EQ(Offered({"--mca", "btl", "s"}), Words{""});
}

TEST_F(BashCompletion, OfPrograms) {
  EXPECT_EQ(Offered({"-n", "2", "/usr/bin/setpri"}), Words{"/usr/bin/setpriv"});
  EXPECT_EQ(Offered({"--", "/usr/bin/setpri"}), Words{"/usr/bin/setpriv"});
  EXPECT_EQ(Offered({"./a", ":", "-n", "1", "setpri"}), Words{"setpriv"});
  EXPECT_EQ(Offered({"-n", "2", "./a", "--qu"}), Words{""}) << "a word of the program's own";
}

}  // namespace
}  // namespace rex::testing
