// What a rank finds when its main begins: exactly what the batch says, nothing of ours.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/integration/spawner/maker_fixture.h"

namespace rex::testing {
namespace {

// The probe's lines by name.
std::string ValueOf(const std::string& text, const std::string& name) {
  const std::string key = "\n" + name + "=";
  const std::string all = "\n" + text;
  const size_t at = all.find(key);
  if (at == std::string::npos) return "(absent)";
  const size_t begin = at + key.size();
  return all.substr(begin, all.find('\n', begin) - begin);
}

std::vector<std::string> Environment(const std::string& text) {
  std::vector<std::string> entries;
  for (size_t at = text.find("env:"); at != std::string::npos; at = text.find("\nenv:", at)) {
    if (text[at] == '\n') ++at;
    const size_t begin = at + 4;
    entries.push_back(text.substr(begin, text.find('\n', begin) - begin));
  }
  return entries;
}

class ChildState : public MakerTest {
 protected:
  // Runs the probe as the last rank of `batch`, with a pipe as stdout; returns what it printed.
  std::string Probe(BirthBatch batch) {
    batch.path = ProbePath();
    if (batch.argv.empty()) batch.argv = {"probe"};
    auto out = MakePipe();
    EXPECT_TRUE(out.has_value());
    batch.ranks.back().stdout_fd = std::move(out->second);
    const auto record = Submit(std::move(batch));
    EXPECT_TRUE(RunUntilOver(record));
    EXPECT_EQ(record->events, "pb");
    if (record->pids.empty()) return "";
    last_pid_ = record->pids.back();
    EXPECT_TRUE(record->ends.back()->ok());
    return ReadToEnd(out->first.get());
  }
  BirthBatch Plain() {
    BirthBatch batch = Simple(1);
    batch.argv.clear();
    return batch;
  }
  pid_t last_pid_ = 0;
};

TEST_F(ChildState, OnlyStandardDescriptorsAreOpen) {
  const UniqueFd leaked(::open("/dev/zero", O_RDONLY));  // not close-on-exec, on purpose
  StartMaker();
  BirthBatch batch = Plain();
  batch.ranks.resize(40);
  for (auto& rank : batch.ranks)
    rank.stderr_fd = UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const std::string text = Probe(std::move(batch));
  EXPECT_EQ(ValueOf(text, "fds"), "0(null) 1 2(null) ");
}

TEST_F(ChildState, DescriptorsReachTheirPlaces) {
  StartMaker();
  BirthBatch batch = Simple(2, "/bin/sh");
  batch.argv = {"sh", "-c", "read line; echo \"out $line\"; echo \"err $line\" >&2"};
  std::vector<UniqueFd> in;
  std::vector<UniqueFd> out;
  std::vector<UniqueFd> err;
  for (auto& rank : batch.ranks) {
    auto stdin_pipe = MakePipe();
    auto stdout_pipe = MakePipe();
    auto stderr_pipe = MakePipe();
    rank.stdin_fd = std::move(stdin_pipe->first);
    rank.stdout_fd = std::move(stdout_pipe->second);
    rank.stderr_fd = std::move(stderr_pipe->second);
    in.push_back(std::move(stdin_pipe->second));
    out.push_back(std::move(stdout_pipe->first));
    err.push_back(std::move(stderr_pipe->first));
  }
  const auto record = Submit(std::move(batch));
  ASSERT_TRUE(RunUntil([&] { return record->born; }));
  for (size_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(WriteAll(in[i].get(), std::to_string(i) + "\n").has_value());
    EXPECT_EQ(ReadToEnd(out[i].get()), "out " + std::to_string(i) + "\n");
    EXPECT_EQ(ReadToEnd(err[i].get()), "err " + std::to_string(i) + "\n");
  }
  ASSERT_TRUE(RunUntilOver(record));
}

// Neither the spawner, nor we, nor a neighbour that still waits may hold a rank's output open.
TEST_F(ChildState, OutputEndsWithItsRankThoughANeighbourWaitsAtTheGate) {
  StartMaker();
  BirthBatch batch = Simple(2);
  auto out = MakePipe();
  batch.ranks[0].stdout_fd = std::move(out->second);
  const auto record = Submit(std::move(batch), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  ASSERT_TRUE(SetNonBlocking(out->first.get()).has_value());
  children_->Kill(record->pids[0], SIGKILL);
  char byte = 0;
  EXPECT_TRUE(RunUntil([&] { return ::read(out->first.get(), &byte, 1) == 0; }));
  maker_->Release();
  ASSERT_TRUE(RunUntilOver(record));
}

TEST_F(ChildState, WordsAndEnvironmentAreExact) {
  StartMaker();
  BirthBatch batch = Plain();
  batch.ranks.resize(2);
  batch.argv = {"zero", "", "with space", "--x=\t"};
  batch.common_env = {"A=1", "EMPTY=", "LONG=" + std::string(5000, 'x')};
  batch.ranks[0].env = {"OTHER=0", "OTHER2=0", "OTHER3=0"};
  batch.ranks[1].env = {"OWN=1", "A=again"};
  auto expected = batch.common_env;
  expected.insert(expected.end(), {"OWN=1", "A=again"});
  const std::string text = Probe(std::move(batch));
  EXPECT_EQ(Environment(text), expected);
  EXPECT_EQ(ValueOf(text, "arg0"), "zero");
  EXPECT_EQ(ValueOf(text, "arg1"), "");
  EXPECT_EQ(ValueOf(text, "arg2"), "with space");
  EXPECT_EQ(ValueOf(text, "arg3"), "--x=\t");
  EXPECT_EQ(ValueOf(text, "arg4"), "(absent)");
}

TEST_F(ChildState, AnEmptyEnvironmentIsEmpty) {
  StartMaker();
  EXPECT_TRUE(Environment(Probe(Plain())).empty());
}

TEST_F(ChildState, ProcessAttributesAreExact) {
  StartMaker();
  BirthBatch batch = Plain();
  batch.wdir = "/usr";
  batch.umask = 0137;
  batch.open_files = 99;
  batch.timer_slack = std::chrono::nanoseconds(1234567);
  const std::string text = Probe(std::move(batch));
  EXPECT_EQ(ValueOf(text, "cwd"), "/usr");
  EXPECT_EQ(ValueOf(text, "umask"), "137");
  EXPECT_EQ(ValueOf(text, "open_files"), "99");
  EXPECT_EQ(ValueOf(text, "slack"), "1234567");
  EXPECT_EQ(ValueOf(text, "pid"), std::to_string(last_pid_));
  EXPECT_EQ(ValueOf(text, "pgid"), std::to_string(last_pid_));
  EXPECT_EQ(ValueOf(text, "ppid"), std::to_string(::getpid()));
  EXPECT_EQ(ValueOf(text, "death_signal"), std::to_string(SIGKILL));
}

TEST_F(ChildState, SignalsAreAsAfterLogin) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::sigaddset(&blocked, SIGRTMIN + 3);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  const auto old = ::signal(SIGHUP, SIG_IGN);
  StartMaker();
  const std::string text = Probe(Plain());
  ::signal(SIGHUP, old);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(ValueOf(text, "SigBlk"), "0000000000000000");
  EXPECT_EQ(ValueOf(text, "SigIgn"), "0000000000000000");
}

TEST_F(ChildState, AffinityIsTheRanksOwn) {
  cpu_set_t ours;
  CPU_ZERO(&ours);
  ASSERT_EQ(::sched_getaffinity(0, sizeof ours, &ours), 0);
  StartMaker();
  for (int cpu = 0; cpu < 64; ++cpu) {
    if (!CPU_ISSET(cpu, &ours)) continue;
    BirthBatch batch = Plain();
    batch.ranks[0].cpuset = {1ull << cpu};
    EXPECT_EQ(ValueOf(Probe(std::move(batch)), "cpus"), std::to_string(cpu) + " ");
  }
}

}  // namespace
}  // namespace rex::testing
