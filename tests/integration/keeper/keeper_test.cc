// The real keeper with an agent and a host made of a few lines of bash, so that every way in which
// they can end is at hand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include "launcher/base/descendants.h"
#include "launcher/base/fd.h"
#include "launcher/base/private_dir.h"
#include "tests/support/nothing_left.h"
#include "tests/support/paths.h"
#include "tests/support/process_scan.h"

extern char** environ;

namespace rex::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

// Options as variables ($launch_fd, $session_dir ...), then a test's own lines.
constexpr char kPreamble[] = R"(#!/bin/bash
for option in "$@"; do
  name=${option%%=*}; name=${name#--}; declare "${name//-/_}=${option#*=}"
done
AwaitEnd() { while IFS= read -r -u "$1" line; do :; done; }  # of a descriptor
)";

struct KeeperEnd {
  int code = -1;
  bool timed_out = false;
  milliseconds wall{0};
};

class KeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    libexec_ = left_.work_dir() + "/libexec/rex";
    fs::create_directories(libexec_);
    fs::copy_file(LibexecPath("rexd"), libexec_ + "/rexd");
    WriteScript("rexd-pmix", "AwaitEnd $agent_fd");
  }

  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    for (const auto& thing : left_.Check()) ADD_FAILURE() << thing;
  }

  void WriteScript(const std::string& name, const std::string& lines) {
    std::ofstream(libexec_ + "/" + name) << kPreamble << lines << "\n";
    ::chmod((libexec_ + "/" + name).c_str(), 0755);
  }
  std::string FileName(const std::string& name) const { return left_.work_dir() + "/" + name; }
  std::string ReadNote(const std::string& name) const {
    const auto text = ReadFile(FileName(name));
    return text ? *text : "";
  }

  // Starts the keeper as rexlaunch does; `set_env` NAME=VALUE on top of the test's own.
  void Start(const std::vector<std::string>& set_env = {}) {
    auto launch = MakeStreamPair();
    auto lifeline = MakeStreamPair();
    auto out = MakePipe();
    auto err = MakePipe();
    const std::array<int, 2> theirs = {launch->second.get(), lifeline->second.get()};
    started_ = SteadyClock::now();
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      for (const auto& [name, value] : left_.Environment())
        ::setenv(name.c_str(), value.c_str(), 1);
      for (const auto& entry : set_env) ::putenv(const_cast<char*>(entry.c_str()));
      ::setenv("NOTES", left_.work_dir().c_str(), 1);
      for (const int fd : theirs) ::fcntl(fd, F_SETFD, 0);
      ::dup2(out->second.get(), STDOUT_FILENO);
      ::dup2(err->second.get(), STDERR_FILENO);
      ::dup2(STDOUT_FILENO, kLeakedFd);  // what a careless caller leaves open
      ::execl((libexec_ + "/rexd").c_str(), "rexd",
              ("--launch-fd=" + std::to_string(theirs[0])).c_str(),
              ("--lifeline-fd=" + std::to_string(theirs[1])).c_str(), nullptr);
      ::_exit(99);
    }
    launch_ = std::move(launch->first);
    lifeline_ = std::move(lifeline->first);
    out_ = std::move(out->first);
    err_ = std::move(err->first);
  }

  KeeperEnd Wait(milliseconds bound = seconds(20)) {
    KeeperEnd end;
    int status = 0;
    const auto ended = [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; };
    end.timed_out = !WaitUntil(ended, bound);
    end.wall = std::chrono::duration_cast<milliseconds>(SteadyClock::now() - started_);
    if (end.timed_out) return end;
    pid_ = -1;
    end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return end;
  }

  static bool WaitUntil(const std::function<bool()>& condition, milliseconds bound = seconds(20)) {
    const auto end = SteadyClock::now() + bound;
    while (!condition()) {
      if (SteadyClock::now() > end) return false;
      ::usleep(1000);
    }
    return true;
  }
  bool WaitForNote(const std::string& name) {
    return WaitUntil([&] { return fs::exists(FileName(name)) && !ReadNote(name).empty(); });
  }

  // Everything that comes until the end of `fd`, for at most 10 s.
  static std::string ReadAll(int fd) {
    std::string text;
    pollfd ready{fd, POLLIN, 0};
    while (::poll(&ready, 1, 10000) > 0) {
      std::array<char, 4096> chunk;
      const ssize_t n = ::read(fd, chunk.data(), chunk.size());
      if (n <= 0) return text;
      text.append(chunk.data(), static_cast<size_t>(n));
    }
    return text + "(no end)";
  }

  std::vector<std::string> SessionDirs() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(left_.tmp_dir())) {
      found.push_back(entry.path().string());
    }
    return found;
  }

  static constexpr int kLeakedFd = 47;
  NothingLeft left_;
  std::string libexec_;
  pid_t pid_ = -1;
  UniqueFd launch_;
  UniqueFd lifeline_;
  UniqueFd out_;
  UniqueFd err_;
  SteadyClock::time_point started_;
};

