// Which way ranks come: programs that must take the fast one, programs that must not, and that
// nobody can tell from what they print.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/base/descendants.h"
#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

std::string TemplateProgram(const std::string& name) {
  return BuildDir() + REX_TEST_TEMPLATE_PROGRAMS + name;
}

class TemplateWaysTest : public RexTest {
 protected:
  CommandResult Verbose(const std::vector<std::string>& program, CommandOptions options = {},
                        const std::string& ranks = "2") {
    std::vector<std::string> args = {"--verbose", "-n", ranks};
    args.insert(args.end(), program.begin(), program.end());
    return Rex(args, std::move(options));
  }
  void ExpectTemplate(const std::vector<std::string>& program, CommandOptions options = {}) {
    const CommandResult result = Verbose(program, std::move(options));
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(CountOf(result.err, "born by template"), 2u) << result;
  }
  // The reason, and the same output and exit code as without templates.
  void ExpectExec(const std::vector<std::string>& program, const std::string& why,
                  const CommandOptions& options = {}) {
    const CommandResult result = Verbose(program, options, "1");
    EXPECT_EQ(CountOf(result.err, "born by template"), 0u) << result;
    EXPECT_TRUE(Contains(result.err, "born by exec")) << result;
    EXPECT_TRUE(Contains(result.err, why)) << result;
    std::vector<std::string> args = {"--verbose", "--template=none", "-n", "1"};
    args.insert(args.end(), program.begin(), program.end());
    const CommandResult plain = Rex(args, options);
    EXPECT_EQ(result.exit_code, plain.exit_code) << result << plain;
    EXPECT_EQ(result.out, plain.out);
  }
  std::string Compile(const std::string& out, const std::vector<std::string>& words) {
    std::vector<std::string> command = {REX_TEST_CC, "-o", out};
    command.insert(command.end(), words.begin(), words.end());
    EXPECT_TRUE(ExitedWith(Run(command), 0));
    return out;
  }
};

// Linked or preloaded: an allocator that is not libc's works as after an exec.
class AllocatorTest : public TemplateWaysTest {
 protected:
  // The fast way, and what exec'ed ranks say of the allocator's `name` and their results.
  void ExpectTemplateLikeExec(const std::string& program, const std::string& name,
                              const CommandOptions& options) {
    const std::vector<std::string> words = {"--verbose", "-n", "2", program};
    const CommandResult templated = Rex(words, options);
    std::vector<std::string> exec_words = {"--template=none"};
    exec_words.insert(exec_words.end(), words.begin(), words.end());
    const CommandResult exec = Rex(exec_words, options);
    EXPECT_TRUE(ExitedWith(templated, 0));
    EXPECT_EQ(CountOf(templated.err, "born by template"), 2u) << templated;
    EXPECT_EQ(CountOf(exec.out, "allocator=" + name + " sum="), 2u) << exec;
    EXPECT_EQ(templated.out, exec.out);
  }
  void LinkedAndPreloaded(const std::string& library, const std::string& name) {
    const std::string linked =
        TemplateProgram("heap_" + std::string(name == "tcmalloc" ? "tcmalloc_minimal" : name));
    ExpectTemplateLikeExec(linked, name, {});
    CommandOptions options;
    options.set_env["LD_PRELOAD"] = library;
    ExpectTemplateLikeExec(TemplateProgram("heap"), name, options);
  }
};

TEST_F(AllocatorTest, Libc) { ExpectTemplateLikeExec(TemplateProgram("heap"), "libc", {}); }
TEST_F(AllocatorTest, Jemalloc) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer wants to be the first library of rexlaunch";
#if defined(REX_TEST_jemalloc)
  LinkedAndPreloaded(REX_TEST_jemalloc, "jemalloc");
#else
  GTEST_SKIP() << "no jemalloc here (package libjemalloc-dev)";
#endif
}
TEST_F(AllocatorTest, Tcmalloc) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer wants to be the first library of rexlaunch";
#if defined(REX_TEST_tcmalloc_minimal)
  LinkedAndPreloaded(REX_TEST_tcmalloc_minimal, "tcmalloc");
#else
  GTEST_SKIP() << "no tcmalloc here (package libgoogle-perftools-dev)";
#endif
}

