// Which programs are templated: the decision as a table, and the reader of ELF headers against
// files that are cut or bent at every place.
#include "launcher/template/template_fitness.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "launcher/base/fd.h"
#include "launcher/template/template_process.h"

namespace rex {
namespace {

ElfFacts Ordinary() {
  ElfFacts elf;
  elf.is_elf = true;
  elf.is_native = true;
  elf.interpreter = SystemInterpreter();
  elf.needed = {"libmpi.so.40", "libc.so.6"};
  return elf;
}

TEST(LooksInWorkingDirectory, WhenAPathIsNeitherAbsoluteNorBesideTheFile) {
  EXPECT_FALSE(LooksInWorkingDirectory(Ordinary()));
  const auto with = [](const std::string& path) {
    ElfFacts rpath = Ordinary();
    rpath.rpath = path;
    ElfFacts runpath = Ordinary();
    runpath.runpath = path;
    EXPECT_EQ(LooksInWorkingDirectory(rpath), LooksInWorkingDirectory(runpath)) << path;
    return LooksInWorkingDirectory(runpath);
  };
  for (const char* fixed : {"", "/opt/lib", "$ORIGIN/../lib:/opt/lib", "${ORIGIN}"}) {
    EXPECT_FALSE(with(fixed)) << fixed;
  }
  for (const char* loose : {"lib", ".", "/opt/lib:", ":/opt/lib", "/a::/b", "$LIB/x"}) {
    EXPECT_TRUE(with(loose)) << loose;
  }
  ElfFacts needs = Ordinary();
  needs.needed.emplace_back("/opt/lib/libx.so");
  EXPECT_FALSE(LooksInWorkingDirectory(needs));
  needs.needed.emplace_back("lib/libx.so");
  EXPECT_TRUE(LooksInWorkingDirectory(needs));
}

struct Case {
  const char* name;
  void (*change)(ElfFacts&, FileFacts&, std::vector<std::string>&);
  const char* why;  // part of it; empty: a template
};

const Case kCases[] = {
    {"Ordinary", [](ElfFacts&, FileFacts&, std::vector<std::string>&) {}, ""},
    {"Static", [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.interpreter.clear(); },
     "static"},
    {"Script",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) {
       e = ElfFacts{};
       e.is_script = true;
     },
     "script"},
    {"NoElf", [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e = ElfFacts{}; }, "no ELF"},
    {"Foreign", [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.is_native = false; },
     "another architecture"},
    {"Musl",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) {
       e.interpreter = "/lib/ld-musl-x86_64.so.1";
     },
     "another ld.so, /lib/ld-musl"},
    {"SetId", [](ElfFacts&, FileFacts& f, std::vector<std::string>&) { f.is_set_id = true; },
     "set-user-ID"},
    {"Capabilities",
     [](ElfFacts&, FileFacts& f, std::vector<std::string>&) { f.has_capabilities = true; },
     "capabilities"},
    {"Initfirst",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.wants_first_call = true; },
     "initfirst"},
    {"StaticSanitizer",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.has_sanitizer = true; },
     "sanitizer"},
    {"Asan",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.needed.push_back("libasan.so.8"); },
     "sanitizer"},
    {"Tsan",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) { e.needed.push_back("libtsan.so.2"); },
     "sanitizer"},
    {"Ubsan",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) {
       e.needed.push_back("libubsan.so.1");
     },
     "sanitizer"},
    {"ClangRuntime",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) {
       e.needed.push_back("libclang_rt.asan-x86_64.so");
     },
     "sanitizer"},
    {"Jemalloc",
     [](ElfFacts& e, FileFacts&, std::vector<std::string>&) {
       e.needed.push_back("libjemalloc.so.2");
     },
     ""},
    {"Audit",
     [](ElfFacts&, FileFacts&, std::vector<std::string>& v) { v.push_back("LD_AUDIT=/a.so"); },
     "LD_AUDIT is set"},
    {"Debug",
     [](ElfFacts&, FileFacts&, std::vector<std::string>& v) { v.push_back("LD_DEBUG=libs"); },
     "LD_DEBUG is set"},
    {"Trace",
     [](ElfFacts&, FileFacts&, std::vector<std::string>& v) {
       v.push_back("LD_TRACE_LOADED_OBJECTS=1");
     },
     "LD_TRACE_LOADED_OBJECTS is set"},
    {"HarmlessSettings",
     [](ElfFacts&, FileFacts&, std::vector<std::string>& v) {
       v = {"LD_LIBRARY_PATH=/a", "LD_PRELOAD=/b.so", "LD_BIND_NOW=1", "GLIBC_TUNABLES=x",
            "MALLOC_ARENA_MAX=1", "LDFLAGS=-lm",      "OLD_AUDIT=1"};
     },
     ""},
};

class Fitness : public ::testing::TestWithParam<Case> {};