TEST_F(KeeperTest, CleanEnd) {
  WriteScript("rexd-agent", R"(
    [ -d "$session_dir" ] && [ -d "$shm_dir" ] && [ -e "$session_dir/lock" ] || exit 9
    stat -c %a "$session_dir" "$shm_dir" > $NOTES/modes
    echo "$session_dir $shm_dir $PPID" > $NOTES/seen
    : > "$session_dir/left"; mkdir -p "$shm_dir/deep/er"
    exit 0)");
  WriteScript("rexd-pmix", R"(echo "$session_dir $keeper_pid" > $NOTES/host; AwaitEnd $agent_fd)");
  Start();
  const pid_t keeper = pid_;
  EXPECT_EQ(Wait().code, 0);
  EXPECT_EQ(ReadAll(lifeline_.get()), "");
  EXPECT_EQ(ReadAll(err_.get()), "");
  EXPECT_EQ(ReadNote("modes"), "700\n700\n");
  const std::string seen = ReadNote("seen");
  EXPECT_EQ(seen.rfind(left_.tmp_dir() + "/rex-", 0), 0u) << seen;
  EXPECT_NE(seen.find(" /dev/shm/rex-"), std::string::npos) << seen;
  EXPECT_NE(seen.find(" " + std::to_string(keeper) + "\n"), std::string::npos) << seen;
  EXPECT_TRUE(SessionDirs().empty());
}

TEST_F(KeeperTest, AgentSpeaksOverTheLaunchConnection) {
  WriteScript("rexd-agent", "read -r -u $launch_fd line; echo \"got $line\" >&$launch_fd");
  Start();
  ASSERT_TRUE(WriteAll(launch_.get(), "hello\n").has_value());
  EXPECT_EQ(ReadAll(launch_.get()), "got hello\n") << "and the keeper holds no copy of it";
  EXPECT_EQ(Wait().code, 0);
}

TEST_F(KeeperTest, AgentSpeaksToTheHost) {
  WriteScript("rexd-agent",
              "echo hello >&$host_fd; read -r -u $host_fd line; echo $line >$NOTES/a");
  WriteScript("rexd-pmix", "read -r -u $agent_fd line; echo \"host $line\" >&$agent_fd; sleep 9");
  Start();
  EXPECT_EQ(Wait().code, 0);
  EXPECT_EQ(ReadNote("a"), "host hello\n");
}

TEST_F(KeeperTest, AgentKilled) {
  WriteScript("rexd-agent", "echo $$ > $NOTES/pid; kill -9 $$");
  Start();
  EXPECT_EQ(Wait().code, 1);
  const pid_t agent = std::atoi(ReadNote("pid").c_str());
  EXPECT_EQ(ReadAll(lifeline_.get()), "agent signal 9 pid " + std::to_string(agent) + "\n");
}

TEST_F(KeeperTest, AgentFailed) {
  WriteScript("rexd-agent", "echo $$ > $NOTES/pid; exit 134");
  Start();
  EXPECT_EQ(Wait().code, 1);
  const pid_t agent = std::atoi(ReadNote("pid").c_str());
  EXPECT_EQ(ReadAll(lifeline_.get()), "agent exit 134 pid " + std::to_string(agent) + "\n");
}

