// What is killed, and what is left then: nothing of the job, and of the DVM all or nothing.
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "launcher/base/dvm_place.h"
#include "tests/integration/dvm/dvm_fixture.h"

namespace rex::testing {
namespace {

using nlohmann::json;

class DvmFaultsTest : public DvmTest {
 protected:
  pid_t RankOf(size_t index) { return Ask({"ps"})["ranks"][index]["pid"]; }
  std::string Link() const {
    return left().tmp_dir() + "/rex-dvm-" + std::to_string(::geteuid()) + "/default";
  }
  const NothingLeft& left() const { return const_cast<DvmFaultsTest*>(this)->DvmTest::left(); }
  using DvmTest::left;
  // The job is told, the DVM gone, and the next job needs none.
  void ExpectTheEnd(RunningCommand& job, pid_t rank, const std::vector<std::string>& said) {
    const CommandResult ended = job.Wait();
    EXPECT_TRUE(ExitedWith(ended, kExitInternal));
    EXPECT_TRUE(StderrNames(ended, said));
    EXPECT_TRUE(AwaitEnd(rank));
    EXPECT_TRUE(NoDvm());
    EXPECT_TRUE(ExitedWith(Rex({"-n", "1", "true"}), 0));
  }
};

TEST_F(DvmFaultsTest, AKilledRexlaunchCostsItsJobOnly) {
  StartDvm();
  auto first = StartSleeper();
  auto second = StartSleeper();
  const pid_t rank = RankOf(0);
  first->Signal(SIGKILL);
  EXPECT_TRUE(AwaitEnd(rank));
  EXPECT_TRUE(AwaitJobs(1));
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "true"}), 0));
  EXPECT_FALSE(second->ended());
  second->Signal(SIGTERM);
  second->Wait();
}

TEST_F(DvmFaultsTest, AStoppedRexlaunchHoldsUpNobodyElse) {
  StartDvm();
  auto flood =
      StartRex({"-n", "1", "sh", "-c", "echo begun; while :; do echo xxxxxxxxxxxxxxxx; done"});
  ASSERT_TRUE(flood->WaitForText("begun"));
  flood->Signal(SIGSTOP);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "echo", "through"}), 0));
  }
  flood->Signal(SIGCONT);
  flood->Signal(SIGKILL);
  EXPECT_TRUE(AwaitJobs(0));
}

TEST_F(DvmFaultsTest, AKilledHeadEndsEverything) {
  StartDvm();
  auto job = StartSleeper();
  const pid_t rank = RankOf(0);
  ::kill(Head(), SIGKILL);
  ExpectTheEnd(*job, rank, {"DVM 'default' has ended", "rexctl start"});
}

TEST_F(DvmFaultsTest, AKilledKeeperEndsEverything) {
  StartDvm();
  auto job = StartSleeper();
  const pid_t rank = RankOf(0);
  ::kill(Keeper(), SIGKILL);
  ExpectTheEnd(*job, rank, {"keeper"});
}

TEST_F(DvmFaultsTest, AKilledHostEndsEverything) {
  StartDvm();
  auto job = StartSleeper();
  const pid_t rank = RankOf(0);
  ::kill(Daemon("rexd-pmix"), SIGKILL);
  ExpectTheEnd(*job, rank, {"rexd-pmix"});
}

TEST_F(DvmFaultsTest, AnIdleDvmWithoutItsHostEndsByItself) {
  StartDvm();
  const pid_t keeper = Keeper();
  ::kill(Daemon("rexd-pmix"), SIGKILL);
  EXPECT_TRUE(AwaitEnd(keeper));
  EXPECT_TRUE(NoDvm());
}

TEST_F(DvmFaultsTest, AKilledSpawnerIsReplaced) {
  StartDvm();
  const std::vector<std::string> job{"--dvm", "default", "--template", "none", "-n", "1", "true"};
  EXPECT_TRUE(ExitedWith(Rex(job), 0));
  const pid_t spawner = Daemon("rexd-spawner");
  ASSERT_GT(spawner, 0);
  ::kill(spawner, SIGKILL);
  EXPECT_TRUE(ExitedWith(Rex(job), 0));
}

