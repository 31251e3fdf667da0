// What debuggers and profilers see of a rank from a template, against an exec'ed one.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

std::string Observed() { return BuildDir() + REX_TEST_TEMPLATE_PROGRAMS + "observed"; }

bool InSleep(pid_t pid) {
  const auto call = ReadFile("/proc/" + std::to_string(pid) + "/syscall");
  return call && call->starts_with(std::to_string(SYS_clock_nanosleep) + " ");
}

std::string WaysName(const std::string& way) {
  return way == "auto" ? "born by template" : "born by exec";
}

class TemplateObserversTest : public RexTest {
 protected:
  // A rank of `observed VERB` that has said its pid. Both ways alike: "auto" or "none".
  std::unique_ptr<RunningCommand> StartRank(const std::string& way, const std::string& verb,
                                            pid_t* pid) {
    auto job = StartRex({"--verbose", "--template=" + way, "-n", "1", Observed(), verb});
    EXPECT_TRUE(job->WaitForText("pid=")) << job->Snapshot();
    EXPECT_TRUE(job->WaitForText("\n")) << job->Snapshot();
    EXPECT_TRUE(job->WaitForText(WaysName(way))) << job->Snapshot();
    *pid = static_cast<pid_t>(NumberAfter(job->out(), "pid"));
    EXPECT_GT(*pid, 0) << job->Snapshot();
    return job;
  }
  void EndRank(RunningCommand& job) {
    job.Signal(SIGTERM);
    EXPECT_TRUE(ExitedWith(job.Wait(seconds(20)), kExitSignalBase + SIGTERM));
  }
  // What gdb says to `commands`, addresses and numbers of processes masked, without the lines that
  // name librex_template.so.
  std::vector<std::string> Gdb(const std::vector<std::string>& commands,
                               const std::vector<std::string>& subject) {
    std::vector<std::string> words = {"gdb", "-nx", "-q", "-batch", "-iex", "set pagination off"};
    for (const std::string& command : commands) words.insert(words.end(), {"-ex", command});
    words.insert(words.end(), subject.begin(), subject.end());
    const CommandResult result = Run(words);
    EXPECT_TRUE(ExitedWith(result, 0));
    static const std::regex kNumber("0x[0-9a-f]+|(LWP|process) [0-9]+|=[0-9]{3,}");
    std::vector<std::string> lines;
    for (const std::string& line : Lines(result.out)) {
      const bool about_us = line.find("librex_template.so") != std::string::npos ||
                            line.starts_with("(*): Shared library is missing debugging");
      if (!about_us) lines.push_back(std::regex_replace(line, kNumber, "N"));
    }
    return lines;
  }
  std::vector<std::string> Attach(const std::string& way, const std::string& verb,
                                  const std::vector<std::string>& commands) {
    pid_t pid = 0;
    auto job = StartRank(way, verb, &pid);
    EXPECT_TRUE(verb != "wait" || job->WaitUntil([&] { return InSleep(pid); })) << job->Snapshot();
    auto lines = Gdb(commands, {"-p", std::to_string(pid)});
    EndRank(*job);
    return lines;
  }
  bool HaveGdb() { return Run({"gdb", "--version"}).exit_code == 0; }
  // A reason why gdb cannot attach to what it has not started, or nothing.
  std::string WhyNoAttach() {
    if (!HaveGdb()) return "no gdb here";
    int scope = 0;  // ptrace(2), Yama; no file: as 0
    std::ifstream("/proc/sys/kernel/yama/ptrace_scope") >> scope;
    const bool may = scope == 0 || (scope < 3 && ::geteuid() == 0);
    return may ? "" : "ptrace_scope is " + std::to_string(scope);
  }
  bool HavePerf() {
    return Run({"perf", "record", "-q", "-e", "cpu-clock:u", "-o", left().work_dir() + "/try",
                "true"})
               .exit_code == 0;
  }
  // "comm dso symbol" of what `file` has the most samples of.
  std::string Hottest(const std::string& file) {
    const CommandResult result = Run({"perf", "report", "--stdio", "-q", "--percent-limit", "20",
                                      "-F", "comm,dso,sym", "-i", file});
    EXPECT_TRUE(ExitedWith(result, 0));
    std::istringstream words(result.out);
    std::string comm, dso, level, symbol;
    if (words >> comm >> dso >> level >> symbol) return comm + " " + dso + " " + symbol;
    return "nothing";
  }
};

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST_F(TemplateObserversTest, GdbAttachesAsToAnExecedRank) {
  if (const std::string why = WhyNoAttach(); !why.empty()) GTEST_SKIP() << why;
  const std::vector<std::string> commands = {"backtrace", "info threads", "info sharedlibrary",
                                             "print answer", "print own_word"};
  const std::string exec = Joined(Attach("none", "wait", commands));
  const std::string templated = Joined(Attach("auto", "wait", commands));
  EXPECT_EQ(templated, exec);
  for (const char* part : {"in main (argc=2, argv=N) at ", "in act (verb=N \"wait\", depth=3) at ",
                           "\"observed\"", "libc.so.6", "$1 = 42", "$2 = 17"}) {
    EXPECT_TRUE(Contains(templated, part));
  }
}

