#include "launcher/image/closure.h"

#include <gtest/gtest.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "launcher/base/fd.h"

namespace rex {
namespace {

const std::string kDir = CLOSURE_DIR;

std::string Real(const std::string& path) {
  char real[PATH_MAX];
  return ::realpath(path.c_str(), real) != nullptr ? real : path;
}

struct Loaded {
  std::set<std::string> files;  // real paths, without ld.so and the program
  std::set<std::string> missing;
  bool operator==(const Loaded&) const = default;
};
void PrintTo(const Loaded& loaded, std::ostream* os) {
  for (const auto& file : loaded.files) *os << file << "\n";
  for (const auto& name : loaded.missing) *os << name << " missing\n";
}

// What ld.so itself says it would load: ld.so(8), LD_TRACE_LOADED_OBJECTS.
Loaded AskLoader(const std::string& program, const std::vector<std::string>& env) {
  std::string command = "env -i LD_TRACE_LOADED_OBJECTS=1";
  for (const std::string& entry : env) command += " '" + entry + "'";
  FILE* pipe = ::popen((command + " '" + program + "'").c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t n = 0; (n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  ::pclose(pipe);
  Loaded loaded;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t arrow = line.find(" => ");
    const std::string found = arrow == line.npos ? line.substr(1) : line.substr(arrow + 4);
    if (found.starts_with("not found")) {
      loaded.missing.insert(line.substr(1, arrow - 1));
    } else if (found.starts_with('/') && found.find("ld-linux") == found.npos) {
      loaded.files.insert(Real(found.substr(0, found.rfind(" ("))));
    }
  }
  return loaded;
}

Loaded Ours(const std::string& program, const std::vector<std::string>& env) {
  const Closure closure = FindClosure(program, env, ThisLoader());
  EXPECT_FALSE(closure.files.empty());
  Loaded loaded;
  for (size_t i = 1; i < closure.files.size(); ++i) loaded.files.insert(Real(closure.files[i]));
  loaded.missing.insert(closure.missing.begin(), closure.missing.end());
  return loaded;
}

TEST(Closure, IsLdSosForEveryKindOfPath) {
  const std::vector<std::string> environments[] = {
      {},
      {"LD_LIBRARY_PATH=" + kDir + "/mids"},
      {"LD_LIBRARY_PATH=" + kDir + "/plains:" + kDir + "/mids:" + kDir + "/leaves"},
      {"LD_LIBRARY_PATH=$ORIGIN/../plains;/nowhere:${ORIGIN}/../mids"},
      {"LD_PRELOAD=" + kDir + "/leaves/libtwin.so"},
      {"LD_PRELOAD=libtwin.so libm.so.6", "LD_LIBRARY_PATH=" + kDir + "/leaves"}};
  for (const char* name : {"old", "new", "none"}) {
    for (const auto& env : environments) {
      const std::string program = kDir + "/bin/" + name;
      EXPECT_EQ(Ours(program, env), AskLoader(program, env))
          << name << " " << (env.empty() ? "" : env.back());
    }
  }
}

TEST(Closure, OldAndNewRpathDiffer) {
  EXPECT_TRUE(Ours(kDir + "/bin/old", {}).missing.empty());
  // libplain's own library is not looked for in what the program's RUNPATH names.
  EXPECT_EQ(Ours(kDir + "/bin/new", {}).missing, std::set<std::string>{"libtwin.so"});
}

TEST(Closure, IsLdSosForSystemPrograms) {
  size_t compared = 0;
  for (const char* program : {"/usr/bin/env", "/usr/bin/ssh", "/usr/bin/python3", "/usr/bin/gdb",
                              "/usr/bin/git", "/usr/bin/mpirun", "/bin/bash"}) {
    if (::access(program, X_OK) != 0) continue;
    EXPECT_EQ(Ours(program, {}), AskLoader(program, {})) << program;
    ++compared;
  }
  EXPECT_GE(compared, 2u);
}

TEST(Closure, AProgramThroughALinkHasItsOriginWhereItIs) {
  const std::string link = "/tmp/closure-link-" + std::to_string(::getpid());
  ASSERT_EQ(::symlink((kDir + "/bin/old").c_str(), link.c_str()), 0);
  EXPECT_EQ(Ours(link, {}), AskLoader(link, {}));
  EXPECT_TRUE(Ours(link, {}).missing.empty());
  ::unlink(link.c_str());
}

TEST(Closure, HwcapsDirectoriesComeFirst) {
  const std::vector<std::string> hwcaps = UsableHwcaps();
  if (hwcaps.empty()) GTEST_SKIP() << "this processor has none";
  const std::string dir = "/tmp/closure-hwcaps-" + std::to_string(::getpid());
  const std::string better = dir + "/glibc-hwcaps/" + hwcaps.back();
  std::filesystem::create_directories(better);
  for (const std::string& to : {dir, better}) {
    std::filesystem::copy_file(kDir + "/leaves/libtwin.so", to + "/libtwin.so");
  }
  const std::vector<std::string> env = {"LD_LIBRARY_PATH=" + dir};
  const std::string program = kDir + "/bin/new";
  EXPECT_EQ(Ours(program, env), AskLoader(program, env));
  EXPECT_TRUE(Ours(program, env).files.contains(Real(better + "/libtwin.so")));
  std::filesystem::remove_all(dir);
}

TEST(Closure, WhatIsNoProgramHasNoLibraries) {
  const LoaderWorld world = ThisLoader();
  EXPECT_EQ(FindClosure("/etc/passwd", {}, world).files, std::vector<std::string>{"/etc/passwd"});
  EXPECT_FALSE(FindClosure("/etc/passwd", {}, world).dynamic);
  EXPECT_EQ(FindClosure("/no/such", {}, world).files.size(), 1u);
}

TEST(LdCache, HasWhatLdconfigPrints) {
  const auto file = ReadFile("/etc/ld.so.cache", 64 << 20);
  ASSERT_TRUE(file);
  const LdCache cache = LdCache::Parse(*file);
  const std::string libc = cache.Find("libc.so.6", UsableHwcaps());
  EXPECT_TRUE(libc.ends_with("/libc.so.6")) << libc;
  EXPECT_EQ(cache.Find("libnone.so.1", {}), "");
}

TEST(LdCache, ACutOneNeverReadsBeyondItsEnd) {
  const auto file = ReadFile("/etc/ld.so.cache", 64 << 20);
  ASSERT_TRUE(file);
  const size_t whole = LdCache::Parse(*file).size();
  EXPECT_GT(whole, 0u);
  for (size_t bytes = 0; bytes < file->size(); bytes += 1 + bytes / 7) {
    EXPECT_LE(LdCache::Parse(std::string_view(*file).substr(0, bytes)).size(), whole);
  }
  EXPECT_EQ(LdCache::Parse("").size(), 0u);
}

}  // namespace
}  // namespace rex