TEST_F(DvmFaultsTest, SigtermEndsItInOrder) {
  StartDvm();
  auto job = StartSleeper();
  const pid_t keeper = Keeper();
  ::kill(keeper, SIGTERM);
  const CommandResult ended = job->Wait();
  EXPECT_TRUE(ExitedWith(ended, kExitInternal));
  EXPECT_TRUE(StderrNames(ended, {"ended with its DVM", "SIGTERM"}));
  EXPECT_TRUE(AwaitEnd(keeper));
  EXPECT_TRUE(NoDvm());
}

TEST_F(DvmFaultsTest, WithHeadAndKeeperKilledTheNextCleansUp) {
  StartDvm();
  auto job = StartSleeper();
  const pid_t rank = RankOf(0);
  const pid_t keeper = Keeper();
  const pid_t head = Head();
  ::kill(keeper, SIGSTOP);  // neither gets to do the other's duties
  ::kill(head, SIGKILL);
  ::kill(keeper, SIGKILL);
  EXPECT_TRUE(ExitedWith(job->Wait(), kExitInternal));
  EXPECT_TRUE(AwaitEnd(rank));
  EXPECT_TRUE(NoDvm());  // removes the link
  struct stat info {};
  EXPECT_NE(::lstat(Link().c_str(), &info), 0);
  EXPECT_TRUE(ExitedWith(Rex({"-n", "1", "sleep", "0.2"}), 0));  // removes the directories
}

TEST_F(DvmFaultsTest, AStaleLinkIsNoDvm) {
  const std::string root = Link().substr(0, Link().rfind('/'));
  ASSERT_EQ(::mkdir(root.c_str(), 0700), 0);
  ASSERT_EQ(::symlink("/tmp/rex-0123456789abcdef", Link().c_str()), 0);
  EXPECT_TRUE(ExitedWith(Rex({"-n", "1", "true"}), 0));
  ASSERT_EQ(::mkdir(root.c_str(), 0700), 0);
  ASSERT_EQ(::symlink("/tmp/rex-0123456789abcdef", Link().c_str()), 0);
  StartDvm();  // takes its place
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "true"}), 0));
}

TEST_F(DvmFaultsTest, ADirectoryOpenToOthersIsNotBelieved) {
  const std::string root = Link().substr(0, Link().rfind('/'));
  ASSERT_EQ(::mkdir(root.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(root.c_str(), 0777), 0);
  const CommandResult start = Ctl({"start"});
  EXPECT_TRUE(ExitedWith(start, kExitInternal));
  EXPECT_TRUE(StderrNames(start, {root, "open to others"}));
  ASSERT_EQ(::rmdir(root.c_str()), 0);
}

TEST_F(DvmFaultsTest, AStoppedHeadIsToldNothing) {
  StartDvm();
  const pid_t head = Head();
  ::kill(head, SIGSTOP);
  const std::string file = left().work_dir() + "/ran";
  const CommandResult job = Rex({"-n", "1", "sh", "-c", "echo once >> " + file});
  EXPECT_TRUE(ExitedWith(job, 0));
  EXPECT_TRUE(StderrNames(job, {"is not used", "says nothing"}));
  ::kill(head, SIGCONT);
  EXPECT_TRUE(AwaitJobs(0));
  EXPECT_EQ(ReadWorkFile("ran"), "once\n");  // not in the DVM, too
}

TEST_F(DvmFaultsTest, ADvmThatCanNotStartSaysWhy) {
  const CommandResult start = Ctl({"start", "--host", "no-such-host.invalid"});
  EXPECT_TRUE(ExitedWith(start, kExitNodeStart));
  EXPECT_TRUE(StderrNames(start, {"no-such-host.invalid"}));
  EXPECT_TRUE(NoDvm());
}

// Another user's process that has got hold of the socket, as it can't.
TEST_F(DvmFaultsTest, AnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  StartDvm();
  const auto dir = DvmDirectory(Link());
  ASSERT_TRUE(dir);
  const std::string socket_path = *dir + "/" + kDvmSocketName;
  ASSERT_EQ(::chmod(socket_path.c_str(), 0777), 0);
  ASSERT_EQ(::chmod(dir->c_str(), 0711), 0);
  for (const std::string& path :
       {left().tmp_dir(), left().tmp_dir().substr(0, left().tmp_dir().rfind('/'))}) {
    ASSERT_EQ(::chmod(path.c_str(), 0711), 0);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(9);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof to.sun_path) ::_exit(8);
    std::memcpy(to.sun_path, socket_path.c_str(), socket_path.size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) ::_exit(7);
    char byte = 0;
    ::_exit(::recv(fd, &byte, 1, 0) <= 0 ? 0 : 1);  // no Hello for it
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "true"}), 0));
}