TEST_F(TemplateWaysTest, C) { ExpectTemplate({ProgramPath("mpi_hello")}); }
TEST_F(TemplateWaysTest, CPlusPlus) { ExpectTemplate({ProgramPath("mpi_cxx")}); }
TEST_F(TemplateWaysTest, Fortran) { ExpectTemplate({ProgramPath("mpi_fortran")}); }
TEST_F(TemplateWaysTest, Mpi4py) {
  ExpectTemplate({"/usr/bin/python3", ProgramPath("mpi4py_check.py")});
}
TEST_F(TemplateWaysTest, OpenMp) { ExpectTemplate({TemplateProgram("openmp")}); }
TEST_F(TemplateWaysTest, TwoHundredLibraries) {
  const CommandResult result = Verbose({TemplateProgram("many")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "sum=200\n"), 2u) << result;
  EXPECT_EQ(CountOf(result.err, "born by template"), 2u) << result;
}
TEST_F(TemplateWaysTest, ManyRanksInSeveralBatches) {
  const CommandResult result = Verbose({"--oversubscribe", TemplateProgram("plain")}, {}, "250");
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "plain\n"), 250u);
  EXPECT_EQ(CountOf(result.err, "born by template"), 250u);
}
TEST_F(TemplateWaysTest, SeveralApps) {
  const CommandResult result =
      Rex({"--verbose", "-n", "1", TemplateProgram("plain"), ":", "-n", "1",
           TemplateProgram("plain_static"), ":", "-n", "1", TemplateProgram("plain")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "plain\n"), 3u) << result;
  EXPECT_EQ(CountOf(result.err, "born by template"), 2u) << result;
  EXPECT_EQ(CountOf(result.err, "born by exec"), 2u) << "the reason, and the rank: " << result;
}
TEST_F(TemplateWaysTest, AUsersPreload) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer wants to be the first library of rexlaunch";
  CommandOptions options;
  options.set_env["LD_PRELOAD"] = TemplateProgram("libprobe_library.so");
  ExpectTemplate({TemplateProgram("plain")}, options);
}
TEST_F(TemplateWaysTest, TheTimelineSaysIt) {
  const CommandResult result = Rex({"--timeline", "-", "-n", "1", TemplateProgram("plain")});
  bool seen = false;
  for (const auto& line : Lines(result.err)) {
    seen = seen || (line.starts_with("births") && line.ends_with("template"));
  }
  EXPECT_TRUE(seen) << result;
}
TEST_F(TemplateWaysTest, ADirectoryThatNoPreloadCanName) {
  // The library is then handed over as a descriptor.
  const std::string prefix = left().work_dir() + "/a b:c";
  ASSERT_EQ(::mkdir(prefix.c_str(), 0700), 0);
  ASSERT_TRUE(
      ExitedWith(Run({"cp", "-r", BuildDir() + "/bin", BuildDir() + "/libexec", prefix}), 0));
  const CommandResult result =
      Run({prefix + "/bin/rexlaunch", "--verbose", "-n", "1", TemplateProgram("plain")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, "born by template")) << result;
}

