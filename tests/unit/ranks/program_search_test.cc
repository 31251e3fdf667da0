#include "launcher/ranks/program_search.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace rex {
namespace {

class ProgramSearchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "rex-search-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& bytes, mode_t mode = 0755) {
    const std::string path = dir_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  ProgramSearch Find(const std::string& name, std::vector<std::string> env = {}) {
    return FindProgram({name, dir_, std::move(env)});
  }
  void ExpectError(const ProgramSearch& search, Errc code, const std::string& text,
                   const std::string& remedy) {
    ASSERT_FALSE(search.path) << *search.path;
    EXPECT_EQ(search.path.error().code, code) << search.path.error().text;
    EXPECT_NE(search.path.error().text.find(text), std::string::npos) << search.path.error().text;
    EXPECT_NE(search.remedy.find(remedy), std::string::npos) << search.remedy;
  }
  std::string dir_;
};

const char kScript[] = "#!/bin/sh\necho hello\n";

#if defined(__x86_64__)
constexpr uint16_t kHere = EM_X86_64;
constexpr uint16_t kForeign = EM_AARCH64;
constexpr char kForeignName[] = "is for aarch64";
#else
constexpr uint16_t kHere = EM_AARCH64;
constexpr uint16_t kForeign = EM_X86_64;
constexpr char kForeignName[] = "is for x86-64";
#endif

bool ForeignFormatsAreRegistered() {
  const std::filesystem::path dir = "/proc/sys/fs/binfmt_misc";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ignored)) {
    const std::string name = entry.path().filename();
    if (name != "register" && name != "status") return true;
  }
  return false;
}

// A program header's worth of an ELF file whose loader is `loader`.
std::string Elf(uint16_t machine, uint16_t type, const std::string& loader) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = machine;
  header.e_type = type;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = loader.empty() ? PT_LOAD : PT_INTERP;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = loader.size() + 1;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return bytes + loader + '\0';
}

TEST_F(ProgramSearchTest, ANameWithASlashCountsFromTheWorkingDirectory) {
  const std::string path = Write("bin/app", kScript);
  EXPECT_EQ(*Find("bin/app").path, path);
  EXPECT_EQ(*Find("./bin/app").path, path);
  EXPECT_EQ(*Find(path).path, path);
}

TEST_F(ProgramSearchTest, ABareNameIsLookedForInTheRanksPath) {
  const std::string second = Write("two/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=" + dir_ + "/one:" + dir_ + "/two"}).path, second);
  const std::string first = Write("one/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=" + dir_ + "/one:" + dir_ + "/two"}).path, first);
}

TEST_F(ProgramSearchTest, RelativeAndEmptyPathEntriesCountFromTheWorkingDirectory) {
  const std::string path = Write("sub/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=/nowhere:sub"}).path, path);
  EXPECT_EQ(*Find("app", {"PATH=/nowhere:./sub"}).path, path);
  const std::string here = Write("other", kScript);
  EXPECT_EQ(*Find("other", {"PATH=:/nowhere"}).path, here);
  EXPECT_EQ(*Find("other", {"PATH=."}).path, here);
}

TEST_F(ProgramSearchTest, TheWorkingDirectoryComesLastAsWithMpirun) {
  const std::string here = Write("app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=/nowhere"}).path, here);
  EXPECT_EQ(*Find("app").path, here);
  const std::string in_path = Write("bin/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=" + dir_ + "/bin"}).path, in_path);
}

TEST_F(ProgramSearchTest, TheLastPathInTheEnvironmentCounts) {
  const std::string path = Write("bin/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=/nowhere", "PATH=" + dir_ + "/bin"}).path, path);
}

TEST_F(ProgramSearchTest, SkipsDirectoriesAndFilesWithoutModeInPath) {
  std::filesystem::create_directories(dir_ + "/one/app");
  Write("two/app", kScript, 0644);
  const std::string third = Write("three/app", kScript);
  EXPECT_EQ(*Find("app", {"PATH=one:two:three"}).path, third);
  ExpectError(Find("app", {"PATH=two"}), Errc::kNotRunnable, "two/app' is not executable",
              "chmod +x ");
}

TEST_F(ProgramSearchTest, SaysWhereItLooked) {
  ExpectError(Find("app", {"PATH=/no/where:/else"}), Errc::kNotFound, "(/no/where:/else)", "./app");
  ExpectError(Find("app"), Errc::kNotFound, "not set", "PATH");
  ExpectError(Find("./app"), Errc::kNotFound, dir_ + "/app': No such file", "");
  ExpectError(Find(""), Errc::kNotFound, "empty", "");
}

TEST_F(ProgramSearchTest, SuggestsTheFileThatLacksTheMode) {
  Write("app", kScript, 0644);
  ExpectError(Find("app", {"PATH=/nowhere"}), Errc::kNotRunnable, "not executable",
              "chmod +x " + dir_ + "/app");
}

TEST_F(ProgramSearchTest, RefusesWhatIsNoFile) {
  std::filesystem::create_directories(dir_ + "/sub");
  ExpectError(Find("./sub"), Errc::kNotRunnable, "is a directory", "inside");
  ASSERT_EQ(::mkfifo((dir_ + "/fifo").c_str(), 0755), 0);
  ExpectError(Find("./fifo"), Errc::kNotRunnable, "not a regular file", "");
  Write("file", kScript);
  ExpectError(Find("./file/app"), Errc::kNotFound, "Not a directory", "");
}

TEST_F(ProgramSearchTest, AcceptsRealPrograms) {
  EXPECT_EQ(*Find("/bin/true").path, "/bin/true");
  EXPECT_TRUE(Find("sh", {"PATH=/usr/bin:/bin"}).path);
  EXPECT_TRUE(Find("/proc/self/exe").path);
}

