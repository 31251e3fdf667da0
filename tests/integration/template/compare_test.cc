// A rank from a template held against an exec'ed one, item by item.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <regex>
#include <set>

#include "tests/support/rex_test.h"

namespace rex::testing {
namespace {

std::string TemplateProgram(const std::string& name) {
  return BuildDir() + REX_TEST_TEMPLATE_PROGRAMS + name;
}

class TemplateCompareTest : public RexTest {
 protected:
  // The probe's lines for rank 0, what differs between two jobs masked.
  std::vector<std::string> Probe(const std::string& way, const std::string& ranks,
                                 CommandOptions options, std::vector<std::string> more = {}) {
    more.insert(more.end(), {TemplateProgram("birth_probe"), "",
                             TemplateProgram("liblazy_library.so"), "a b", "last"});
    return Say(way, ranks, std::move(options), more);
  }
  // A template becomes the only rank, and clones itself for two.
  std::vector<std::string> Say(const std::string& way, const std::string& ranks,
                               CommandOptions options, const std::vector<std::string>& words) {
    std::vector<std::string> args = {"--verbose", "--template=" + way, "-n", ranks};
    args.insert(args.end(), words.begin(), words.end());
    const CommandResult result = Rex(args, std::move(options));
    EXPECT_TRUE(ExitedWith(result, 0));
    EXPECT_TRUE(Contains(result.err, way == "auto" ? "born by template" : "born by exec"))
        << result;
    std::vector<std::string> lines;
    static const std::regex kJob("rex-[0-9A-Za-z]+");
    static const std::regex kAddress(
        "(tcp4?://|pmix-server[;.=]|PMIX_SERVER_URI[0-9]*=|precondition_transports=)[^ ]*");
    for (const std::string& line : Lines(result.out)) {
      std::string masked = std::regex_replace(line, kJob, "JOB");
      masked = std::regex_replace(masked, kAddress, "ADDRESS");
      lines.push_back(masked);
    }
    return lines;
  }
  void ExpectSame(const CommandOptions& options, const std::vector<std::string>& more = {}) {
    for (const char* ranks : {"1", "2"}) {
      SCOPED_TRACE(ranks);
      const auto exec = Probe("none", ranks, options, more);
      const auto templated = Probe("auto", ranks, options, more);
      EXPECT_GT(exec.size(), 60u);
      ExpectEqual(templated, exec);
    }
  }
  static void ExpectEqual(const std::vector<std::string>& templated,
                          const std::vector<std::string>& exec) {
    for (size_t i = 0; i < std::max(exec.size(), templated.size()); ++i) {
      const std::string was = i < exec.size() ? exec[i] : "(nothing)";
      const std::string is = i < templated.size() ? templated[i] : "(nothing)";
      EXPECT_EQ(is, was) << "line " << i << ": template on the left, exec on the right";
    }
  }
};

TEST_F(TemplateCompareTest, NothingDiffers) { ExpectSame({}); }

TEST_F(TemplateCompareTest, NothingDiffersOnPipes) { ExpectSame({}, {"--stdout=pipe"}); }

TEST_F(TemplateCompareTest, NothingDiffersWithUnusualInheritance) {
  if (IsSanitized()) GTEST_SKIP() << "a sanitizer wants to be the first library of rexlaunch";
  CommandOptions options;
  options.set_env["LD_PRELOAD"] = TemplateProgram("libprobe_library.so");
  options.set_env["LD_LIBRARY_PATH"] = "/nowhere:.";
  options.set_env["GLIBC_TUNABLES"] = "glibc.malloc.tcache_count=3";
  options.set_env["EMPTY"] = "";
  options.limits.push_back({RLIMIT_STACK, {3 << 20, 64 << 20}});
  options.limits.push_back({RLIMIT_NOFILE, {123, 4096}});
  options.limits.push_back({RLIMIT_CORE, {0, 0}});
  const mode_t before = ::umask(037);
  ExpectSame(options, {"--wdir", "/usr"});
  ::umask(before);
}

TEST_F(TemplateCompareTest, NothingDiffersWhenOversubscribed) {
  ExpectSame({}, {"--timer-slack", "3"});
}

TEST_F(TemplateCompareTest, WhatTheProbeSays) {
  // Against a probe that says the same nonsense both ways.
  const auto lines = Probe("auto", "2", {});
  const auto has = [&](const std::string& line) {
    EXPECT_NE(std::find(lines.begin(), lines.end(), line), lines.end()) << line;
  };
  has("proc_environ_is_environ=1");
  has("cmdline_is_argv=1");
  has("lazy=1 now=0");
  has("arg3=a b");
  has("lock=0 relock=35 unlock=0");
  has("order=first second seen=rank=0 preload=none fd=none tls=4711 library=began rank=0 "
      "own_pid=1");
  has("leads_group=1 leads_session=0 constructor_pid=1");
  has("parent=rexd-agent");
}

// The kernel runs what the first line names, and env(1) goes on to another program.
TEST_F(TemplateCompareTest, NothingDiffersForScripts) {
  const auto body = ReadFile(std::string(REX_TEST_TEMPLATE_SOURCES) + "script_probe.py");
  ASSERT_TRUE(body.has_value());
  CommandOptions options;
  options.set_env["PATH"] = "/nowhere:/usr/bin:/bin";
  for (const char* line : {"#!/usr/bin/python3", "#!/usr/bin/python3 -E",
                           "#! \t/usr/bin/python3  -sE ", "#!/usr/bin/env python3"}) {
    const std::string script = WriteFile("probe.py", line + ("\n" + *body), 0755);
    for (const char* ranks : {"1", "2"}) {
      SCOPED_TRACE(std::string(line) + " " + ranks);
      const auto exec = Say("none", ranks, options, {script, "a b", ""});
      const auto templated = Say("auto", ranks, options, {script, "a b", ""});
      EXPECT_GT(exec.size(), 30u);
      ExpectEqual(templated, exec);
    }
  }
}

TEST_F(TemplateCompareTest, RandomBytesDifferBetweenRanks) {
  const CommandResult result =
      Rex({"--verbose", "-n", "4", "--oversubscribe", TemplateProgram("birth_probe"), "random"});
  ASSERT_TRUE(ExitedWith(result, 0));
  EXPECT_EQ(CountOf(result.err, "born by template"), 4u) << result;
  const auto lines = Lines(result.out);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), 4u) << result;
}

TEST_F(TemplateCompareTest, OpenMpCountsTheSameThreads) {
  for (const char* threads : {"", "3"}) {
    CommandOptions options;
    if (*threads != '\0') options.set_env["OMP_NUM_THREADS"] = threads;
    for (const char* ranks : {"1", "2"}) {
      const auto exec = Rex({"--template=none", "-n", ranks, TemplateProgram("openmp")}, options);
      const auto templated = Rex({"--verbose", "-n", ranks, TemplateProgram("openmp")}, options);
      ASSERT_TRUE(ExitedWith(exec, 0));
      ASSERT_TRUE(ExitedWith(templated, 0));
      EXPECT_TRUE(Contains(templated.err, "born by template"));
      EXPECT_EQ(templated.out, exec.out);
    }
  }
}

}  // namespace
}  // namespace rex::testing