TEST_F(TemplateWaysTest, OptionNone) {
  const CommandResult result =
      Rex({"--template", "none", "--verbose", "-n", "1", TemplateProgram("plain")});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, "born by exec")) << result;
}
// What a template makes needs no spawner, and none stands about.
TEST_F(TemplateWaysTest, ASpawnerIsStartedForExecOnly) {
  for (const char* way : {"auto", "none"}) {
    auto job = StartRex({"--template", way, "-n", "2", "--oversubscribe", ProgramPath("testprog"),
                         "sleep", "60000"});
    ASSERT_TRUE(job->WaitForText("sleeping rank=")) << job->Snapshot();
    EXPECT_EQ(DescendantsNamed(job->pid(), "rexd-spawner").size(), way == std::string("none"));
    job->Signal(SIGTERM);
    job->Wait();
  }
}
TEST_F(TemplateWaysTest, Static) { ExpectExec({TemplateProgram("plain_static")}, "it is static"); }
TEST_F(TemplateWaysTest, Musl) {
  if (Run({"musl-gcc", "--version"}).exit_code != 0) GTEST_SKIP() << "no musl here (musl-tools)";
  const std::string source = std::string(REX_TEST_TEMPLATE_SOURCES) + "plain.c";
  const std::string dynamic = left().work_dir() + "/musl";
  const std::string fixed = left().work_dir() + "/musl-static";
  ASSERT_TRUE(ExitedWith(Run({"musl-gcc", "-o", dynamic, source}), 0));
  ASSERT_TRUE(ExitedWith(Run({"musl-gcc", "-static", "-o", fixed, source}), 0));
  const CommandResult result = Rex({"-n", "2", dynamic, ":", "-n", "2", "--oversubscribe", fixed});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.out, "plain\n"), 4u) << result;
  ExpectExec({dynamic}, "it uses another ld.so, /lib/ld-musl-");
  ExpectExec({fixed}, "it is static");
}
TEST_F(TemplateWaysTest, ThirtyTwoBits) {
  const std::string program = left().work_dir() + "/bits32";
  const CommandResult built = Run({REX_TEST_CC, "-m32", "-nostdlib", "-static", "-o", program,
                                   std::string(REX_TEST_TEMPLATE_SOURCES) + "bits32.S"});
  if (built.exit_code != 0) GTEST_SKIP() << "the compiler makes no i386 programs";
  if (Run({program}).exit_code != 5) GTEST_SKIP() << "this kernel runs no 32-bit programs";
  const CommandResult result = Rex({"-n", "2", program});
  EXPECT_TRUE(ExitedWith(result, 5));
  EXPECT_TRUE(Contains(result.out, "from 32 bits\n"));
  ExpectExec({program}, "it is for another architecture");
}
TEST_F(TemplateWaysTest, Script) {
  const CommandResult result =
      Verbose({WriteFile("script", "#!/bin/sh\necho from a script of $# $1\n", 0755), "word"});
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(result.out, "from a script of 1 word\nfrom a script of 1 word\n");
  EXPECT_EQ(CountOf(result.err, "born by template"), 2u) << result;
}
TEST_F(TemplateWaysTest, Mpi4pyAsAScript) {
  const auto body = ReadFile(ProgramPath("mpi4py_check.py"));
  ASSERT_TRUE(body.has_value());
  CommandOptions options;
  options.set_env["PATH"] = "/usr/bin:/bin";
  for (const char* line : {"#!/usr/bin/python3\n", "#!/usr/bin/env python3\n"}) {
    ExpectTemplate({WriteFile("check.py", line + *body, 0755)}, options);
  }
}
TEST_F(TemplateWaysTest, ScriptsThatAreNotFollowed) {
  CommandOptions options;
  options.set_env["PATH"] = left().work_dir() + ":/usr/bin:/bin";
  const std::string inner = WriteFile("inner", "#!/bin/sh\necho inner \"$@\"\n", 0755);
  const std::string fixed = left().work_dir() + "/fixed";
  ASSERT_TRUE(ExitedWith(Run({"cp", TemplateProgram("plain_static"), fixed}), 0));
  const std::pair<std::string, std::string> cases[] = {
      {"#!" + inner, "', and it is a script"},
      {"#!/usr/bin/env inner", "', and it is a script"},
      {"#!" + fixed, "it is static"},
      {"#!/usr/bin/env -S sh -u", "options to env"},
      {"#!/usr/bin/env no-such-program-at-all", "does not find"},
  };
  for (const auto& [line, why] : cases) {
    const std::string script = WriteFile("outer", line + "\necho outer $#\n", 0755);
    ExpectExec({script, "x"}, why, options);
  }
}
TEST_F(TemplateWaysTest, AScriptThatWasRewrittenRunsAsItIs) {
  for (int i = 0; i < 5; ++i) {
    const std::string text = "number " + std::to_string(i);
    const CommandResult result = Verbose({WriteFile(
        "script", (i % 2 == 0 ? "#!/bin/sh\n" : "#!/usr/bin/env bash\n") + ("echo " + text),
        0755)});
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_EQ(result.out, text + "\n" + text + "\n");
  }
}
TEST_F(TemplateWaysTest, SetId) {
  const std::string copy = left().work_dir() + "/set-id";
  ASSERT_TRUE(ExitedWith(Run({"cp", TemplateProgram("plain"), copy}), 0));
  ASSERT_EQ(::chmod(copy.c_str(), 04755), 0);
  ExpectExec({copy}, "set-user-ID");
}
TEST_F(TemplateWaysTest, FileCapabilities) {
  const std::string copy = left().work_dir() + "/capable";
  ASSERT_TRUE(ExitedWith(Run({"cp", TemplateProgram("plain"), copy}), 0));
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives capabilities";
  const CommandResult given = Run({"setcap", "cap_net_raw+ep", copy});
  if (given.exit_code != 0) GTEST_SKIP() << "no setcap, or a file system without capabilities";
  ExpectExec({copy}, "file capabilities");
}
TEST_F(TemplateWaysTest, AddressSanitizer) {
  ExpectExec({TemplateProgram("plain_asan")}, "sanitizer");
}
TEST_F(TemplateWaysTest, AnotherInitfirstLibrary) {
  ExpectExec({TemplateProgram("calls_initfirst")}, "-z initfirst");
}
TEST_F(TemplateWaysTest, AThreadBeforeTheFirstConstructor) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "the library that does this is written for x86-64";
#endif
  ExpectExec({TemplateProgram("calls_thread")}, "more than one thread");
}
TEST_F(TemplateWaysTest, LdAudit) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer wants to be the first library of rexlaunch";
  CommandOptions options;
  options.set_env["LD_AUDIT"] = "/nowhere/audit.so";
  ExpectExec({TemplateProgram("plain")}, "LD_AUDIT is set", options);
}
TEST_F(TemplateWaysTest, WhatLdSoPrintsComesFromEachRank) {
  CommandOptions options;
  options.set_env["LD_PRELOAD"] = "/nowhere/preload.so";
  const CommandResult result = Verbose({TemplateProgram("plain")}, options);
  EXPECT_TRUE(ExitedWith(result, 0));
  EXPECT_TRUE(Contains(result.err, "ld.so has something to say")) << result;
  EXPECT_GE(CountOf(result.err, "/nowhere/preload.so"), 2u) << result;
}
TEST_F(TemplateWaysTest, AMissingLibrary) {
  const CommandResult result = Verbose({ProgramPath("needs_missing_library")}, {}, "1");
  EXPECT_TRUE(ExitedWith(result, 127));
  EXPECT_TRUE(Contains(result.err, "cannot open shared object file")) << result;
  EXPECT_TRUE(Contains(result.err, "born by exec")) << result;
}