// ---- nodes

TEST_F(DvmFaultsTest, ALostNodeEndsItsJobsByNameAndTheDvmGoesOn) {
  StartDvm({"--virtual-nodes", "3:2"});
  auto there = StartSleeper({"--host", "node2"});
  auto other = StartSleeper({"--host", "node1"});
  ASSERT_TRUE(AwaitJobs(2));
  // The keeper that node2's rank is below.
  pid_t agent = -1;
  const pid_t rank = Ask({"ps"})["ranks"][0]["pid"];
  for (const pid_t pid : DescendantsNamed(Keeper(), "rexd-agent")) {
    for (const pid_t each : DescendantsNamed(pid, "testprog")) {
      if (each == rank && pid != Head()) agent = pid;
    }
  }
  ASSERT_GT(agent, 0);
  ::kill(agent, SIGKILL);
  const CommandResult lost = there->Wait();
  EXPECT_TRUE(ExitedWith(lost, kExitNodeLost));
  EXPECT_TRUE(StderrNames(lost, {"node node2 was lost"}));
  EXPECT_TRUE(AwaitEnd(rank));
  EXPECT_FALSE(other->ended());
  const json nodes = Ask({"status"})["nodes"];
  EXPECT_EQ(nodes[1]["state"], "lost");
  EXPECT_EQ(nodes[0]["state"], "up");
  const CommandResult next = Rex({"--dvm", "default", "-n", "3", "--map-by", "node", "hostname"});
  EXPECT_TRUE(ExitedWith(next, 0));
  const CommandResult named = Rex({"--dvm", "default", "--host", "node2", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(named, kExitUsage));
  EXPECT_TRUE(StderrNames(named, {"node2"}));
  other->Signal(SIGTERM);
  EXPECT_TRUE(ExitedWith(other->Wait(), kExitSignalBase + SIGTERM));
}

TEST_F(DvmFaultsTest, AMembersHostKilledIsALostNode) {
  StartDvm({"--virtual-nodes", "2:2"});
  auto job = StartSleeper({"--host", "node2"});
  const pid_t rank = RankOf(0);
  pid_t host = -1;
  for (const pid_t pid : DescendantsNamed(Head(), "rexd")) {
    const bool has_rank = !DescendantsNamed(pid, "testprog").empty();
    for (const pid_t each : DescendantsNamed(pid, "rexd-pmix")) host = has_rank ? each : host;
  }
  ASSERT_GT(host, 0);
  ::kill(host, SIGKILL);
  const CommandResult ended = job->Wait();
  EXPECT_TRUE(ExitedWith(ended, kExitNodeLost));
  EXPECT_TRUE(StderrNames(ended, {"node2"}));
  EXPECT_TRUE(AwaitEnd(rank));
  for (int i = 0; i < 500 && Ask({"status"})["nodes"][1]["state"] == "up"; ++i) ::usleep(10'000);
  EXPECT_EQ(Ask({"status"})["nodes"][1]["state"], "lost");
  EXPECT_TRUE(ExitedWith(Rex({"--dvm", "default", "-n", "1", "true"}), 0));
}

TEST_F(DvmFaultsTest, NodesAreChosenByHost) {
  StartDvm({"--virtual-nodes", "3:2"});
  const CommandResult all =
      Rex({"--tag-output", ProgramPath("testprog"), "env", "OMPI_COMM_WORLD_SIZE"});
  EXPECT_TRUE(ExitedWith(all, 0));
  EXPECT_TRUE(Contains(all.out, "6"));
  EXPECT_EQ(Lines(all.out).size(), 6U) << all;
  const CommandResult two =
      Rex({"--verbose", "--host", "node2,node3", "-n", "2", "--map-by", "node", "true"});
  EXPECT_TRUE(StderrNames(two, {"on node node2", "on node node3"}));
  const CommandResult stranger = Rex({"--dvm", "default", "--host", "node9", "-n", "1", "true"});
  EXPECT_TRUE(ExitedWith(stranger, kExitUsage));
  EXPECT_TRUE(StderrNames(stranger, {"node9"}));
}

}  // namespace
}  // namespace rex::testing
