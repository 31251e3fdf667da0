#include "launcher/base/programs.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace rex {
namespace {

// Output and exit code of a shell command started by SpawnProgram.
struct ShellEnd {
  std::string out;
  int code = -1;
};

ShellEnd RunShell(const std::string& script) {
  auto pipe = MakePipe();
  const int fd = pipe->second.get();
  const std::string redirected = "exec >&" + std::to_string(fd) + "; " + script;
  const auto pid = SpawnProgram({"/bin/sh", "-c", redirected}, {fd});
  EXPECT_TRUE(pid.has_value());
  pipe->second.Reset();
  ShellEnd end;
  std::array<char, 4096> chunk;
  ssize_t n = 0;
  while ((n = ::read(pipe->first.get(), chunk.data(), chunk.size())) > 0) {
    end.out.append(chunk.data(), static_cast<size_t>(n));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(*pid, &status, 0), *pid);
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return end;
}

TEST(SpawnProgram, KeepsTheNamedDescriptorsAndNoOthers) {
  auto other = MakePipe();
  ASSERT_TRUE(other.has_value());
  const std::string number = std::to_string(other->first.get());
  const ShellEnd end = RunShell("test -e /proc/self/fd/" + number + " && echo kept; echo ok");
  EXPECT_EQ(end.out, "ok\n");
  EXPECT_EQ(end.code, 0);
}

TEST(SpawnProgram, ResetsSignals) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  const auto old = ::signal(SIGUSR2, SIG_IGN);
  const ShellEnd end = RunShell("grep -E '^Sig(Blk|Ign)' /proc/self/status");
  // The two that glibc keeps for itself, 32 and 33, are ignored in what posix_spawn starts.
  constexpr uint64_t kOfLibc = 3ull << 31;
  ::signal(SIGUSR2, old);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  const auto mask = [&](const std::string& name) {
    const size_t at = end.out.find(name + ":\t");
    return at == std::string::npos ? ~0ull : std::stoull(end.out.substr(at + 8), nullptr, 16);
  };
  EXPECT_EQ(mask("SigBlk"), 0u) << end.out;
  EXPECT_EQ(mask("SigIgn") & ~kOfLibc, 0u) << end.out;
}

TEST(SpawnProgram, NamesWhatIsMissing) {
  const auto pid = SpawnProgram({"/no/such/program"}, {});
  ASSERT_FALSE(pid.has_value());
  EXPECT_EQ(pid.error().code, Errc::kNotFound);
  EXPECT_NE(pid.error().text.find("/no/such/program"), std::string::npos);
}

TEST(FindLibexecProgram, NamesEveryPathItTried) {
  const auto path = FindLibexecProgram("no-such-daemon");
  ASSERT_FALSE(path.has_value());
  EXPECT_EQ(path.error().code, Errc::kNotFound);
  EXPECT_NE(path.error().text.find("libexec/rex/no-such-daemon"), std::string::npos);
}

class InternalOptions : public ::testing::Test {
 protected:
  std::string Text(const std::string& word, const std::string& name) {
    std::string copy = word;
    std::string program = "x";
    char* argv[] = {program.data(), copy.data(), nullptr};
    return InternalOption(2, argv, name);
  }
  int Number(const std::string& word) {
    std::string copy = word;
    std::string program = "x";
    char* argv[] = {program.data(), copy.data(), nullptr};
    return InternalFdOption(2, argv, "fd");
  }
};

TEST_F(InternalOptions, AreReadByName) {
  EXPECT_EQ(Text("--dir=/tmp/a=b", "dir"), "/tmp/a=b");
  EXPECT_EQ(Text("--dir=/tmp", "di"), "");
  EXPECT_EQ(Text("dir=/tmp", "dir"), "");
}

TEST_F(InternalOptions, DescriptorsAreWholeNumbers) {
  EXPECT_EQ(Number("--fd=17"), 17);
  EXPECT_EQ(Number("--fd="), -1);
  EXPECT_EQ(Number("--fd=-1"), -1);
  EXPECT_EQ(Number("--fd=1x"), -1);
  EXPECT_EQ(Number("--fd=99999999999"), -1);
  EXPECT_EQ(Number("--other=1"), -1);
}

}  // namespace
}  // namespace rex