TEST_F(KeeperTest, HostKilledIsToldAndLeftToTheAgent) {
  WriteScript("rexd-pmix", "echo $$ > $NOTES/pid; kill -9 $$");
  WriteScript("rexd-agent", "AwaitEnd $host_fd; AwaitEnd $launch_fd");
  Start();
  ASSERT_TRUE(WaitForNote("pid"));
  std::array<char, 100> line{};
  ASSERT_GT(::recv(lifeline_.get(), line.data(), line.size() - 1, 0), 0);
  EXPECT_EQ(std::string(line.data()), "host signal 9 pid " + ReadNote("pid"));
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
}

TEST_F(KeeperTest, EverythingBelowEndsWithTheAgent) {
  WriteScript("rexd-agent", R"(
    trap '' TERM
    setsid bash -c 'setsid sleep 1000 & (sleep 1001 & sleep 1002) & wait' &
    (setsid sleep 1003 &)
    sleep 0.2; echo ok > $NOTES/up; AwaitEnd $launch_fd)");
  Start();
  const pid_t keeper = pid_;
  ASSERT_TRUE(WaitForNote("up"));
  const auto below = FindDescendants(keeper);
  EXPECT_GE(below.size(), 6u);
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
  for (const auto& process : below) EXPECT_NE(::kill(process.pid, 0), 0) << process.command;
  EXPECT_EQ(ReadAll(lifeline_.get()), "");
}

TEST_F(KeeperTest, KeepersBelowGetTheTimeToEndWhatTheyKeep) {
  // A "keeper" that notices the end of its channel, and takes a moment for the rest.
  WriteScript("inner", R"(echo up > $NOTES/up; read -r line; sleep 0.3; echo tidy > $NOTES/tidy)");
  const std::string inner = libexec_ + "/inner";
  WriteScript("rexd-agent", R"(
    trap '' TERM
    mkfifo $NOTES/channel
    sleep 1000 &
    ln -s )" + inner + R"( $NOTES/rexd
    exec 8<>$NOTES/channel; exec 9>$NOTES/channel 7<$NOTES/channel; exec 8>&-
    $NOTES/rexd <&7 9>&- 7>&- &
    exec 7>&-
    AwaitEnd $launch_fd; kill -9 $$)");
  Start();
  ASSERT_TRUE(WaitForNote("up"));
  launch_.Reset();
  EXPECT_EQ(Wait(seconds(20)).code, 1);
  EXPECT_EQ(ReadNote("tidy"), "tidy\n");
}

TEST_F(KeeperTest, OrphansAreReapedWhileTheJobRuns) {
  WriteScript("rexd-agent", "for i in 1 2 3 4 5; do (sleep 0.05 &); done; AwaitEnd $launch_fd");
  Start();
  const pid_t keeper = pid_;
  // Only the agent and the host remain, and no zombie.
  const auto clean = [&] {
    size_t children = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid > 0 && ReadProcess(pid).ppid == keeper) ++children;
    }
    return children == 2;
  };
  ::usleep(200'000);
  EXPECT_TRUE(WaitUntil(clean, seconds(5)));
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
}

TEST_F(KeeperTest, LauncherDeathIsLeftToASoundAgent) {
  WriteScript("rexd-agent", "AwaitEnd $launch_fd; echo tidy > $NOTES/tidy");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return !SessionDirs().empty(); }));
  launch_.Reset();
  lifeline_.Reset();
  EXPECT_EQ(Wait(seconds(3)).code, 0);
  EXPECT_EQ(ReadNote("tidy"), "tidy\n");
}

TEST_F(KeeperTest, LauncherDeathEndsAStuckAgentWithinFiveSeconds) {
  WriteScript("rexd-agent", "trap '' TERM INT HUP; echo up > $NOTES/up; sleep 1000; sleep 1000");
  Start();
  ASSERT_TRUE(WaitForNote("up"));
  launch_.Reset();
  lifeline_.Reset();
  const auto begin = SteadyClock::now();
  EXPECT_EQ(Wait(seconds(6)).code, 1);
  EXPECT_LT(SteadyClock::now() - begin, seconds(5));
  EXPECT_GT(SteadyClock::now() - begin, seconds(3)) << "it was given its time";
}