TEST_P(Fitness, Decides) {
  ElfFacts elf = Ordinary();
  FileFacts file;
  std::vector<std::string> env = {"HOME=/root"};
  GetParam().change(elf, file, env);
  const std::string why = WhyExec(elf, file, env);
  if (*GetParam().why == '\0') {
    EXPECT_EQ(why, "");
  } else {
    EXPECT_NE(why.find(GetParam().why), std::string::npos) << "'" << why << "'";
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Fitness, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return std::string(c.param.name); });

class ElfFile : public ::testing::Test {
 protected:
  void TearDown() override { ::unlink(path_.c_str()); }
  Result<ElfFacts> Read(const std::string& bytes) {
    EXPECT_TRUE(WriteFileAtomically(path_, bytes));
    return ReadElfFacts(path_);
  }
  static std::string Self() {
    const auto bytes = ReadFile("/bin/true");
    EXPECT_TRUE(bytes.has_value());
    return *bytes;
  }
  const std::string path_ = ::testing::TempDir() + "elf_file." + std::to_string(::getpid());
};

TEST_F(ElfFile, AnOrdinaryProgram) {
  const auto facts = ReadElfFacts("/bin/true");
  ASSERT_TRUE(facts.has_value()) << facts.error().text;
  EXPECT_TRUE(facts->is_elf && facts->is_native);
  EXPECT_EQ(facts->interpreter, SystemInterpreter());
  EXPECT_EQ(facts->needed, std::vector<std::string>{"libc.so.6"});
  EXPECT_FALSE(facts->wants_first_call || facts->has_sanitizer || facts->is_script);
  EXPECT_EQ(WhyExec("/bin/true", {}), "");
}

TEST_F(ElfFile, OtherThings) {
  EXPECT_TRUE(Read("#!/bin/sh\n")->is_script);
  EXPECT_FALSE(Read("")->is_elf);
  EXPECT_FALSE(Read("x")->is_elf);
  EXPECT_FALSE(ReadElfFacts("/no/such/file").has_value());
  EXPECT_FALSE(ReadElfFacts("/tmp")->is_elf);
  EXPECT_NE(WhyExec("/no/such/file", {}), "");
}

TEST_F(ElfFile, Another) {
  std::string bytes = Self();
  bytes[EI_CLASS] = ELFCLASS32;
  const auto facts = Read(bytes);
  ASSERT_TRUE(facts.has_value());
  EXPECT_TRUE(facts->is_elf);
  EXPECT_FALSE(facts->is_native);
}

// Never a crash, and never a program that would be templated by mistake: cut before its dynamic
// section a file is either refused or not native.
TEST_F(ElfFile, CutAnywhere) {
  const std::string whole = Self();
  for (size_t size = 0; size < 1024; size += 7) {
    const auto facts = Read(whole.substr(0, size));
    EXPECT_TRUE(!facts || !facts->is_native) << size;
  }
  for (size_t size = 1024; size < whole.size(); size += 1999) {
    const auto facts = Read(whole.substr(0, size));
    EXPECT_TRUE(!facts || facts->needed.size() <= 1) << size;
  }
}

TEST_F(ElfFile, BentAnywhereInItsHeaders) {
  const std::string whole = Self();
  for (size_t at = 4; at < 1024; at += 3) {
    std::string bent = whole;
    std::memset(bent.data() + at, 0xff, 8);
    const auto facts = Read(bent);
    EXPECT_TRUE(!facts || facts->needed.size() <= 1) << at;
  }
}

TEST(TemplateEnvironment, OursIsTheLastPreload) {
  const auto env = TemplateEnvironment({"A=1", "LD_PRELOAD=/u.so /v.so", "B=2"}, "/t.so", 7);
  EXPECT_EQ(std::count(env.begin(), env.end(), "LD_PRELOAD=/u.so /v.so:/t.so"), 1);
  EXPECT_EQ(std::count(env.begin(), env.end(), "REX_TEMPLATE_FD=7"), 1);
  EXPECT_EQ(std::count(env.begin(), env.end(), "LD_PRELOAD=/u.so /v.so"), 0);
  EXPECT_EQ(env[0], "A=1");
  EXPECT_GE(env.size(), kTemplateSpareEntries + 4);
}

TEST(TemplateEnvironment, WithoutOrWithAnEmptyPreload) {
  for (const auto& env : {TemplateEnvironment({"A=1"}, "/t.so", 7),
                          TemplateEnvironment({"A=1", "LD_PRELOAD="}, "/t.so", 7)}) {
    EXPECT_EQ(std::count(env.begin(), env.end(), "LD_PRELOAD=/t.so"), 1);
    EXPECT_EQ(std::count_if(env.begin(), env.end(),
                            [](const auto& e) { return e.starts_with("LD_PRELOAD"); }),
              1);
  }
}

}  // namespace
}  // namespace rex
