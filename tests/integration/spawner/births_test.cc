// Batches through the real spawner: order of events, failures, and every process killed at every
// moment of a batch.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <set>

#include "tests/integration/spawner/maker_fixture.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Births : public MakerTest {
 protected:
  // A file that can't be run for a reason of its own; removed with the fixture.
  std::string WriteProgram(const std::string& bytes, mode_t mode) {
    files_.push_back(::testing::TempDir() + "spawner_test." + std::to_string(::getpid()) + "." +
                     std::to_string(files_.size()));
    std::ofstream(files_.back()) << bytes;
    ::chmod(files_.back().c_str(), mode);
    return files_.back();
  }
  void ExpectExecFailure(const std::string& path, int error) {
    const auto record = Submit(Simple(2, path));
    ASSERT_TRUE(RunUntilOver(record));
    EXPECT_EQ(record->events, "pffb");
    ASSERT_EQ(record->failures.size(), 2u);
    std::set<size_t> who;
    for (const BirthFailure& failure : record->failures) {
      EXPECT_EQ(failure.phase, REX_PHASE_EXEC);
      EXPECT_EQ(failure.error, error) << std::strerror(failure.error);
      who.insert(failure.index);
    }
    EXPECT_EQ(who, (std::set<size_t>{0, 1}));
    for (const auto& end : record->ends) EXPECT_EQ(end->code, 127);
  }
  void KillSpawner() {
    const pid_t pid = maker_->pid();
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
  }
  void ExpectMakerWorks() {
    const auto record = Submit(Simple(3));
    ASSERT_TRUE(RunUntilOver(record));
    EXPECT_EQ(record->events, "pb") << (record->lost ? record->lost->text : "");
    for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
  }
  void TearDown() override {
    for (const auto& file : files_) ::unlink(file.c_str());
    MakerTest::TearDown();
  }

 private:
  std::vector<std::string> files_;
};