TEST_F(KeeperTest, LauncherDeathEndsAStoppedAgent) {
  WriteScript("rexd-agent", "echo up > $NOTES/up; kill -STOP $$");
  Start();
  ASSERT_TRUE(WaitForNote("up"));
  launch_.Reset();
  lifeline_.Reset();
  EXPECT_EQ(Wait(seconds(6)).code, 1);
}

TEST_F(KeeperTest, TermIsPassedToTheAgent) {
  WriteScript("rexd-agent", "trap 'exit 0' TERM; echo up >$NOTES/up; while :; do sleep 0.01; done");
  Start();
  ASSERT_TRUE(WaitForNote("up"));
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(Wait(seconds(5)).code, 0);
}

TEST_F(KeeperTest, TwoTermsEndEverythingAtOnce) {
  WriteScript("rexd-agent", "trap '' TERM INT HUP; echo up > $NOTES/up; sleep 1000; sleep 1000");
  Start();
  ASSERT_TRUE(WaitForNote("up"));
  ::kill(pid_, SIGTERM);
  ::usleep(50'000);  // or the two would be one
  ::kill(pid_, SIGINT);
  EXPECT_EQ(Wait(seconds(3)).code, 1);
}

TEST_F(KeeperTest, AnAgentThatHangsUpButDoesNotEndIsBounded) {
  WriteScript("rexd-agent", "eval \"exec $keeper_fd>&-\"; trap '' TERM; sleep 1000; sleep 1000");
  Start();
  const KeeperEnd end = Wait(seconds(8));
  EXPECT_EQ(end.code, 1);
  EXPECT_GT(end.wall, seconds(4));
  EXPECT_EQ(ReadAll(lifeline_.get()).rfind("agent overdue pid ", 0), 0u);
}

TEST_F(KeeperTest, MissingAgentIsNamedAndNothingStays) {
  Start();
  EXPECT_EQ(Wait().code, 123);
  const std::string err = ReadAll(err_.get());
  EXPECT_NE(err.find("rexd: can't start"), std::string::npos) << err;
  EXPECT_NE(err.find("'rexd-agent' is missing"), std::string::npos) << err;
  EXPECT_TRUE(SessionDirs().empty());
}

TEST_F(KeeperTest, MissingHostIsNamed) {
  fs::remove(libexec_ + "/rexd-pmix");
  Start();
  EXPECT_EQ(Wait().code, 123);
  EXPECT_NE(ReadAll(err_.get()).find("'rexd-pmix' is missing"), std::string::npos);
}

TEST_F(KeeperTest, AnUnusableTempDirectoryIsReplacedAndNamed) {
  WriteScript("rexd-agent", "echo $session_dir > $NOTES/dir");
  Start({"TMPDIR=/no/such/place"});
  EXPECT_EQ(Wait().code, 0);
  EXPECT_NE(ReadAll(err_.get()).find("/no/such/place"), std::string::npos);
  EXPECT_EQ(ReadNote("dir").rfind("/tmp/rex-", 0), 0u);
  EXPECT_FALSE(fs::exists(ReadNote("dir")));
}

TEST_F(KeeperTest, DirectoriesOfDeadKeepersAreRemovedThoseOfLiveOnesStay) {
  auto dead = PrivateDir::Create(left_.tmp_dir());
  auto live = PrivateDir::Create(left_.tmp_dir());
  ASSERT_TRUE(dead.has_value() && live.has_value());
  const std::string dead_path = dead->path();
  std::ofstream(dead_path + "/file") << "x";
  dead = Error{};  // gives up the lock, leaves the directory
  WriteScript("rexd-agent", "AwaitEnd $launch_fd");
  Start();
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(dead_path); }, seconds(5)));
  EXPECT_TRUE(fs::exists(live->path()));
  EXPECT_EQ(SessionDirs().size(), 2u) << "the live one and the keeper's own";
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
  live->Remove();
}

