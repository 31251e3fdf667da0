// librexspawn in a program that rexlaunch has not started: a tool of a DVM that stays.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "launcher/base/fd.h"
#include "tests/integration/dvm/dvm_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

class ToolTest : public DvmTest {
 protected:
  static std::vector<std::string> Words(const std::vector<std::string>& script) {
    std::vector<std::string> words = {ProgramPath("rexspawn_probe")};
    words.insert(words.end(), script.begin(), script.end());
    return words;
  }
  CommandResult Tool(const std::vector<std::string>& script, CommandOptions options = {}) {
    return Run(Words(script), std::move(options));
  }
  // Comes back when all that it starts run.
  std::unique_ptr<RunningCommand> StartTool(const std::vector<std::string>& script, size_t jobs) {
    auto tool = std::make_unique<RunningCommand>(Words(script), Prepare());
    EXPECT_TRUE(AwaitJobs(jobs));
    return tool;
  }
  std::string RendezvousFile() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(left().tmp_dir())) {
      if (entry.path().filename() == "dvm.pmix") return entry.path();
    }
    return "";
  }
  // "rex-host.0;tcp4://127.0.0.1:PORT"
  std::string Uri() {
    std::ifstream file(RendezvousFile());
    std::string line;
    std::getline(file, line);
    return line;
  }
};

TEST_F(ToolTest, AProgramUsesTheUsersOnlyDvm) {
  StartDvm();
  const CommandResult result =
      Tool({"start:3:echo copy $PMIX_RANK of $0; echo to stderr >&2; exit $PMIX_RANK", "wait-all",
            "none", "running"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out,
                       "end job=1 copy=0 code=0 signal=0\nend job=1 copy=1 code=1 signal=0\n"
                       "end job=1 copy=2 code=2 signal=0\n"
                       "none -1: nothing is left to wait for\nrunning 0\n"));
  for (const char* line : {"copy 0 of sh\n", "copy 1 of sh\n", "copy 2 of sh\n"}) {
    EXPECT_TRUE(Contains(result.out, line));
  }
  EXPECT_EQ(CountOf(result.err, "to stderr\n"), 3U);
  EXPECT_TRUE(AwaitJobs(0));
}

TEST_F(ToolTest, CopiesHaveTheSurroundingsOfTheirTool) {
  StartDvm();
  CommandOptions options;
  options.cwd = left().work_dir() + "/elsewhere";
  ASSERT_EQ(::mkdir(options.cwd.c_str(), 0755), 0);
  options.set_env["OF_THE_TOOL"] = "mine";
  const CommandResult result = Run(
      {"sh", "-c", "umask 027; ulimit -Sn 321; exec \"$@\"", "sh", ProgramPath("rexspawn_probe"),
       "start:1:echo $(pwd) $OF_THE_TOOL $GIVEN $(umask) $(ulimit -Sn)", "wait"},
      options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, options.cwd + " mine yes 0027 321\n"));
}

TEST_F(ToolTest, SignalsReachOneOrAll) {
  StartDvm();
  const CommandResult result =
      Tool({"start:3:sleep 600", "signal:1:1:9", "wait", "running", "signal:1:-1:15", "wait-all"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out,
                       "end job=1 copy=1 code=0 signal=9\nrunning 2\n"
                       "end job=1 copy=0 code=0 signal=15\n"
                       "end job=1 copy=2 code=0 signal=15\n"));
}