TEST_F(ProgramSearchTest, AScriptNeedsItsInterpreter) {
  Write("missing", "#!/opt/nowhere/foo -x\n");
  ExpectError(Find("./missing"), Errc::kNotRunnable, "interpreter '/opt/nowhere/foo'", "install");
  Write("spaced", "#! \t /bin/sh -e\n");
  EXPECT_TRUE(Find("./spaced").path);
  Write("unended", "#!/bin/sh");
  EXPECT_TRUE(Find("./unended").path);
  Write("none", "#!\n");
  ExpectError(Find("./none"), Errc::kNotRunnable, "names no interpreter", "#!/bin/sh");
  Write("windows", "#!/bin/sh\r\necho\r\n");
  ExpectError(Find("./windows"), Errc::kNotRunnable, "Windows line ends", "sed");
  Write("relative", "#!sub/tool\n");
  ExpectError(Find("./relative"), Errc::kNotRunnable, "'sub/tool'", "");
  Write("sub/tool", kScript, 0644);
  ExpectError(Find("./relative"), Errc::kNotRunnable, "is not executable", "chmod +x");
}

TEST_F(ProgramSearchTest, RefusesAnEmptyFile) {
  Write("empty", "");
  ExpectError(Find("./empty"), Errc::kNotRunnable, "empty file", "again");
}

TEST_F(ProgramSearchTest, AcceptsWhatMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  const std::string path = Write("secret", "anything", 0111);
  EXPECT_EQ(*Find("./secret").path, path);
}

class ProgramFormatTest : public ProgramSearchTest {
 protected:
  void SetUp() override {
    ProgramSearchTest::SetUp();
    if (ForeignFormatsAreRegistered()) GTEST_SKIP() << "this node runs foreign formats";
  }
};

TEST_F(ProgramFormatTest, RefusesTextWithoutInterpreterLine) {
  Write("text", "echo hello\n");
  ExpectError(Find("./text"), Errc::kNotRunnable, "without #!", "#!/bin/sh");
  Write("binary", std::string("\1\2\0\3", 4));
  ExpectError(Find("./binary"), Errc::kNotRunnable, "neither an ELF program nor a script", "");
}

TEST_F(ProgramFormatTest, RefusesAnotherProcessorsProgram) {
  Write("app", Elf(kForeign, ET_EXEC, "/lib/ld.so"));
  ExpectError(Find("./app"), Errc::kNotRunnable, kForeignName, "compile it for");
  std::string big_endian = Elf(kHere, ET_EXEC, "");
  big_endian[EI_DATA] = ELFDATA2MSB;
  Write("big", big_endian);
  ExpectError(Find("./big"), Errc::kNotRunnable, "big-endian", "compile");
}

TEST_F(ProgramFormatTest, RefusesObjectFilesAndCoreDumps) {
  Write("app.o", Elf(kHere, ET_REL, ""));
  ExpectError(Find("./app.o"), Errc::kNotRunnable, "object file", "mpicc");
  Write("core", Elf(kHere, ET_CORE, ""));
  ExpectError(Find("./core"), Errc::kNotRunnable, "not a program", "");
}

TEST_F(ProgramFormatTest, NeedsTheLoader) {
  Write("app", Elf(kHere, ET_DYN, "/lib/ld-nowhere.so.1"));
  ExpectError(Find("./app"), Errc::kNotRunnable, "loader '/lib/ld-nowhere.so.1'", "install");
  Write("static", Elf(kHere, ET_EXEC, ""));
  EXPECT_TRUE(Find("./static").path);
}

// What a file names is shown to a person, on one line of a terminal.
TEST_F(ProgramFormatTest, NothingInTheFileSteersTheTerminal) {
  Write("app", Elf(kHere, ET_DYN, "/lib/\x1b[2J\n.so"));
  ExpectError(Find("./app"), Errc::kNotRunnable, "loader '/lib/?[2J?.so'", "install");
  Write("script", "#!/no/\x1b]0;\a\n");
  ExpectError(Find("./script"), Errc::kNotRunnable, "interpreter '/no/?]0;?'", "install");
}

TEST_F(ProgramFormatTest, RefusesEveryCutOfAnElfFile) {
  const std::string whole = Elf(kHere, ET_EXEC, "/lib/ld-nowhere.so.1");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    Write("cut", whole.substr(0, bytes));
    EXPECT_FALSE(Find("./cut").path) << bytes;
  }
}

TEST_F(ProgramFormatTest, SurvivesNonsenseInTheHeader) {
  std::string bytes = Elf(kHere, ET_EXEC, "/lib/ld-nowhere.so.1");
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.e_phnum = 0xffff;
  header.e_phoff = UINT64_MAX - 10;
  std::memcpy(bytes.data(), &header, sizeof header);
  Write("app", bytes);
  ExpectError(Find("./app"), Errc::kNotRunnable, "damaged", "again");
}

TEST(CheckWdirTest, TellsWhatIsWrong) {
  EXPECT_TRUE(CheckWdir("/").status);
  const WdirCheck missing = CheckWdir("/no/such/directory");
  ASSERT_FALSE(missing.status);
  EXPECT_EQ(missing.status.error().code, Errc::kNotFound);
  EXPECT_NE(missing.status.error().text.find("'/no/such/directory'"), std::string::npos);
  EXPECT_NE(missing.remedy.find("mkdir -p"), std::string::npos);
  const WdirCheck file = CheckWdir("/etc/passwd");
  ASSERT_FALSE(file.status);
  EXPECT_EQ(file.status.error().code, Errc::kNotRunnable);
}

}  // namespace
}  // namespace rex