TEST_F(KeeperTest, DaemonsHoldNeitherTheUsersOutputNorWhatItsCallerLeftOpen) {
  WriteScript("rexd-agent", R"(
    readlink /proc/self/fd/0 /proc/self/fd/1 > $NOTES/stdio.tmp
    [ -e /proc/self/fd/47 ] && echo leaked >> $NOTES/stdio.tmp
    mv $NOTES/stdio.tmp $NOTES/stdio
    AwaitEnd $launch_fd)");
  Start();
  EXPECT_EQ(ReadAll(out_.get()), "") << "`rexlaunch | head` must end";
  ASSERT_TRUE(WaitForNote("stdio"));
  const std::string stdio = ReadNote("stdio");
  EXPECT_EQ(stdio.rfind("/dev/null\n", 0), 0u) << stdio;
  EXPECT_EQ(stdio.find("leaked"), std::string::npos) << stdio;
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
}

TEST_F(KeeperTest, IsItsOwnSession) {
  WriteScript("rexd-agent", "AwaitEnd $launch_fd");
  Start();
  EXPECT_TRUE(WaitUntil([&] { return ::getsid(pid_) == pid_; }));
  launch_.Reset();
  EXPECT_EQ(Wait().code, 0);
}

TEST_F(KeeperTest, StartsWithStandardDescriptorsClosed) {
  WriteScript("rexd-agent", "echo ok > $NOTES/ok");
  auto launch = MakeStreamPair();
  auto lifeline = MakeStreamPair();
  const int a = launch->second.get();
  const int b = lifeline->second.get();
  pid_ = ::fork();
  if (pid_ == 0) {
    for (const auto& [name, value] : left_.Environment()) ::setenv(name.c_str(), value.c_str(), 1);
    ::setenv("NOTES", left_.work_dir().c_str(), 1);
    ::fcntl(a, F_SETFD, 0);
    ::fcntl(b, F_SETFD, 0);
    for (const int fd : {0, 1, 2}) ::close(fd);
    ::execl((libexec_ + "/rexd").c_str(), "rexd", ("--launch-fd=" + std::to_string(a)).c_str(),
            ("--lifeline-fd=" + std::to_string(b)).c_str(), nullptr);
    ::_exit(99);
  }
  EXPECT_EQ(Wait().code, 0);
  EXPECT_EQ(ReadNote("ok"), "ok\n");
}

TEST_F(KeeperTest, RefusesToRunWithoutItsDescriptors) {
  for (const char* option : {"--launch-fd=1", "--launch-fd=900", "--x"}) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const UniqueFd null_device(::open("/dev/null", O_WRONLY | O_CLOEXEC));
      ::dup2(null_device.get(), STDERR_FILENO);
      ::execl((libexec_ + "/rexd").c_str(), "rexd", option, "--lifeline-fd=901", nullptr);
      ::_exit(99);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 123);
  }
}

// A keeper that was started by an agent above it: the channel is its stdin and stdout.
enum class ChannelKind { kPipes, kSocket };