TEST_F(TemplateObserversTest, GdbStopsAtABreakpointAndGoesOn) {
  if (const std::string why = WhyNoAttach(); !why.empty()) GTEST_SKIP() << why;
  const std::vector<std::string> commands = {"break tick",  "continue",    "continue",
                                             "backtrace 2", "print count", "detach"};
  const auto last = [&](const std::string& way) {
    auto lines = Attach(way, "tick", commands);
    // Where it was found differs from run to run; from the second stop on it is the same.
    const auto from = std::find_if(lines.rbegin(), lines.rend(), [](const std::string& line) {
      return line.find("Breakpoint 1, tick (count=1) at ") != std::string::npos;
    });
    EXPECT_NE(from, lines.rend()) << Joined(lines);
    if (from == lines.rend()) return Joined(lines);
    return Joined({from.base() - 1, lines.end()});
  };
  const std::string exec = last("none");
  EXPECT_EQ(last("auto"), exec);
  EXPECT_TRUE(Contains(exec, "$1 = 1"));
}

class CoreTest : public TemplateObserversTest {
 protected:
  // A reason not to expect core files, or nothing.
  static std::string WhyNoCore() {
    std::string pattern;
    std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
    if (pattern.empty() || pattern.find_first_of("|/%") != std::string::npos) {
      return "core_pattern is '" + pattern + "': cores go elsewhere";
    }
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && ::geteuid() != 0)
      return "the limit of core files is hard";
    return "";
  }
  // The only file that `way` left in its directory.
  std::string Core(const std::string& way, const std::string& verb, int signo) {
    const std::string dir = left().work_dir() + "/" + way;
    EXPECT_EQ(::mkdir(dir.c_str(), 0700), 0);
    CommandOptions options;
    options.limits.push_back({RLIMIT_CORE, {RLIM_INFINITY, RLIM_INFINITY}});
    const CommandResult result = Rex(
        {"--verbose", "--template=" + way, "--wdir", dir, "-n", "1", Observed(), verb}, options);
    EXPECT_TRUE(ExitedWith(result, kExitSignalBase + signo));
    EXPECT_TRUE(StderrNames(result, {WaysName(way), "core dumped"}));
    const CommandResult found = Run({"ls", dir});
    const auto names = Lines(found.out);
    EXPECT_EQ(names.size(), 1u) << found;
    return names.empty() ? "" : dir + "/" + names[0];
  }
  std::vector<std::string> Examine(const std::string& core) {
    return Gdb({"info threads", "thread apply all backtrace", "info sharedlibrary", "print answer"},
               {Observed(), core});
  }
};

TEST_F(CoreTest, SegmentationFault) {
  if (const std::string why = WhyNoCore(); !why.empty()) GTEST_SKIP() << why;
  if (!HaveGdb()) GTEST_SKIP() << "no gdb here";
  const std::string exec = Joined(Examine(Core("none", "crash", SIGSEGV)));
  const std::string templated = Joined(Examine(Core("auto", "crash", SIGSEGV)));
  EXPECT_EQ(templated, exec);
  for (const char* part : {"observed crash'.", "terminated with signal SIGSEGV",
                           "crash (where=N) at ", "in main (argc=2, argv=N) at "}) {
    EXPECT_TRUE(Contains(templated, part));
  }
}

TEST_F(CoreTest, AbortInAThread) {
  if (const std::string why = WhyNoCore(); !why.empty()) GTEST_SKIP() << why;
  if (!HaveGdb()) GTEST_SKIP() << "no gdb here";
  const std::string exec = Joined(Examine(Core("none", "abort", SIGABRT)));
  const std::string templated = Joined(Examine(Core("auto", "abort", SIGABRT)));
  EXPECT_EQ(templated, exec);
  for (const char* part : {"terminated with signal SIGABRT", "in thread_main (argument=N) at ",
                           "in main (argc=2, argv=N) at ", "Thread 2 "}) {
    EXPECT_TRUE(Contains(templated, part));
  }
}

// What perf and other profilers name code by.
TEST_F(TemplateObserversTest, MappingsAndNamesAreThoseOfExec) {
  const auto say = [&](const std::string& way) {
    const CommandResult result =
        Rex({"--verbose", "--template=" + way, "-n", "1", Observed(), "maps"});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.err, WaysName(way))) << result;
    return std::regex_replace(result.out, std::regex("pid=[0-9]+"), "");
  };
  const std::string exec = say("none");
  EXPECT_EQ(say("auto"), exec);
  for (const char* part : {"libc.so.6\n", "[stack]\n", "comm=observed\n", "/observed\n"}) {
    EXPECT_TRUE(Contains(exec, part));
  }
}

TEST_F(TemplateObserversTest, PerfAttachedSeesTheSameCode) {
  if (!HavePerf()) GTEST_SKIP() << "perf is not here or may not record";
  for (const std::string way : {"none", "auto"}) {
    const std::string file = left().work_dir() + "/attached-" + way;
    pid_t pid = 0;
    auto job = StartRank(way, "burn", &pid);
    EXPECT_TRUE(ExitedWith(Run({"perf", "record", "-q", "-e", "cpu-clock:u", "-o", file, "-p",
                                std::to_string(pid), "--", "sleep", "0.5"}),
                           0));
    EndRank(*job);
    EXPECT_EQ(Hottest(file), "observed observed burn") << way;
  }
}

TEST_F(TemplateObserversTest, PerfOfTheWholeCommandSeesTheSameCode) {
  if (!HavePerf()) GTEST_SKIP() << "perf is not here or may not record";
  for (const std::string way : {"none", "auto"}) {
    const std::string file = left().work_dir() + "/whole-" + way;
    const CommandResult result =
        Run({"perf", "record", "-q", "-e", "cpu-clock:u", "-o", file, "--", RexlaunchPath(), "-n",
             "1", "--template=" + way, "--timeout", IsSanitized() ? "5" : "1", Observed(), "burn"});
    EXPECT_EQ(CountOf(result.out, "pid="), 1u) << result;
    EXPECT_EQ(Hottest(file), "observed observed burn") << way;
  }
}

}  // namespace
}  // namespace rex::testing
