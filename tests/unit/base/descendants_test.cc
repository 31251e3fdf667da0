#include "launcher/base/descendants.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/base/fd.h"

namespace rex {
namespace {

// In a process of its own: KillDescendants reaps everything. `body` returns the exit code.
template <typename Body>
int InChild(const Body& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A child with a child; both wait for ever. Returns when both are there: the child's pid.
pid_t ForkFamily(bool ignore_term, pid_t* grandchild) {
  auto ready = MakePipe();
  const pid_t child = ::fork();
  if (child != 0) {
    ready->second.Reset();
    if (::read(ready->first.get(), grandchild, sizeof *grandchild) != sizeof *grandchild) return -1;
    return child;
  }
  if (ignore_term) ::signal(SIGTERM, SIG_IGN);
  if (::fork() == 0) {
    const pid_t self = ::getpid();
    if (::write(ready->second.get(), &self, sizeof self) != sizeof self) ::_exit(1);
  }
  for (;;) ::pause();
}

TEST(ReadProcess, KnowsItself) {
  const ProcessInfo self = ReadProcess(::getpid());
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_EQ(self.ppid, ::getppid());
  EXPECT_EQ(self.state, 'R');
  EXPECT_FALSE(self.command.empty());
}

TEST(ReadProcess, SurvivesAwkwardNames) {
  char before[17] = {};
  ASSERT_EQ(::prctl(PR_GET_NAME, before), 0);
  ASSERT_EQ(::prctl(PR_SET_NAME, "a) R 1 (b"), 0);
  const ProcessInfo self = ReadProcess(::getpid());
  ::prctl(PR_SET_NAME, before);
  EXPECT_EQ(self.ppid, ::getppid());
  EXPECT_EQ(self.command, "a) R 1 (b");
}

TEST(ReadProcess, IsEmptyForWhatIsGone) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_EQ(ReadProcess(pid).pid, 0);
}

TEST(FindDescendants, ListsChildrenBeforeGrandchildren) {
  const int code = InChild([] {
    pid_t grandchild = 0;
    const pid_t child = ForkFamily(false, &grandchild);
    const auto found = FindDescendants(::getpid());
    ::kill(grandchild, SIGKILL);
    ::kill(child, SIGKILL);
    if (found.size() != 2) return 1;
    return found[0].pid == child && found[1].pid == grandchild && found[1].ppid == child ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
}

TEST(FindDescendants, LeavesOutWithAllThatIsBelow) {
  const int code = InChild([] {
    pid_t grandchild = 0;
    const pid_t child = ForkFamily(false, &grandchild);
    const auto nobody = FindDescendants(::getpid(), [child](pid_t pid) { return pid == child; });
    const auto parent =
        FindDescendants(::getpid(), [grandchild](pid_t pid) { return pid == grandchild; });
    ::kill(grandchild, SIGKILL);
    ::kill(child, SIGKILL);
    if (!nobody.empty()) return 1;
    return parent.size() == 1 && parent[0].pid == child ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
}

TEST(KillDescendants, EndsGrandchildrenThatIgnoreTerm) {
  const int code = InChild([] {
    BecomeSubreaper();
    pid_t grandchild = 0;
    const pid_t child = ForkFamily(true, &grandchild);
    const auto left = KillDescendants(std::chrono::seconds(10));
    if (!left.empty()) return 1;
    if (::kill(child, 0) == 0 || ::kill(grandchild, 0) == 0) return 2;
    return ::waitpid(-1, nullptr, WNOHANG) == -1 ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(KillDescendants, ReturnsAtOnceWhenThereIsNothing) {
  EXPECT_EQ(InChild([] { return KillDescendants(std::chrono::seconds(0)).empty() ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace rex
