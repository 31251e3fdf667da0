// Start, end, and what the agent may send.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/integration/pmix_host/host_fixture.h"
#include "tests/support/command.h"

namespace rex::pmix {
namespace {

using HostLifecycle = HostFixture;

TEST_F(HostLifecycle, SaysItIsReady) {
  StartHost();
  EXPECT_NE(ready_.pmix_version.find("4."), std::string::npos) << ready_.pmix_version;
  EXPECT_GT(ready_.init_end, ready_.init_begin);
}

TEST_F(HostLifecycle, EndsWithItsAgent) {
  StartHost();
  EXPECT_EQ(StopHost(), 0);
}

TEST_F(HostLifecycle, AJobIsRegisteredAndGoesAgain) {
  StartHost();
  const auto job = MakeJob("again", {2});
  for (int i = 0; i < 3; ++i) {
    const auto answer = Register(job);
    EXPECT_EQ(answer.status, kSuccess) << answer.error;
    EXPECT_EQ(answer.ranks.size(), 2u);
    Deregister("again");
  }
  Deregister("never registered");
  EXPECT_FALSE(closed());
}

TEST_F(HostLifecycle, ANameIsTakenOnce) {
  StartHost();
  const auto job = MakeJob("twice", {1});
  EXPECT_EQ(Register(job).status, kSuccess);
  const auto second = Register(job);
  EXPECT_NE(second.status, kSuccess);
  EXPECT_NE(second.error.find("registered already"), std::string::npos) << second.error;
}

TEST_F(HostLifecycle, ABadCpusetFailsTheJobOnly) {
  StartHost();
  auto job = MakeJob("badcpus", {1});
  job.cpusets = {"no cpus"};
  EXPECT_NE(Register(job).status, kSuccess);
  job.cpusets = {"0"};
  EXPECT_EQ(Register(job).status, kSuccess);
}

TEST_F(HostLifecycle, AMissingJobDirectoryFailsTheJobOnly) {
  StartHost();
  auto job = MakeJob("nodir", {1});
  job.job_dir += "/not/there";
  const auto answer = Register(job);
  EXPECT_NE(answer.status, kSuccess);
  EXPECT_NE(answer.error.find("/not/there"), std::string::npos) << answer.error;
}

TEST_F(HostLifecycle, ManyJobsAtOnceAreAllAnswered) {
  StartHost();
  constexpr size_t kJobs = 20;
  for (size_t i = 0; i < kJobs; ++i) Send(MakeJob("many" + std::to_string(i), {3, 2}));
  for (size_t i = 0; i < kJobs; ++i) Send(DeregisterJob{"many" + std::to_string(i)});
  Until([this] { return Seen<JobDeregistered>().size() == kJobs || closed(); }, "all jobs gone");
  ASSERT_EQ(Seen<JobRegistered>().size(), kJobs);
  for (const auto& answer : Seen<JobRegistered>())
    EXPECT_EQ(answer.status, kSuccess) << answer.error;
}

TEST_F(HostLifecycle, AMessageOnlyHostsSendEndsIt) {
  StartHost();
  Send(HostReady{"x", std::chrono::microseconds(0), std::chrono::microseconds(0)});
  Until([this] { return closed(); }, "the host's end");
  int status = 0;
  host_.Reap(&status);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

// The keeper here is a shell that starts the host and is killed.
TEST_F(HostLifecycle, EndsWithItsKeeper) {
  auto pair = MakeStreamPair();
  ASSERT_TRUE(pair);
  const int fd = pair->second.get();
  const std::string pid_file = session_dir_ + "/host.pid";
  const std::string command =
      testing::ShellWord(REX_TEST_HOST) + " --agent-fd=" + std::to_string(fd) +
      " --session-dir=" + session_dir_ + " --keeper-pid=$$ & echo $! > " + pid_file + "; wait";
  const pid_t keeper = ::fork();
  if (keeper == 0) {
    if (!ClearCloseOnExec(fd)) ::_exit(1);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(1);
  }
  pair->second.Reset();
  bool closed = false;
  const HostClient client(
      loop_, std::move(pair->first), [this](HostMessage m) { seen_.push_back(std::move(m)); },
      [&closed](const Error&) { closed = true; });
  Until([&] { return !Seen<HostReady>().empty() || closed; }, "HostReady");
  ASSERT_FALSE(closed);
  ::kill(keeper, SIGKILL);
  Until([&] { return closed; }, "the host's end");
  ::waitpid(keeper, nullptr, 0);
}

}  // namespace
}  // namespace rex::pmix