class JoinedKeeperTest : public KeeperTest, public ::testing::WithParamInterface<ChannelKind> {
 protected:
  void StartJoined(const std::vector<std::string>& more = {},
                   const std::vector<std::string>& set_env = {}) {
    auto err = MakePipe();
    UniqueFd in;
    UniqueFd out;
    if (GetParam() == ChannelKind::kPipes) {
      auto down = MakePipe();
      auto up = MakePipe();
      in = std::move(down->first);
      to_keeper_ = std::move(down->second);
      from_keeper_ = std::move(up->first);
      out = std::move(up->second);
    } else {
      auto pair = MakeStreamPair();
      in = std::move(pair->second);
      out.Reset(::fcntl(in.get(), F_DUPFD_CLOEXEC, 3));
      from_keeper_.Reset(::fcntl(pair->first.get(), F_DUPFD_CLOEXEC, 3));
      to_keeper_ = std::move(pair->first);
    }
    std::vector<std::string> words = {"rexd", "--join", "--node-name=n7"};
    words.insert(words.end(), more.begin(), more.end());
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      for (const auto& [name, value] : left_.Environment())
        ::setenv(name.c_str(), value.c_str(), 1);
      for (const auto& entry : set_env) ::putenv(const_cast<char*>(entry.c_str()));
      ::setenv("NOTES", left_.work_dir().c_str(), 1);
      ::dup2(in.get(), STDIN_FILENO);
      ::dup2(out.get(), STDOUT_FILENO);
      ::dup2(err->second.get(), STDERR_FILENO);
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      ::execv((libexec_ + "/rexd").c_str(), argv.data());
      ::_exit(99);
    }
    err_ = std::move(err->first);
  }
  void HangUp() {
    to_keeper_.Reset();
    from_keeper_.Reset();
  }

  UniqueFd to_keeper_;
  UniqueFd from_keeper_;
};

INSTANTIATE_TEST_SUITE_P(Channel, JoinedKeeperTest,
                         ::testing::Values(ChannelKind::kPipes, ChannelKind::kSocket),
                         [](const auto& channel) {
                           return channel.param == ChannelKind::kPipes ? "Pipes" : "Socket";
                         });

TEST_P(JoinedKeeperTest, TheChannelIsTheAgentsAndEndsWithIt) {
  WriteScript("rexd-agent", R"(
    read -r -u $channel_in line; echo "got $line as $node_name" >&$channel_out)");
  StartJoined();
  ASSERT_TRUE(WriteAll(to_keeper_.get(), "hello\n").has_value());
  EXPECT_EQ(ReadAll(from_keeper_.get()), "got hello as n7\n");
  EXPECT_EQ(Wait().code, 0);
  EXPECT_EQ(ReadAll(err_.get()), "");
  EXPECT_TRUE(SessionDirs().empty());
}

TEST_P(JoinedKeeperTest, OptionsReachTheAgent) {
  WriteScript("rexd-agent", R"(echo "$*" > $NOTES/options; echo $REX_LOG > $NOTES/log)");
  StartJoined({"--virtual", "--verbose", "--log-level=debug"});
  EXPECT_EQ(Wait().code, 0);
  const std::string options = ReadNote("options");
  EXPECT_NE(options.find("--node-name=n7 --virtual "), std::string::npos) << options;
  EXPECT_NE(options.find(" --verbose"), std::string::npos) << options;
  EXPECT_EQ(options.find("--launch-fd"), std::string::npos) << options;
  EXPECT_EQ(ReadNote("log"), "debug\n");
}

TEST_P(JoinedKeeperTest, AnAgentsDeathEndsTheChannelAndIsToldOnStderr) {
  WriteScript("rexd-agent",
              "echo $$ > $NOTES/pid; (trap '' TERM; sleep 1000) & echo up >&$channel_out; "
              "read -r -u $channel_in line; kill -9 $$");
  StartJoined();
  ASSERT_TRUE(WaitForNote("pid"));
  ASSERT_TRUE(WriteAll(to_keeper_.get(), "now\n").has_value());
  EXPECT_EQ(ReadAll(from_keeper_.get()), "up\n");
  EXPECT_EQ(Wait().code, 1);
  EXPECT_EQ(ReadAll(err_.get()), "rexd: agent signal 9 pid " +
                                     std::to_string(std::atoi(ReadNote("pid").c_str())) + "\n");
}

TEST_P(JoinedKeeperTest, TheParentsDeathIsLeftToASoundAgent) {
  WriteScript("rexd-agent", "echo up > $NOTES/up; AwaitEnd $channel_in; echo tidy > $NOTES/tidy");
  StartJoined();
  ASSERT_TRUE(WaitForNote("up"));
  HangUp();
  EXPECT_EQ(Wait(seconds(3)).code, 0);
  EXPECT_EQ(ReadNote("tidy"), "tidy\n");
}