// More than is on its way at once, and nothing waited for but the end.
TEST_F(ToolTest, AllOutputArrives) {
  StartDvm();
  const CommandResult result =
      Tool({"start:2:yes 0123456789 | head -c 1100000; yes abcdefghij | head -c 1100000 >&2",
            "wait-all"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "0123456789\n"), 200'000U);
  EXPECT_EQ(CountOf(result.err, "abcdefghij\n"), 200'000U);
}

TEST_F(ToolTest, RefusalsAreExplained) {
  StartDvm();
  const CommandResult result = Tool({"program:/no/such/program", "on:nowhere", "start:1:true",
                                     "on:" + std::string("localhost"), "start:1:true", "wait"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "start: cannot start '/no/such/program': "));
  EXPECT_TRUE(Contains(result.out, "'nowhere', which is no node"));
  EXPECT_TRUE(Contains(result.out, "end job=1 copy=0 code=0 signal=0"));
}

TEST_F(ToolTest, ItIsShownAboveItsJobs) {
  StartDvm();
  const auto tool = StartTool({"start:1:sleep 600", "detached:1:sleep 600", "wait"}, 2);
  const std::string name = "tool " + std::to_string(tool->pid());
  EXPECT_TRUE(Contains(Ctl({"ps", "--tree"}).out, name + ": " + ProgramPath("rexspawn_probe")));
  EXPECT_TRUE(Contains(Ctl({"jobs"}).out, name));
  const json jobs = Ask({"ps", "--tree"})["jobs"];
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0]["parent"]["tool_pid"], tool->pid());
  EXPECT_EQ(jobs[1]["rank_list"].size(), 1U);
  EXPECT_EQ(Ask({"status"})["state"], "busy");
}

TEST_F(ToolTest, CopiesEndWithTheirToolUnlessDetached) {
  StartDvm();
  const auto tool = StartTool({"start:2:sleep 600", "detached:1:sleep 600", "wait"}, 2);
  tool->Signal(SIGKILL);
  EXPECT_TRUE(AwaitJobs(1));
  const json jobs = Ask({"jobs"})["jobs"];
  EXPECT_EQ(jobs[0]["ranks"], 1);
  EXPECT_TRUE(jobs[0]["parent"].is_null());
  EXPECT_TRUE(ExitedWith(Ctl({"kill", std::to_string(jobs[0]["job"].get<int>())}), 0));
  EXPECT_TRUE(AwaitJobs(0));
  EXPECT_TRUE(ExitedWith(Tool({"start:1:exit 4", "wait"}), 0));
}

// Its child has the connection, too.
TEST_F(ToolTest, CopiesEndWithAToolThatHasForked) {
  StartDvm();
  const auto tool = StartTool({"start:1:sleep 600", "fork:30000", "wait"}, 1);
  tool->Signal(SIGKILL);
  EXPECT_TRUE(AwaitJobs(0));
}

TEST_F(ToolTest, ClosingEndsWhatIsAttached) {
  StartDvm();
  const CommandResult result = Tool({"start:1:sleep 600", "reopen", "start:1:exit 3", "wait"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "code=3"));
  EXPECT_TRUE(AwaitJobs(0));
}

TEST_F(ToolTest, AToolHearsThatItsDvmEnds) {
  StartDvm();
  const auto tool = StartTool({"start:1:sleep 600", "wait", "running", "start:1:true"}, 1);
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
  const CommandResult result = tool->Wait();
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.out, "running 0\nstart: cannot start 'sh': the DVM has ended\n"));
}

TEST_F(ToolTest, ADvmIsNamedWhenThereAreSeveral) {
  CommandOptions options;
  options.unset_env = {"REX_DVM"};
  const CommandResult none = Tool({"running"}, options);
  EXPECT_TRUE(ExitedWith(none, 1));
  EXPECT_TRUE(Contains(none.out, "no DVM of yours runs here; start one by 'rexctl start'"));
  StartDvm({"--name", "one"});
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}), 0));
  StartDvm({"--name", "two"});
  const CommandResult several = Tool({"running"});
  EXPECT_TRUE(ExitedWith(several, 1));
  EXPECT_TRUE(Contains(several.out, "several DVMs run here (one, two): name one"));
  options.set_env["REX_DVM"] = "two";
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}, options), 0));
  options.set_env["PROBE_DVM"] = "one";  // goes before
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}, options), 0));
  options.set_env["PROBE_DVM"] = "three";
  EXPECT_TRUE(Contains(Tool({"running"}, options).out, "no DVM 'three' runs here"));
  options.set_env["PROBE_DVM"] = "../x";
  EXPECT_TRUE(Contains(Tool({"running"}, options).out, "is no name of a DVM"));
  EXPECT_TRUE(ExitedWith(Ctl({"stop", "--name", "one"}), 0));
  EXPECT_TRUE(ExitedWith(Ctl({"stop", "--name", "two"}), 0));
}

