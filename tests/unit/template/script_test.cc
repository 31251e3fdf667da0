// Scripts: the first line as the kernel reads it, and what is started for it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "launcher/base/fd.h"
#include "launcher/template/script_line.h"
#include "launcher/template/template_fitness.h"

namespace rex {
namespace {

std::string Parsed(std::string_view begin) {
  const auto line = ParseScriptLine(begin);
  return line ? line->interpreter + "|" + line->argument : "none";
}

TEST(ScriptLine, AsTheKernelReadsIt) {
  EXPECT_EQ(Parsed("#!/bin/sh\n"), "/bin/sh|");
  EXPECT_EQ(Parsed("#! \t /bin/sh\t\nmore"), "/bin/sh|");
  EXPECT_EQ(Parsed("#!/usr/bin/env python3\n"), "/usr/bin/env|python3");
  EXPECT_EQ(Parsed("#!/bin/awk -f  -v x \t\n"), "/bin/awk|-f  -v x");
  EXPECT_EQ(Parsed("#!sh\n"), "sh|");
  EXPECT_EQ(Parsed("#!/bin/sh\r\n"), "/bin/sh\r|");
}

TEST(ScriptLine, WhatIsNone) {
  for (const std::string_view begin :
       {"", "#", "#!", "#!\n", "#! \t\n", "/bin/sh\n", " #!/bin/sh\n", "#!/bin/sh"}) {
    EXPECT_EQ(Parsed(begin), "none") << begin;
  }
  EXPECT_EQ(Parsed(std::string_view("#!/bin/sh\0 x\n", 13)), "none");
}

TEST(ScriptLine, EndsWithinWhatTheKernelReads) {
  for (const size_t length : {kScriptLineBytes - 1, kScriptLineBytes, kScriptLineBytes + 1}) {
    std::string text = "#!/" + std::string(length - 4, 'x') + "\n";
    ASSERT_EQ(text.size(), length);
    EXPECT_EQ(ParseScriptLine(text).has_value(), length <= kScriptLineBytes) << length;
  }
}

class Scripts : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "scripts." + std::to_string(::getpid());
    std::filesystem::create_directories(dir_ + "/bin");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  // A file whose times are past: one that was written a moment ago is not trusted.
  std::string Write(const std::string& name, const std::string& bytes, mode_t mode = 0755) {
    const std::string path = dir_ + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(path, bytes));
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    const auto key = [](const std::timespec& t) { return std::pair(t.tv_sec, t.tv_nsec); };
    for (std::timespec now{}; key(now) <= key(info.st_ctim);) {
      ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // may lag behind files' times
    }
    return path;
  }
  TemplateProgram Choose(const std::string& line, const std::string& path = "/usr/bin:/bin") {
    script_ = Write("script", line + "\n");
    return ChooseTemplate(script_, {"./script", "a", ""}, {"HOME=/", "PATH=" + path});
  }
  std::string dir_;
  std::string script_;
};

TEST_F(Scripts, ProgramsAreStartedAsTheyAre) {
  const auto program = ChooseTemplate("/bin/true", {"true", "x"}, {});
  EXPECT_EQ(program.why_exec, "");
  EXPECT_EQ(program.path, "/bin/true");
  EXPECT_EQ(program.argv, (std::vector<std::string>{"true", "x"}));
  EXPECT_TRUE(program.files.empty());
}

TEST_F(Scripts, TheKernelStartsAScriptsInterpreter) {
  const auto program = Choose("#!/bin/sh -e");
  EXPECT_EQ(program.why_exec, "");
  EXPECT_EQ(program.path, script_);
  EXPECT_EQ(program.argv, (std::vector<std::string>{"./script", "a", ""}));
  ASSERT_EQ(program.files.size(), 1u);
  EXPECT_EQ(program.files[0].path, script_);
  EXPECT_TRUE(StillAsMapped(program.files));
  Write("script", "#!/bin/cat\n");
  EXPECT_FALSE(StillAsMapped(program.files));
}

TEST_F(Scripts, WhatEnvWouldStartIsStarted) {
  const auto program = Choose("#!/usr/bin/env sh", "/nowhere:" + dir_ + "/bin:/usr/bin");
  EXPECT_EQ(program.why_exec, "");
  EXPECT_EQ(program.path, "/usr/bin/sh");
  EXPECT_EQ(program.argv, (std::vector<std::string>{"sh", script_, "a", ""}));
  ASSERT_EQ(program.files.size(), 2u);
  EXPECT_EQ(program.files[1].path, "/usr/bin/env");
}

TEST_F(Scripts, EnvPassesOverWhatCannotBeExecuted) {
  Write("bin/sh", "no program", 0644);
  const std::string path = dir_ + "/bin:" + dir_ + ":/bin";
  std::filesystem::create_directories(dir_ + "/sh");
  EXPECT_EQ(Choose("#!/usr/bin/env sh", path).path, "/bin/sh");
}

TEST_F(Scripts, AnythingUnusualIsExeced) {
  const std::string inner = Write("bin/inner", "#!/bin/sh\n");
  const std::string path = dir_ + "/bin:/usr/bin";
  const std::pair<std::string, std::string> cases[] = {
      {"#!" + inner, "', and it is a script"},
      {"#!/usr/bin/env inner", "', and it is a script"},
      {"#!bin/sh", "usual first line"},
      {"#!", "usual first line"},
      {"#!/no/such/interpreter", "no/such/interpreter', and"},
      {"#!/usr/bin/env", "options to env"},
      {"#!/usr/bin/env -S sh", "options to env"},
      {"#!/usr/bin/env A=1", "options to env"},
      {"#!/usr/bin/env sh -e", "options to env"},
      {"#!/usr/bin/env no-such-program-at-all", "does not find plainly"},
      {"#!/usr/bin/env ../bin/sh", "does not find plainly"},
  };
  for (const auto& [line, why] : cases) {
    const auto program = Choose(line, path);
    EXPECT_NE(program.why_exec.find(why), std::string::npos) << line << ": " << program.why_exec;
  }
}

TEST_F(Scripts, APathWithRelativeEntriesIsEnvsOwnBusiness) {
  for (const char* path : {"", ":/bin", "bin:/bin", "/nowhere::/bin", "/nowhere:"}) {
    EXPECT_NE(Choose("#!/usr/bin/env sh", path).why_exec, "") << path;
  }
  EXPECT_EQ(Choose("#!/usr/bin/env sh", "/bin:").why_exec, "") << "found before it";
  EXPECT_NE(ChooseTemplate(script_, {"x"}, {"HOME=/"}).why_exec, "") << "no PATH at all";
}

TEST_F(Scripts, OneThatWasWrittenThisMomentIsNotTrusted) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string path = dir_ + "/fresh";
    ASSERT_TRUE(WriteFileAtomically(path, "#!/bin/sh\n"));
    std::timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    struct stat st {};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    const bool older =
        std::pair(st.st_ctim.tv_sec, st.st_ctim.tv_nsec) < std::pair(now.tv_sec, now.tv_nsec);
    EXPECT_EQ(TrustedFile(path, now).has_value(), older);
    if (!older) return;
  }
  FAIL() << "never within a tick";
}

}  // namespace
}  // namespace rex
