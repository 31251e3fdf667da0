#include "launcher/cli/parse.h"

#include <gtest/gtest.h>

#include <map>

#include "launcher/cli/option_table.h"
#include "launcher/wire/messages.h"

namespace rex {
namespace {

using Words = std::vector<std::string>;

const Environment kEnv = {"HOME=/root", "PATH=/bin", "EMPTY="};

// The files that options may name.
Result<std::string> ReadTestFile(const std::string& path) {
  static const std::map<std::string, std::string> kFiles = {
      {"hosts", "localhost slots=2  # comment\nvm\n"},
      {"bad-hosts", "localhost\n  n2 slots=x\n"},
      {"tune", "# parameters\nbtl = self\n-mca pml ob1 -x A=1\n"},
      {"apps", "-n 2 a 'x y'\n\n# comment\n-n 1 b\n"},
      {"1", "localhost\n"},
      {"ranks", "rank 1=n2 slot=0\nrank 0=n1 slot=0:1-2\n"},
      {"sequence", "n1 0-1\nn2\n"},
      {"nodes", R"([{"hostname": "n1", "topology": "pu:2"}])"},
  };
  const auto file = kFiles.find(path);
  if (file != kFiles.end()) return file->second;
  return Error::FromErrno(ENOENT, "open '" + path + "'");
}

CommandLine Parsed(const Words& words, const Environment& env = kEnv) {
  auto line = ParseCommandLine(words, env, ReadTestFile);
  if (line) return *line;
  ADD_FAILURE() << line.error().text;
  return {};
}

std::string ErrorOf(const Words& words, const Environment& env = kEnv) {
  const auto line = ParseCommandLine(words, env, ReadTestFile);
  if (line) return "";
  EXPECT_EQ(line.error().code, Errc::kInvalid);
  return line.error().text;
}

// `option` with its values, then a program.
Words With(const Words& option) {
  Words words = option;
  words.push_back("a");
  return words;
}

TEST(Parse, ProgramAndArgumentsAlone) {
  const CommandLine line = Parsed({"./a", "-n", "--help", "x"});
  ASSERT_EQ(line.apps.size(), 1u);
  EXPECT_EQ(line.apps[0].argv, (Words{"./a", "-n", "--help", "x"}));
  EXPECT_FALSE(line.apps[0].ranks.has_value());
  EXPECT_EQ(line.apps[0].wdir, "");
  EXPECT_EQ(line.stdin_rank, 0);
  EXPECT_FALSE(line.stdout_pipe);
  EXPECT_EQ(line.grace, std::chrono::seconds(2));
  EXPECT_EQ(line.timeout.count(), 0);
  EXPECT_EQ(line.timer_slack, std::chrono::milliseconds(5));
  EXPECT_FALSE(line.help || line.version || line.quiet || line.verbose || line.output.tag);
  EXPECT_TRUE(line.warnings.empty());
}

// A value that the option takes.
std::string ValueFor(const Option& option) {
  switch (option.id) {
    case OptionId::kStdout:
      return "pipe";
    case OptionId::kGpusPerRank:
      return "2";
    case OptionId::kTemplate:
      return "none";
    case OptionId::kOutput:
      return "tag";
    case OptionId::kDisplay:
      return "map";
    case OptionId::kBindTo:
      return "core";
    case OptionId::kTree:
      return "flat";
    case OptionId::kShipAgent:
    case OptionId::kStage:
      return "never";
    case OptionId::kCreation:
      return "multiple";
    case OptionId::kImageTransport:
      return "tree";
    case OptionId::kStore:
      return "disk";
    case OptionId::kExportMode:
      return "mpirun";
    case OptionId::kPrefix:
    case OptionId::kLeases:
      return "/opt";
    case OptionId::kMapBy:
      return "slot";
    case OptionId::kAllocation:
      return "none";
    case OptionId::kTune:
      return "tune";
    case OptionId::kAppFile:
      return "apps";
    case OptionId::kHostfile:
      return "hosts";
    case OptionId::kRankBy:
      return "slot";
    case OptionId::kPpr:
      return "1:core";
    case OptionId::kRankfile:
      return "ranks";
    case OptionId::kNodesJson:
      return "nodes";
    default:
      return "1";
  }
}

TEST(Parse, CheckNeedsNoProgram) {
  const Words words{"--host", "n1,n2", "--check"};
  EXPECT_EQ(ErrorOf(words), "");
  EXPECT_EQ(ErrorOf({"--check=json"}), "");
  EXPECT_NE(ErrorOf({"--check=xml"}), "");
  EXPECT_EQ(ErrorOf({"--check", "--json", "-n", "4", "./app", "x"}), "");
  EXPECT_EQ(
      ErrorOf({"--json", "./app"}),
      "option '--json' is for --check and --display allocation; write 'rexlaunch --check --json'");
}

TEST(Parse, EverySpellingWithOneDashAndTwo) {
  for (const Option& option : OptionTable()) {
    for (const std::string_view spelling : option.spellings) {
      for (const std::string dashes : {"-", "--"}) {
        Words words = {dashes + std::string(spelling)};
        const bool needs_one = option.arity == 1;
        if (needs_one) words.push_back(ValueFor(option));
        if (option.id == OptionId::kJson) words.emplace_back("--check");
        if (option.arity == 2) words.insert(words.end(), {"k", "v"});
        if (option.id == OptionId::kNodesJson) {  // which needs another
          words.insert(words.end(), {"--do-not-launch", "p"});
          EXPECT_EQ(ErrorOf(words), "") << words[0];
          continue;
        }
        const bool waits = option.id == OptionId::kWait || option.id == OptionId::kMaxWait;
        const std::string limit = waits ? "--max-load=1" : "-q";  // what it is about
        words.push_back(limit);
        EXPECT_EQ(ErrorOf(With(words)), "") << words[0];
        if (needs_one) {
          EXPECT_EQ(ErrorOf({words[0] + "=" + words[1], limit, "a"}), "") << words[0];
        }
      }
    }
  }
}

TEST(Parse, Ranks) {
  for (const char* spelling : {"-n", "--n", "-np", "--np", "-c", "--c"}) {
    EXPECT_EQ(Parsed({spelling, "3", "a"}).apps[0].ranks, 3u) << spelling;
  }
  EXPECT_EQ(Parsed({"-n", "1048576", "a"}).apps[0].ranks, kMaxRanks);
  EXPECT_EQ(Parsed({"-n", "2", "-n", "3", "a"}).apps[0].ranks, 3u);
}

TEST(Parse, BadRanks) {
  EXPECT_EQ(ErrorOf({"-n", "four", "a"}),
            "option '-n' (word 1): 'four' is not a number of ranks; write for example -n 4");
  EXPECT_EQ(ErrorOf({"-np", "-2", "a"}),
            "option '-np' (word 1): '-2' is not a number of ranks; write for example -np 4");
  EXPECT_EQ(ErrorOf({"-n", "4x", "a"}),
            "option '-n' (word 1): '4x' is not a number of ranks; write for example -n 4");
  EXPECT_EQ(ErrorOf({"-n", "", "a"}),
            "option '-n' (word 1): the number of ranks is empty; is a shell variable unset?");
  EXPECT_EQ(ErrorOf({"-q", "-n", "0", "a"}),
            "option '-n' (word 2): 0 ranks cannot be started; write at least 1");
  EXPECT_EQ(ErrorOf({"-n", "1048577", "a"}),
            "option '-n' (word 1): 1048577 ranks are too many; a job has at most 1048576");
  EXPECT_EQ(ErrorOf({"-n", "99999999999999999999999", "a"}),
            "option '-n' (word 1): 99999999999999999999999 ranks are too many; a job has at most "
            "1048576");
  EXPECT_EQ(ErrorOf({"-n", "1048576", "a", ":", "-n", "1", "b"}),
            "the programs have 1048577 ranks together; a job has at most 1048576");
}

TEST(Parse, NoProgram) {
  const std::string text =
      "no program given; write for example 'rexlaunch -n 4 ./app' ('rexlaunch --help' lists the "
      "options)";
  EXPECT_EQ(ErrorOf({}), text);
  EXPECT_EQ(ErrorOf({"-n", "4"}), text);
  EXPECT_EQ(ErrorOf({"--"}), text);
  EXPECT_EQ(ErrorOf({"-n", "4", ""}),
            "the name of the program is empty (word 3); is a shell variable unset?");
}

TEST(Parse, EmptyApps) {
  EXPECT_EQ(ErrorOf({"-n", "1", "a", ":", ":", "-n", "1", "b"}),
            "there is no program before ':' (word 5); write 'rexlaunch -n 2 a : -n 1 b', or remove "
            "the ':'");
  EXPECT_EQ(ErrorOf({":", "a"}),
            "there is no program before ':' (word 1); write 'rexlaunch -n 2 a : -n 1 b', or remove "
            "the ':'");
  EXPECT_EQ(ErrorOf({"-n", "1", "a", ":", "-n", "2"}),
            "there is no program after the last ':'; write 'rexlaunch -n 2 a : -n 1 b', or remove "
            "the ':'");
}

TEST(Parse, SeveralApps) {
  const CommandLine line =
      Parsed({"-n", "2", "-x", "A=1", "a", "x", ":", "-n", "1", "--wdir", "/tmp", "-q", "b", "-q"});
  ASSERT_EQ(line.apps.size(), 2u);
  EXPECT_EQ(line.apps[0].argv, (Words{"a", "x"}));
  EXPECT_EQ(line.apps[0].ranks, 2u);
  EXPECT_EQ(line.apps[0].settings, (std::vector<EnvSetting>{{"A", "1"}}));
  EXPECT_EQ(line.apps[1].argv, (Words{"b", "-q"}));
  EXPECT_EQ(line.apps[1].wdir, "/tmp");
  EXPECT_TRUE(line.apps[1].settings.empty());
  EXPECT_TRUE(line.quiet);
}

TEST(Parse, SeveralAppsNeedTheirNumbers) {
  EXPECT_EQ(ErrorOf({"-n", "1", "a", ":", "b"}),
            "program 2 ('b') has no -n; with several programs each needs its number of ranks, as "
            "in 'rexlaunch -n 2 a : -n 1 b'");
}

TEST(Parse, TooManyApps) {
  Words words;
  for (uint32_t i = 0; i <= kMaxApps; ++i) words.insert(words.end(), {"-n", "1", "a", ":"});
  words.pop_back();
  EXPECT_EQ(ErrorOf(words), "more than 1024 programs, separated by ':'");
}

TEST(Parse, UnknownOptions) {
  EXPECT_EQ(ErrorOf({"--oversubscibe", "a"}),
            "unknown option '--oversubscibe' (word 1); did you mean '--oversubscribe'? 'rexlaunch "
            "--help' lists all options");
  EXPECT_EQ(ErrorOf({"-n", "1", "-timout=3", "a"}),
            "unknown option '-timout=3' (word 3); did you mean '--timeout'? 'rexlaunch --help' "
            "lists all options");
  EXPECT_EQ(ErrorOf({"-m", "2", "a"}),
            "unknown option '-m' (word 1); 'rexlaunch --help' lists all options");
  EXPECT_EQ(ErrorOf({"--qqqqqq", "a"}),
            "unknown option '--qqqqqq' (word 1); 'rexlaunch --help' lists all options");
  EXPECT_EQ(ErrorOf({"---", "a"}),
            "unknown option '---' (word 1); 'rexlaunch --help' lists all "
            "options");
}

TEST(Parse, NoAbbreviations) {
  EXPECT_EQ(ErrorOf({"--verb", "a"}),
            "unknown option '--verb' (word 1); 'rexlaunch --help' lists all options");
  EXPECT_NE(ErrorOf({"--time", "3", "a"}), "");
}

TEST(Parse, MissingValues) {
  EXPECT_EQ(ErrorOf({"-n"}), "option '-n' (word 1) needs a value: write -n N");
  EXPECT_EQ(ErrorOf({"-n", ":", "b"}), "option '-n' (word 1) needs a value: write -n N");
  EXPECT_EQ(ErrorOf({"-q", "--mca", "btl"}),
            "option '--mca' (word 2) needs two values: write --mca KEY VALUE");
  EXPECT_EQ(ErrorOf({"--stdin"}),
            "option '--stdin' (word 1) needs a value: write --stdin RANK|all|none");
}

TEST(Parse, AnOptionInTheValuesPlace) {
  EXPECT_EQ(ErrorOf({"--timeline", "-n", "4", "a"}),
            "option '--timeline' (word 1) needs a value, and '-n' is an option: write --timeline "
            "FILE|-, or --timeline=-n if that is the value");
  EXPECT_EQ(Parsed({"--timeline=-n", "a"}).timeline, "-n");
  EXPECT_EQ(Parsed({"--timeline", "-", "a"}).timeline, "-");
  EXPECT_EQ(Parsed({"--timeline", "-unheard", "a"}).timeline, "-unheard");
}

TEST(Parse, ValuesThatAreNotWanted) {
  EXPECT_EQ(ErrorOf({"--quiet=yes", "a"}),
            "option '--quiet' (word 1) takes no value: write only --quiet");
  EXPECT_EQ(ErrorOf({"--mca=btl", "self", "a"}),
            "option '--mca' (word 1) has its values in words of their own: write --mca KEY VALUE");
}

TEST(Parse, Export) {
  const CommandLine line =
      Parsed({"-x", "HOME", "-x", "A=b=c", "-x", "E=", "-x", "EMPTY", "--x=Z=1", "a"});
  EXPECT_EQ(line.apps[0].settings,
            (std::vector<EnvSetting>{
                {"HOME", "/root"}, {"A", "b=c"}, {"E", ""}, {"EMPTY", ""}, {"Z", "1"}}));
  EXPECT_TRUE(line.warnings.empty());
}

TEST(Parse, ExportOfAnUnsetVariableIsAWarning) {
  const CommandLine line = Parsed({"-x", "NOPE", "a"});
  EXPECT_TRUE(line.apps[0].settings.empty());
  EXPECT_EQ(line.warnings,
            (Words{"option '-x' (word 1): the environment variable 'NOPE' is not set here, so the "
                   "ranks do not get it"}));
}

TEST(Parse, BadExport) {
  EXPECT_EQ(ErrorOf({"-x", "=1", "a"}),
            "option '-x' (word 1): '=1' has no variable's name; write -x NAME or -x NAME=VALUE");
  EXPECT_EQ(ErrorOf({"-x", "", "a"}),
            "option '-x' (word 1): '' has no variable's name; write -x NAME or -x NAME=VALUE");
  EXPECT_EQ(ErrorOf({"-x", "=", "a"}),
            "option '-x' (word 1): '=' has no variable's name; write -x NAME or -x NAME=VALUE");
}

TEST(Parse, Mca) {
  const CommandLine line = Parsed({"--mca", "btl", "self,vader", "-gmca", "pml", "ob1", "a"});
  EXPECT_EQ(line.apps[0].settings, (std::vector<EnvSetting>{{"OMPI_MCA_btl", "self,vader"}}));
  EXPECT_EQ(line.settings, (std::vector<EnvSetting>{{"OMPI_MCA_pml", "ob1"}}));
  EXPECT_EQ(ErrorOf({"--mca", "btl=self", "x", "a"}),
            "option '--mca' (word 1): 'btl=self' is not the name of a parameter; write --mca KEY "
            "VALUE, for example --mca btl self,vader");
}

TEST(Parse, Wdir) {
  for (const char* spelling : {"--wdir", "-wdir", "-wd", "--chdir"}) {
    EXPECT_EQ(Parsed({spelling, "sub/dir", "a"}).apps[0].wdir, "sub/dir") << spelling;
  }
  EXPECT_EQ(
      ErrorOf({"--wdir", "", "a"}),
      "option '--wdir' (word 1): the name of a directory is empty; is a shell variable unset?");
}

TEST(Parse, Stdin) {
  EXPECT_EQ(Parsed({"--stdin", "all", "a"}).stdin_rank, kStdinAll);
  EXPECT_EQ(Parsed({"--stdin", "none", "a"}).stdin_rank, kStdinNone);
  EXPECT_EQ(Parsed({"--stdin", "7", "a"}).stdin_rank, 7);
  EXPECT_EQ(ErrorOf({"--stdin", "some", "a"}),
            "option '--stdin' (word 1): 'some' is not a rank; write a rank's number, 'all' or "
            "'none'");
  EXPECT_NE(ErrorOf({"--stdin", "1048576", "a"}), "");
  EXPECT_NE(ErrorOf({"--stdin", "-1", "a"}), "");
}

TEST(Parse, Stdout) {
  EXPECT_TRUE(Parsed({"--stdout=pipe", "a"}).stdout_pipe);
  EXPECT_TRUE(Parsed({"--stdout", "pipe", "a"}).stdout_pipe);
  EXPECT_FALSE(Parsed({"--stdout", "pty", "a"}).stdout_pipe);
  EXPECT_EQ(ErrorOf({"--stdout", "file", "a"}),
            "option '--stdout' (word 1): 'file' is not known; write 'pty' or 'pipe'");
}

TEST(Parse, Template) {
  EXPECT_FALSE(Parsed({"a"}).no_template);
  EXPECT_TRUE(Parsed({"--template=none", "a"}).no_template);
  EXPECT_FALSE(Parsed({"--template", "auto", "a"}).no_template);
  EXPECT_EQ(ErrorOf({"--template", "always", "a"}),
            "option '--template' (word 1): 'always' is not known; write 'auto' or 'none'");
}

TEST(Parse, Times) {
  EXPECT_EQ(Parsed({"--grace", "0.25", "a"}).grace, std::chrono::milliseconds(250));
  EXPECT_EQ(Parsed({"--grace", "0", "a"}).grace, std::chrono::milliseconds(0));
  EXPECT_EQ(Parsed({"--timeout", "90", "a"}).timeout, std::chrono::seconds(90));
  EXPECT_EQ(Parsed({"--timeout", "0.0001", "a"}).timeout, std::chrono::milliseconds(1));
  EXPECT_EQ(Parsed({"--timer-slack", "0", "a"}).timer_slack.count(), 0);
  EXPECT_EQ(Parsed({"--timer-slack", "0.5", "a"}).timer_slack, std::chrono::microseconds(500));
  EXPECT_EQ(ErrorOf({"--timeout", "soon", "a"}),
            "option '--timeout' (word 1): 'soon' is not a time; write seconds from 0 to 2147483, "
            "for example 2 or 0.5");
  EXPECT_NE(ErrorOf({"--grace", "-1", "a"}), "");
  EXPECT_NE(ErrorOf({"--timeout", "2147484", "a"}), "");
  EXPECT_EQ(ErrorOf({"--timer-slack", "1001", "a"}),
            "option '--timer-slack' (word 1): '1001' is not a time; write milliseconds from 0 to "
            "1000, for example 5");
}

TEST(Parse, TimeoutFromTheEnvironment) {
  EXPECT_EQ(Parsed({"a"}, {"MPIEXEC_TIMEOUT=3"}).timeout, std::chrono::seconds(3));
  EXPECT_EQ(Parsed({"a"}, {"MPIEXEC_TIMEOUT="}).timeout.count(), 0);
  EXPECT_EQ(Parsed({"--timeout", "5", "a"}, {"MPIEXEC_TIMEOUT=x"}).timeout,
            std::chrono::seconds(5));
  EXPECT_EQ(ErrorOf({"a"}, {"MPIEXEC_TIMEOUT=x"}),
            "the environment variable MPIEXEC_TIMEOUT is 'x', which is not a time in seconds; "
            "correct or unset it");
}

TEST(Parse, Switches) {
  const CommandLine line = Parsed({"--oversubscribe", "--report-state-on-timeout", "--tag-output",
                                   "-v", "--allow-run-as-root", "--timeline", "-", "a"});
  EXPECT_TRUE(line.oversubscribe);
  EXPECT_TRUE(line.report_state);
  EXPECT_TRUE(line.output.tag);
  EXPECT_TRUE(line.verbose);
  EXPECT_TRUE(line.allow_root);
  EXPECT_EQ(line.timeline, "-");
  EXPECT_EQ(
      ErrorOf({"--timeline", "", "a"}),
      "option '--timeline' (word 1): the name of a file is empty; is a shell variable unset?");
}

TEST(Parse, RootMayBeAllowedByTheEnvironmentToo) {
  EXPECT_FALSE(Parsed({"a"}).allow_root);
  EXPECT_TRUE(Parsed({"a"}, {"OMPI_ALLOW_RUN_AS_ROOT=1"}).allow_root);
  for (const char* no : {"OMPI_ALLOW_RUN_AS_ROOT=0",
                         "OMPI_ALLOW_RUN_AS_ROOT=", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"}) {
    EXPECT_FALSE(Parsed({"a"}, {no}).allow_root) << no;
  }
}

TEST(Parse, HelpAndVersionNeedNothingElse) {
  for (const char* word : {"-h", "--help", "-help"}) EXPECT_TRUE(Parsed({word, "-n"}).help);
  for (const char* word : {"-V", "--version"}) EXPECT_TRUE(Parsed({"-q", word}).version);
  EXPECT_FALSE(Parsed({"a", "--help"}).help);
}

TEST(Parse, TwoDashesEndTheOptions) {
  const CommandLine line = Parsed({"-n", "1", "--", "-odd", "-n", ":", "-n", "2", "b"});
  EXPECT_EQ(line.apps[0].argv, (Words{"-odd", "-n"}));
  EXPECT_EQ(line.apps[1].ranks, 2u);
}

TEST(Parse, HostsAndHostfiles) {
  const CommandLine line = Parsed({"--host", "a:2,b", "--hostfile", "hosts", "p"});
  ASSERT_EQ(line.apps[0].hosts.size(), 2u);
  EXPECT_EQ(line.apps[0].hosts[0].slots, 2u);
  ASSERT_EQ(line.apps[0].hostfile.size(), 2u);
  EXPECT_EQ(line.apps[0].hostfile[0].name, "localhost");
  EXPECT_TRUE(line.apps[0].hostfile[1].all_cores);
  EXPECT_EQ(ErrorOf({"--hostfile", "bad-hosts", "p"}),
            "option '--hostfile' (word 1): bad-hosts:2:6: 'slots=x' has no number of slots, which "
            "is at least 1");
  EXPECT_EQ(ErrorOf({"--hostfile", "missing", "p"}),
            "option '--hostfile' (word 1): open 'missing': No such file or directory");
}

TEST(Parse, TheCommandLineComesBeforeTuneFiles) {
  const CommandLine line = Parsed({"--mca", "btl", "tcp", "--tune", "tune", "p"});
  const std::vector<EnvSetting> expected = {
      {"OMPI_MCA_btl", "self"}, {"OMPI_MCA_pml", "ob1"}, {"A", "1"}, {"OMPI_MCA_btl", "tcp"}};
  EXPECT_EQ(line.apps[0].settings, expected);
}

TEST(Parse, AnAppFileTakesThePlaceOfTheRest) {
  const CommandLine line = Parsed({"--quiet", "--app", "apps", "-n", "9", "zzz"});
  ASSERT_EQ(line.apps.size(), 2u);
  EXPECT_EQ(line.apps[0].argv, (Words{"a", "x y"}));
  EXPECT_EQ(line.apps[0].ranks, 2u);
  EXPECT_EQ(line.apps[1].argv, (Words{"b"}));
  EXPECT_TRUE(line.quiet);
  EXPECT_EQ(line.warnings.size(), 1u);
}

TEST(Parse, ExportPatterns) {
  const Environment env = {"FOO1=a", "FOO2=b", "BAR=c"};
  const CommandLine line = Parsed({"-x", "FOO*", "p"}, env);
  EXPECT_EQ(line.apps[0].settings, (std::vector<EnvSetting>{{"FOO1", "a"}, {"FOO2", "b"}}));
  EXPECT_EQ(Parsed({"-x", "NO*", "p"}, env).warnings.size(), 1u);
}

TEST(Parse, OlderSpellingsMeanTheSame) {
  EXPECT_TRUE(Parsed({"--timestamp-output", "p"}).output.timestamp);
  EXPECT_TRUE(Parsed({"--merge-stderr-to-stdout", "p"}).output.merge);
  EXPECT_EQ(Parsed({"--output-filename", "d:nocopy", "p"}).output,
            Parsed({"--output", "dir=d:nocopy", "p"}).output);
  EXPECT_EQ(Parsed({"--bind-to-core", "p"}).apps[0].place,
            Parsed({"--bind-to", "core", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"--bind-to-socket", "p"}).apps[0].place,
            Parsed({"--bind-to", "socket", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"--bycore", "p"}).apps[0].place,
            Parsed({"--map-by", "core", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"--npersocket", "2", "p"}).apps[0].place,
            Parsed({"--map-by", "ppr:2:socket", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"--ppr", "2:socket", "p"}).apps[0].place,
            Parsed({"--map-by", "ppr:2:socket", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"-cpus-per-proc", "2", "--map-by", "socket", "p"}).apps[0].place,
            Parsed({"--map-by", "socket:PE=2", "p"}).apps[0].place);
  EXPECT_EQ(Parsed({"--cpu-list", "1,3", "p"}).apps[0].place.cpu_list, "1,3");
  EXPECT_EQ(Parsed({"-pernode", "p"}).apps[0].per_node, 1u);
  EXPECT_TRUE(Parsed({"--report-bindings", "p"}).display.bindings);
}

TEST(Parse, WhatMpirunHasAndWeHaveNot) {
  EXPECT_EQ(ErrorOf({"--xterm", "1", "p"}),
            "option '--xterm' (word 1): mpirun has it, rexlaunch does not have it yet");
  EXPECT_EQ(ErrorOf({"-debug-daemons", "p"}),
            "option '-debug-daemons' (word 1): mpirun has it, rexlaunch does not; use "
            "REX_LOG=debug in the environment");
  EXPECT_EQ(Parsed({"--personality", "ompi", "p"}).apps[0].argv, (Words{"p"}));
  EXPECT_EQ(Parsed({"--noprefix", "p"}).apps[0].argv, (Words{"p"}));
}

TEST(Parse, WhatIsSaidOfNodes) {
  const CommandLine line = Parsed({"--virtual-nodes",
                                   "4:2",
                                   "--ssh",
                                   "ssh -F 'my config'",
                                   "--prefix",
                                   "/opt/rex",
                                   "--tree",
                                   "two-level",
                                   "--ship-agent",
                                   "always",
                                   "--start-timeout",
                                   "5",
                                   "--node-timeout=7.5",
                                   "--max-modex",
                                   "64M",
                                   "--export",
                                   "none",
                                   "--nolocal",
                                   "--map-by",
                                   "node",
                                   "--max-vm-size",
                                   "99999999999",
                                   "--allocation",
                                   "none",
                                   "--default-hostfile",
                                   "d",
                                   "p"});
  EXPECT_EQ(line.virtual_nodes, (VirtualChoice{4, 2}));
  EXPECT_EQ(line.ssh, (Words{"ssh", "-F", "my config"}));
  EXPECT_EQ(line.prefix, "/opt/rex");
  EXPECT_EQ(line.tree, TreeRequest::kTwoLevel);
  EXPECT_EQ(line.ship, ShipRequest::kAlways);
  EXPECT_EQ(line.start_timeout, std::chrono::seconds(5));
  EXPECT_EQ(line.node_timeout, std::chrono::seconds(8));
  EXPECT_EQ(line.max_modex_bytes, uint64_t{64} << 20);
  EXPECT_EQ(line.export_mode, ExportMode::kNone);
  EXPECT_TRUE(line.nolocal);
  EXPECT_EQ(line.max_nodes, kMaxJobNodes);
  EXPECT_TRUE(line.managers && line.managers->allowed.none());
  EXPECT_EQ(line.default_hostfile, "d");
  EXPECT_EQ(line.apps[0].place.map, MapBy::kNode);
}

TEST(Parse, WhatNobodySaidOfNodes) {
  const CommandLine line = Parsed({"p"});
  EXPECT_EQ(line.virtual_nodes.nodes, 0u);
  EXPECT_TRUE(line.ssh.empty() && line.prefix.empty() && !line.nolocal);
  EXPECT_EQ(line.apps[0].place, PlacePolicy());
  EXPECT_TRUE(!line.max_nodes && !line.managers && line.default_hostfile.empty());
  EXPECT_EQ(line.tree, TreeRequest::kAuto);
  EXPECT_EQ(line.start_timeout, std::chrono::seconds(30));
  EXPECT_EQ(line.node_timeout, std::chrono::seconds(120));
  EXPECT_EQ(line.max_modex_bytes, uint64_t{1} << 30);
  EXPECT_EQ(line.export_mode, ExportMode::kAll);
}

TEST(Parse, OrdersOfRanks) {
  for (const Words& words : {Words{"--bynode", "p"}, Words{"--map-by", "node", "p"},
                             Words{"--map-by", "node", "--map-by", ":OVERSUBSCRIBE", "p"}}) {
    EXPECT_EQ(Parsed(words).apps[0].place.map, MapBy::kNode) << words[0];
  }
  for (const Words& words : {Words{"--byslot", "p"}, Words{"--bynode", "--map-by", "slot", "p"}}) {
    EXPECT_EQ(Parsed(words).apps[0].place.map, MapBy::kSlot) << words[0];
  }
}

TEST(Parse, PlacesOfTheFirstProgramAreAlsoTheOthers) {
  const CommandLine line = Parsed(
      {"-n", "1", "--map-by", "socket:PE=2", "--bind-to", "core", "a", ":", "-n", "1", "b", ":",
       "-n", "1", "--map-by", "core",        "--rank-by", "slot", "c", ":", "-n", "1", "d"});
  ASSERT_EQ(line.apps.size(), 4u);
  EXPECT_EQ(line.apps[1].place, line.apps[0].place);
  EXPECT_EQ(line.apps[2].place.map_object, HwObject::kCore);
  EXPECT_EQ(line.apps[2].place.cpus_per_rank, 0u) << "was of the mapping that it replaces";
  EXPECT_EQ(line.apps[2].place.bind, BindTo::kObject);
  EXPECT_EQ(line.apps[3].place, line.apps[0].place);
}

TEST(Parse, CpusPerRankLeavesTheMappingOpen) {
  const PlacePolicy place = Parsed({"--cpus-per-rank", "2", "p"}).apps[0].place;
  EXPECT_EQ(place.map, MapBy::kUnset);
  EXPECT_EQ(place.cpus_per_rank, 2u);
}

TEST(Parse, RankFilesAreTheHostfileTooWhenThereIsNone) {
  const CommandLine line = Parsed({"--rankfile", "ranks", "p"});
  ASSERT_EQ(line.rankfile.size(), 2u);
  EXPECT_EQ(line.rankfile[0].host.name, "n1");
  EXPECT_EQ(line.rankfile[0].cpus, "0:1-2");
  EXPECT_EQ(line.apps[0].place.map, MapBy::kRankfile);
  EXPECT_EQ(line.apps[0].hostfile.size(), 2u);
  EXPECT_TRUE(Parsed({"-rf", "ranks", "--host", "n1,n2", "p"}).apps[0].hostfile.empty());
}

TEST(Parse, PlacesThatExcludeEachOther) {
  EXPECT_EQ(ErrorOf({"--rankfile", "ranks", "--map-by", "core", "p"}),
            "--rankfile and --map-by exclude each other; leave one out");
  EXPECT_EQ(ErrorOf({"--map-by", "rankfile", "p"}), "--map-by rankfile needs --rankfile FILE");
  EXPECT_EQ(ErrorOf({"--rankfile", "ranks", "--cpus-per-rank", "2", "p"}),
            "--rankfile says which cpus each rank has; leave out PE and --cpus-per-rank");
  EXPECT_EQ(ErrorOf({"--npersocket", "1", "--map-by", "core", "p"}),
            "--npersocket and --map-by exclude each other; leave one out");
  EXPECT_EQ(ErrorOf({"--map-by", "core", "--npersocket", "1", "p"}),
            "option '--npersocket' (word 3): it is a mapping of its own; leave out --map-by, or "
            "write --map-by ppr:1:socket");
  EXPECT_EQ(ErrorOf({"--hostfile", "sequence", "p"}),
            "--hostfile, line 1: a list of cpus ('0-1') is only for --map-by seq; write slots=N");
  EXPECT_EQ(Parsed({"--hostfile", "sequence", "--map-by", "seq", "p"}).apps[0].file_sequence.size(),
            2u);
  EXPECT_EQ(ErrorOf({"--nodes-json", "nodes", "p"}),
            "--nodes-json describes nodes that need not be there; add --do-not-launch");
  EXPECT_EQ(ErrorOf({"--nodes-json", "nodes", "--do-not-launch", "--host", "n1", "p"}),
            "--nodes-json and --host, --hostfile or --virtual-nodes exclude each other; leave one "
            "out");
}

TEST(Parse, ModifiersOfTheWholeJob) {
  const CommandLine line = Parsed({"--map-by", "core:OVERSUBSCRIBE,NOLOCAL,HWTCPUS", "p"});
  EXPECT_TRUE(line.oversubscribe && line.nolocal && line.apps[0].place.hwthread_cpus);
  EXPECT_TRUE(Parsed({"--use-hwthread-cpus", "p"}).apps[0].place.hwthread_cpus);
}

struct BadCase {
  Words words;
  const char* says;
};

TEST(Parse, BadWordsAboutNodesAreNamed) {
  const BadCase cases[] = {
      {{"--ssh", "ssh 'x"}, "option '--ssh' (word 1): a quote (') is not closed"},
      {{"--ssh", " "}, "option '--ssh' (word 1): the command is empty; is a shell variable unset?"},
      {{"--ssh", "''"},
       "option '--ssh' (word 1): the command is empty; is a shell variable unset?"},
      {{"--prefix", "opt"},
       "option '--prefix' (word 1): 'opt' is relative, and other nodes have another current "
       "directory; write the whole path"},
      {{"--prefix", ""},
       "option '--prefix' (word 1): the name of a directory is empty; is a shell variable unset?"},
      {{"--ship-agent", "maybe"},
       "option '--ship-agent' (word 1): 'maybe' is not known; write 'auto', 'always' or 'never'"},
      {{"--tree", "deep"},
       "option '--tree' (word 1): 'deep' is not known; write 'auto', 'flat' or 'two-level'"},
      {{"--export", "HOME"},
       "option '--export' (word 1): 'HOME' is not known; write 'all', 'mpirun' or 'none' (a "
       "variable goes by -x)"},
      {{"--start-timeout", "0"},
       "option '--start-timeout' (word 1): '0' is not a time; write seconds from 1 to 86400, for "
       "example 60"},
      {{"--node-timeout", "86401"},
       "option '--node-timeout' (word 1): '86401' is not a time; write seconds from 1 to 86400, "
       "for example 60"},
      {{"--node-timeout", "soon"},
       "option '--node-timeout' (word 1): 'soon' is not a time; write seconds from 1 to 86400, for "
       "example 60"},
      {{"--max-modex", "0"},
       "option '--max-modex' (word 1): '0' is not a number of bytes; write at least 1, for example "
       "64M or 2G"},
      {{"--max-modex", "1T"},
       "option '--max-modex' (word 1): '1T' is not a number of bytes; write at least 1, for "
       "example 64M or 2G"},
      {{"--virtual-nodes", "0"},
       "option '--virtual-nodes' (word 1): '0' is not a number of nodes; write N or N:SLOTS with N "
       "from 1 to 65535"},
      {{"--virtual-nodes", "2", "--host", "a"},
       "--virtual-nodes and --host or --hostfile exclude each other; leave one out"},
      {{"--virtual-nodes", "2", "--hostfile", "hosts"},
       "--virtual-nodes and --host or --hostfile exclude each other; leave one out"},
      {{"--virtual-node", "2"},
       "unknown option '--virtual-node' (word 1); did you mean '--virtual-nodes'? 'rexlaunch "
       "--help' lists all options"},
      {{"--nodetimeout", "2"},
       "unknown option '--nodetimeout' (word 1); did you mean '--node-timeout'? 'rexlaunch --help' "
       "lists all options"},
      {{"--launch-agent", "f"},
       "option '--launch-agent' (word 1): mpirun has it, rexlaunch does not have it yet; --prefix "
       "says where rex is on the nodes, --ssh how they are reached"},
      {{"--allocation", "moab"},
       "option '--allocation' (word 1): 'moab' is not known; write 'auto', 'none' or a resource "
       "manager's name, 'flux', 'slurm', 'pals', 'pbs', 'lsf', 'gridengine'"},
      {{"--max-vm-size", "0"},
       "option '--max-vm-size' (word 1): '0' is not a number of nodes; write at least 1"},
      {{"--default-hostfile", ""},
       "option '--default-hostfile' (word 1): the name of a file is empty; is a shell variable "
       "unset?"},
  };
  for (const BadCase& c : cases) EXPECT_EQ(ErrorOf(With(c.words)), c.says);
}

TEST(Parse, SeveralProgramsOnVirtualNodesNeedNoNumbers) {
  EXPECT_EQ(Parsed({"--virtual-nodes", "2", "a", ":", "b"}).apps.size(), 2u);
}

TEST(Parse, ContradictionsAreNamed) {
  EXPECT_EQ(ErrorOf({"--oversubscribe", "--nooversubscribe", "p"}),
            "--oversubscribe and --nooversubscribe exclude each other; leave one out");
}

}  // namespace
}  // namespace rex