TEST_F(ToolTest, PmixsOwnWaysToNameAServerWork) {
  StartDvm();
  CommandOptions file;
  file.set_env["PMIX_TOOL_ATTACHMENT_FILE"] = RendezvousFile();
  file.set_env["REX_DVM"] = "not-asked";
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}, file), 0));
  CommandOptions uri;
  uri.set_env["PMIX_SERVER_URI"] = Uri();
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}, uri), 0));
  uri.set_env["PMIX_SERVER_URI"] = "rex-host.0;tcp4://127.0.0.1:1";
  const CommandResult nobody = Tool({"running"}, uri);
  EXPECT_TRUE(ExitedWith(nobody, 1));
  EXPECT_TRUE(Contains(nobody.out, "open: PMIX_SERVER_URI does not answer"));
}

TEST_F(ToolTest, WhatAKilledDvmHasLeftIsNotBelieved) {
  StartDvm();
  const pid_t head = Head();
  const pid_t keeper = Keeper();
  ::kill(keeper, SIGSTOP);
  ::kill(head, SIGKILL);
  ::kill(keeper, SIGKILL);
  EXPECT_TRUE(AwaitEnd(keeper));
  EXPECT_FALSE(RendezvousFile().empty());
  const CommandResult result = Tool({"running"});
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(Contains(result.out, "no DVM of yours runs here"));
  StartDvm();  // removes the files
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}), 0));
}

TEST_F(ToolTest, TheRendezvousFileIsForItsUserAloneAndGoes) {
  StartDvm();
  const std::string file = RendezvousFile();
  ASSERT_FALSE(file.empty());
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
  EXPECT_TRUE(ExitedWith(Ctl({"stop"}), 0));
  EXPECT_FALSE(std::filesystem::exists(file));
}

// libpmix would believe what a tool says of its user, and wait for one that says nothing.
TEST_F(ToolTest, AnotherUserIsNotLetIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root";
  StartDvm();
  const std::string uri = Uri();
  const std::string port = uri.substr(uri.rfind(':') + 1);
  const std::vector<std::string> as_nobody = {"setpriv", "--reuid=65534", "--regid=65534",
                                              "--clear-groups"};
  auto words = as_nobody;
  words.insert(words.end(),
               {"bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" + port + "; cat <&3; echo closed"});
  const CommandResult silent = Run(words);
  EXPECT_EQ(silent.out, "closed\n") << silent;
  words = as_nobody;
  words.insert(words.end(), {"env", "PMIX_SERVER_URI=" + uri});
  const auto probe = Words({"start:1:id -u", "wait"});
  words.insert(words.end(), probe.begin(), probe.end());
  const CommandResult tool = Run(words);
  EXPECT_TRUE(ExitedWith(tool, 1));
  EXPECT_TRUE(Contains(tool.out, "does not answer"));
  EXPECT_TRUE(ExitedWith(Tool({"start:1:true", "wait"}), 0));
}

TEST_F(ToolTest, OverNodes) {
  StartDvm({"--virtual-nodes", "3:2"});
  const CommandResult result =
      Tool({"on:node2,node3", "start:4:echo from $PMIX_RANK; exit 3", "wait-all"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "code=3 signal=0"), 4U) << result;
  EXPECT_EQ(CountOf(result.out, "from "), 4U) << result;
}

TEST_F(ToolTest, ManyToolsAtOnce) {
  StartDvm();
  std::vector<std::unique_ptr<RunningCommand>> tools;
  for (int i = 0; i < 12; ++i) {
    tools.push_back(std::make_unique<RunningCommand>(
        Words({"start:2:exit 6", "wait-all", "start:1:exit 5", "wait"}), Prepare()));
  }
  for (const auto& tool : tools) {
    const CommandResult result = tool->Wait();
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.out, "code=6"), 2U);
    EXPECT_EQ(CountOf(result.out, "code=5"), 1U);
  }
  EXPECT_EQ(Ask({"jobs"})["jobs"].size(), 0U);
}

TEST_F(ToolTest, TheExampleRunsCommands) {
  StartDvm();
  const CommandResult result = Run({ExamplePath("copies"), "7", "sh", "-c", "test $NUMBER != 4"});
  EXPECT_TRUE(ExitedWith(result, 1));
  EXPECT_TRUE(Contains(result.out, "ended with 1, signal 0\n7 copies, 1 failed\n"));
}

}  // namespace
}  // namespace rex::testing