TEST_F(Births, ThreeHundredRanksInBatches) {
  StartMaker();
  std::vector<std::shared_ptr<BatchRecord>> records;
  std::set<pid_t> pids;
  for (size_t left = 300; left > 0;) {
    const size_t count = std::min<size_t>(left, 79);
    BirthBatch batch = Simple(count);
    for (auto& rank : batch.ranks) {
      rank.stdin_fd = UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      rank.stdout_fd = UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
      rank.stderr_fd = UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    ASSERT_EQ(BirthBatch::Fits(batch.ranks, 0), count);
    records.push_back(Submit(std::move(batch)));
    left -= count;
  }
  for (const auto& record : records) {
    ASSERT_TRUE(RunUntilOver(record));
    EXPECT_EQ(record->events, "pb");
    for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
    pids.insert(record->pids.begin(), record->pids.end());
  }
  EXPECT_EQ(pids.size(), 300u);
}

TEST_F(Births, ManyBatchesCanBeHeldAndReleasedTogether) {
  StartMaker();
  const auto a = Submit(Simple(237), false);
  const auto b = Submit(Simple(5), false);
  ASSERT_TRUE(RunUntil([&] { return a->told && b->told; }));
  EXPECT_FALSE(a->born || b->born);
  for (const auto& end : a->ends) EXPECT_FALSE(end.has_value()) << "nobody passes a closed gate";
  maker_->Release();
  ASSERT_TRUE(RunUntilOver(a));
  ASSERT_TRUE(RunUntilOver(b));
  EXPECT_EQ(a->events + b->events, "pbpb");
  for (const auto& end : a->ends) EXPECT_TRUE(end->ok());
}

TEST_F(Births, RanksAreOurOwnChildrenInGroupsOfTheirOwn) {
  StartMaker();
  const auto record = Submit(Simple(2), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  // The group is made before the gate; a moment after the pid is known at the latest.
  ASSERT_TRUE(RunUntil([&] { return ::getpgid(record->pids[1]) == record->pids[1]; }));
  EXPECT_TRUE(children_->Contains(record->pids[0]));
  EXPECT_TRUE(children_->Contains(record->pids[1]));
  maker_->Release();
  ASSERT_TRUE(RunUntilOver(record));
}

TEST_F(Births, MissingProgram) {
  StartMaker();
  ExpectExecFailure("/no/such/program", ENOENT);
  ExpectMakerWorks();
}
TEST_F(Births, NotExecutable) {
  StartMaker();
  ExpectExecFailure(WriteProgram("#!/bin/sh\n", 0644), EACCES);
}
TEST_F(Births, UnknownFormat) {
  StartMaker();
  ExpectExecFailure(WriteProgram("no program at all\n", 0755), ENOEXEC);
}
TEST_F(Births, MissingInterpreter) {
  StartMaker();
  ExpectExecFailure(WriteProgram("#!/no/such/interpreter\n", 0755), ENOENT);
}
TEST_F(Births, ADirectory) {
  StartMaker();
  ExpectExecFailure("/tmp", EACCES);
}
TEST_F(Births, ArgumentsTooLong) {
  StartMaker();
  BirthBatch batch = Simple(1);
  batch.argv.push_back(std::string(1 << 20, 'x'));
  const auto record = Submit(std::move(batch));
  ASSERT_TRUE(RunUntilOver(record));
  ASSERT_EQ(record->failures.size(), 1u);
  EXPECT_EQ(record->failures[0].error, E2BIG);
}

TEST_F(Births, MissingWorkingDirectory) {
  StartMaker();
  BirthBatch batch = Simple(2);
  batch.wdir = "/no/such/directory";
  const auto record = Submit(std::move(batch));
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pffb") << "never before the pids";
  EXPECT_EQ(record->failures[0].phase, REX_PHASE_WDIR);
  EXPECT_EQ(record->failures[0].error, ENOENT);
}

TEST_F(Births, ImpossibleAffinity) {
  StartMaker();
  BirthBatch batch = Simple(2);
  batch.ranks[1].cpuset = std::vector<uint64_t>(100, 0);
  batch.ranks[1].cpuset.back() = 1;
  const auto record = Submit(std::move(batch));
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pfb");
  EXPECT_EQ(record->failures[0].index, 1u);
  EXPECT_EQ(record->failures[0].phase, REX_PHASE_AFFINITY);
  EXPECT_EQ(record->failures[0].error, EINVAL);
  EXPECT_TRUE(record->ends[0]->ok());
}

TEST_F(Births, ARankKilledAtTheGateIsReapedLikeAnyOther) {
  StartMaker();
  const auto record = Submit(Simple(3), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  ASSERT_TRUE(children_->Kill(record->pids[1], SIGKILL));
  ASSERT_TRUE(RunUntil([&] { return record->ends[1].has_value(); }));
  EXPECT_EQ(record->ends[1]->signal, SIGKILL);
  EXPECT_FALSE(record->born);
  maker_->Release();
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pb");
  EXPECT_TRUE(record->ends[0]->ok() && record->ends[2]->ok());
}

TEST_F(Births, AllRanksKilledAtTheGateAreBornWithoutRelease) {
  StartMaker();
  const auto record = Submit(Simple(4), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  for (const pid_t pid : record->pids) children_->Kill(pid, SIGKILL);
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pb");
}

TEST_F(Births, ReleaseAfterAllRanksDiedAtTheGateIsHarmless) {
  StartMaker();
  const auto record = Submit(Simple(1), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  children_->Kill(record->pids[0], SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(record->pids[0]), &info, WEXITED | WNOWAIT);
  maker_->Release();  // no reader but ourselves: must not raise SIGPIPE
  ASSERT_TRUE(RunUntilOver(record));
}

TEST_F(Births, SpawnerKilledWhileIdleIsReplaced) {
  StartMaker();
  ExpectMakerWorks();
  const pid_t before = maker_->pid();
  KillSpawner();
  ASSERT_TRUE(RunUntil([&] { return !maker_->alive() && maker_->pid() == 0; }));
  ExpectMakerWorks();
  EXPECT_NE(maker_->pid(), before);
}

TEST_F(Births, SpawnerThatDiedUnnoticedIsReplacedToo) {
  StartMaker();
  const pid_t before = maker_->pid();
  KillSpawner();
  siginfo_t info{};  // it is dead, and our loop has not run yet
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(before), &info, WEXITED | WNOWAIT), 0);
  ExpectMakerWorks();
  EXPECT_NE(maker_->pid(), before);
}

TEST_F(Births, SpawnerKilledDuringABatchLosesThatBatchOnly) {
  StartMaker();
  ExpectMakerWorks();
  ASSERT_EQ(::kill(maker_->pid(), SIGSTOP), 0);
  const auto lost = Submit(Simple(5));
  const auto next = Submit(Simple(5));
  KillSpawner();
  ASSERT_TRUE(RunUntilOver(lost));
  EXPECT_EQ(lost->events, "l");
  EXPECT_EQ(lost->lost->code, Errc::kClosed);
  EXPECT_NE(lost->lost->text.find("signal 9"), std::string::npos) << lost->lost->text;
  ASSERT_TRUE(RunUntilOver(next));
  EXPECT_EQ(next->events, "pb");
}

TEST_F(Births, SpawnerKilledAfterItsAnswerDoesNotMatterToTheBatch) {
  StartMaker();
  const auto record = Submit(Simple(5), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  KillSpawner();
  ASSERT_TRUE(RunUntil([&] { return maker_->pid() == 0; }));
  EXPECT_FALSE(record->Over());
  maker_->Release();
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pb");
  for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
}

TEST_F(Births, SpawnerKilledAtAnyMomentLeavesNothing) {
  StartMaker();
  for (int round = 0; round < 40; ++round) {
    const auto record = Submit(Simple(60), round % 2 == 0);
    // Spread over the time that 60 births take, a few milliseconds.
    const auto moment = loop_.clock().Now() + std::chrono::microseconds(200) * round;
    while (loop_.clock().Now() < moment) {
    }
    KillSpawner();
    ASSERT_TRUE(RunUntil([&] { return record->told || record->lost; }));
    if (record->told && round % 2 == 1) maker_->Release();
    ASSERT_TRUE(RunUntilOver(record)) << round;
    EXPECT_TRUE(record->events == "pb" || record->events == "l") << record->events;
    ASSERT_TRUE(RunUntil([&] { return maker_->pid() == 0; }));
  }
  ExpectMakerWorks();
}

TEST_F(Births, AStoppedSpawnerIsBounded) {
  StartMaker(milliseconds(200));
  ASSERT_EQ(::kill(maker_->pid(), SIGSTOP), 0);
  const auto record = Submit(Simple(2));
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "l");
  EXPECT_EQ(record->lost->code, Errc::kTimeout);
  ExpectMakerWorks();
}

TEST_F(Births, ARankStuckBetweenGateAndExecIsBounded) {
  StartMaker(milliseconds(200));
  const auto record = Submit(Simple(2), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  ASSERT_EQ(::kill(record->pids[0], SIGSTOP), 0);
  maker_->Release();
  ASSERT_TRUE(RunUntil([&] { return record->Over(); }));
  ASSERT_TRUE(record->lost.has_value());
  EXPECT_EQ(record->lost->code, Errc::kTimeout);
  children_->Kill(record->pids[0], SIGKILL);
  ASSERT_TRUE(RunUntilOver(record));
}

TEST_F(Births, DestroyingTheMakerClosesTheGates) {
  StartMaker();
  const auto held = Submit(Simple(3), false);
  ASSERT_TRUE(RunUntil([&] { return held->told; }));
  maker_.reset();
  ASSERT_TRUE(RunUntil([&] { return held->AllEnded(); }));
  for (const auto& end : held->ends) EXPECT_EQ(end->code, REX_GATE_CLOSED);
  EXPECT_EQ(held->events, "p");
}

TEST_F(Births, TheMakerMayBeDestroyedInAnyEvent) {
  for (const char last : {'p', 'f', 'b', 'l'}) {
    StartMaker(milliseconds(500));
    bool done = false;
    const auto destroy_at = [&, last](char event) {
      if (event != last) return;
      maker_.reset();
      done = true;
    };
    BatchEvents events;
    events.on_pids = [&, destroy_at](const std::vector<pid_t>& pids, int, Birth) {
      for (const pid_t pid : pids) children_->Adopt(pid, [](const ExitStatus&) {});
      maker_->Release();
      destroy_at('p');
    };
    events.on_failure = [destroy_at](const BirthFailure&) { destroy_at('f'); };
    events.on_born = [destroy_at] { destroy_at('b'); };
    events.on_lost = [destroy_at](const Error&) { destroy_at('l'); };
    if (last == 'l') ::kill(maker_->pid(), SIGSTOP);
    maker_->Submit(Simple(3, "/no/such/program"), std::move(events));
    ASSERT_TRUE(RunUntil([&] { return done; })) << last;
    ASSERT_TRUE(RunUntil([&] { return children_->size() == 0; })) << last;
  }
}

// The agent's death, seen from outside: an agent of its own process is killed while its ranks wait.
TEST_F(Births, RanksAtTheGateEndWithTheirAgent) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.has_value());
  const pid_t agent = ::fork();
  if (agent == 0) {
    children_.reset();  // one libevent base at a time has the signals
    EventLoop loop;
    ChildTable children(loop);
    auto maker = RankMaker::MakeSpawner(loop, children, seconds(20));
    BatchEvents events;
    events.on_pids = [&](const std::vector<pid_t>& pids, int, Birth) {
      [[maybe_unused]] const ssize_t n =
          ::write(pipe->second.get(), pids.data(), pids.size() * sizeof(pid_t));
    };
    (*maker)->Submit(Simple(20), std::move(events));
    loop.Run();
    ::_exit(0);
  }
  pipe->second.Reset();
  std::vector<pid_t> pids(20);
  ASSERT_EQ(::read(pipe->first.get(), pids.data(), pids.size() * sizeof(pid_t)), 80);
  ASSERT_EQ(::kill(agent, SIGKILL), 0);
  const auto gone = [](pid_t pid) { return ::kill(pid, 0) != 0; };
  EXPECT_TRUE(RunUntil([&] { return std::all_of(pids.begin(), pids.end(), gone); }, seconds(5)));
}

// As an ordinary user: RLIMIT_NPROC does not bind root. 0: as wanted; 77: can't be tried here.
int RunOutOfProcesses() {
  constexpr uid_t kNobodyElse = 54321;
  if (::setgid(kNobodyElse) != 0 || ::setuid(kNobodyElse) != 0) return 77;
  if (::access(LibexecPath("rexd-spawner").c_str(), X_OK) != 0) return 77;
  EventLoop loop;
  ChildTable children(loop);
  auto maker = RankMaker::MakeSpawner(loop, children, seconds(10));
  if (!maker) return 1;
  (*maker)->StartAhead();
  const rlimit few{6, 6};
  if (::prlimit((*maker)->pid(), RLIMIT_NPROC, &few, nullptr) != 0) return 2;
  int result = 3;
  std::vector<int> codes;
  BatchEvents events;
  events.on_pids = [&](const std::vector<pid_t>& pids, int error, Birth) {
    if (pids.empty() || pids.size() >= 20 || error != EAGAIN) return loop.Stop();
    for (const pid_t pid : pids) {
      children.Adopt(pid, [&](const ExitStatus& end) { codes.push_back(end.ShellCode()); });
    }
    result = 4;
  };
  events.on_born = [&] { result = 0; };
  BirthBatch batch;
  batch.path = "/bin/true";
  batch.argv = {"true"};
  batch.wdir = "/";
  batch.ranks.resize(20);
  (*maker)->Submit(std::move(batch), std::move(events));
  Timer bound(loop, [&] { loop.Stop(); });
  bound.Set(seconds(10));
  for (int i = 0; i < 1000 && (result != 0 || children.size() > 1) && bound.pending(); ++i) {
    loop.RunOnce();
  }
  for (const int code : codes) {
    if (code != REX_GATE_CLOSED) return 5;
  }
  return result != 0 ? result : codes.empty() ? 6 : 0;
}

TEST_F(Births, OutOfProcessesInMidBatchTellsHowFarItCame) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const pid_t pid = ::fork();
  if (pid == 0) {
    children_.reset();
    ::_exit(RunOutOfProcesses());
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "the build tree is closed to other users";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace rex::testing