// SIGKILL as by `killall app`, SIGSTOP as by a debugger. Whoever strikes too late strikes nobody.
TEST_F(TemplateWaysTest, ATemplateStruckInAJobCostsTheFastPathOnly) {
  for (const int signo : {SIGKILL, SIGSTOP}) {
    bool fell_back = false;
    for (int attempt = 0; attempt < 20 && !fell_back; ++attempt) {
      auto job = StartRex({"--verbose", "-n", "2", TemplateProgram("many")});
      pid_t target = -1;
      job->WaitUntil([&] {
        // The first born of those that look like one: the others are ranks on their way.
        for (const ProcessInfo& process : FindDescendants(job->pid())) {
          if (IsTemplate(process.pid) && (target < 0 || process.pid < target)) target = process.pid;
        }
        return target > 0 || job->ended();
      });
      if (target > 0) ::kill(target, signo);
      const CommandResult result = job->Wait(seconds(30));
      ASSERT_TRUE(ExitedWith(result, 0)) << "signal " << signo;
      EXPECT_EQ(CountOf(result.out, "sum=200\n"), 2u) << result;
      fell_back = CountOf(result.err, "born by exec") == 3;  // the reason, and two ranks
    }
    EXPECT_TRUE(fell_back) << "signal " << signo << " never came in time";
  }
}

TEST_F(TemplateWaysTest, RecompiledBetweenTwoJobs) {
  const std::string source = REX_TEST_TEMPLATE_SOURCES;
  const std::string library = left().work_dir() + "/libversion.so";
  const std::string program = left().work_dir() + "/version";
  const auto build = [&](int program_version, int library_version) {
    Compile(library, {"-shared", "-fPIC", "-DLIBRARY_VERSION=" + std::to_string(library_version),
                      source + "version_library.c"});
    Compile(program, {"-DPROGRAM_VERSION=" + std::to_string(program_version), source + "version.c",
                      library, "-Wl,-rpath," + left().work_dir()});
  };
  const int versions[][2] = {{1, 1}, {1, 2}, {2, 2}};
  for (const auto& [program_version, library_version] : versions) {
    build(program_version, library_version);
    const CommandResult result = Verbose({program});
    EXPECT_TRUE(ExitedWith(result, 0));
    const std::string line = "program=" + std::to_string(program_version) +
                             " library=" + std::to_string(library_version) + "\n";
    EXPECT_EQ(result.out, line + line) << result;
  }
}

}  // namespace
}  // namespace rex::testing