TEST_P(JoinedKeeperTest, TheParentsDeathEndsAStoppedAgentThatHasNotReadAllYet) {
  WriteScript("rexd-agent", "echo up > $NOTES/up; kill -STOP $$");
  StartJoined();
  ASSERT_TRUE(WaitForNote("up"));
  ASSERT_TRUE(WriteAll(to_keeper_.get(), "not read").has_value());
  HangUp();
  const auto begin = SteadyClock::now();
  EXPECT_EQ(Wait(seconds(6)).code, 1);
  EXPECT_LT(SteadyClock::now() - begin, seconds(5));
  EXPECT_GT(SteadyClock::now() - begin, seconds(3)) << "it was given its time";
}

TEST_P(JoinedKeeperTest, BytesThatTheAgentDoesNotReadCostTheKeeperNothing) {
  WriteScript("rexd-agent", "echo up > $NOTES/up; AwaitEnd $host_fd");
  StartJoined();
  ASSERT_TRUE(WaitForNote("up"));
  ASSERT_TRUE(WriteAll(to_keeper_.get(), "not read").has_value());
  const auto cpu_ticks = [this] {
    std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
    std::string word;
    long ticks = 0;
    for (int i = 1; i <= 15 && stat >> word; ++i) ticks += i >= 14 ? std::atol(word.c_str()) : 0;
    return ticks;
  };
  ::usleep(500'000);
  EXPECT_LT(cpu_ticks(), 10) << "of about 50";
  ::kill(pid_, SIGTERM);
  Wait(seconds(8));
}

TEST_P(JoinedKeeperTest, ALoginsHangUpIsNotTheChannels) {
  WriteScript("rexd-agent", "echo up > $NOTES/up; AwaitEnd $channel_in; echo tidy > $NOTES/tidy");
  StartJoined();
  ASSERT_TRUE(WaitForNote("up"));
  EXPECT_TRUE(WaitUntil([&] { return ::getsid(pid_) == pid_; }));
  for (int i = 0; i < 3; ++i) {
    ::kill(pid_, SIGHUP);
    ::usleep(20'000);
  }
  EXPECT_TRUE(ReadNote("tidy").empty());
  HangUp();
  EXPECT_EQ(Wait(seconds(3)).code, 0);
  EXPECT_EQ(ReadNote("tidy"), "tidy\n");
}

TEST_P(JoinedKeeperTest, OfALoginsVariablesOnlyTheParentsAddressStays) {
  WriteScript("rexd-agent", "echo \"$SSH_CONNECTION|$SSH_TTY|$SSH_CLIENT|$MINE\" > $NOTES/env");
  StartJoined({}, {"SSH_CONNECTION=10.0.0.1 5 10.0.0.7 22", "SSH_TTY=/dev/pts/9", "SSH_CLIENT=x",
                   "MINE=kept"});
  EXPECT_EQ(Wait().code, 0);
  EXPECT_EQ(ReadNote("env"), "10.0.0.1 5 10.0.0.7 22|||kept\n");
}

TEST_P(JoinedKeeperTest, AMissingAgentIsNamed) {
  StartJoined();
  EXPECT_EQ(Wait().code, 123);
  EXPECT_NE(ReadAll(err_.get()).find("'rexd-agent' is missing"), std::string::npos);
  EXPECT_EQ(ReadAll(from_keeper_.get()), "");
}

TEST_F(KeeperTest, JoiningNeedsANameAndTellsItsVersion) {
  const std::string rexd = libexec_ + "/rexd";
  FILE* refused = ::popen((rexd + " --join </dev/null 2>&1; echo code $?").c_str(), "r");
  const std::string text = ReadAll(::fileno(refused));
  ::pclose(refused);
  EXPECT_NE(text.find("--node-name"), std::string::npos) << text;
  EXPECT_NE(text.find("code 123"), std::string::npos) << text;
  FILE* version = ::popen((rexd + " --version").c_str(), "r");
  EXPECT_EQ(ReadAll(::fileno(version)), "rexd " REX_VERSION "\n");
  ::pclose(version);
}

}  // namespace
}  // namespace rex::testing
