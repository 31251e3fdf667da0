// A template that fails in each of its states: the spawner takes over, and nothing half-made stays.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "launcher/template/template_fitness.h"
#include "launcher/template/template_maker.h"
#include "tests/integration/spawner/maker_fixture.h"
#include "tests/support/paths.h"

namespace rex::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TemplateFaults : public MakerTest {
 protected:
  static std::string Plain() { return BuildDir() + REX_TEST_TEMPLATE_PROGRAMS + "plain"; }

  void StartTemplate(const std::string& path = Plain(), milliseconds bound = seconds(20)) {
    StartMaker();
    const TemplateOrder order{path, {path}, "/", {"A=1"}};
    auto made = TemplateMaker::Start(loop_, *children_, *maker_, order, bound,
                                     [this](const std::string& why) { fallbacks_.push_back(why); });
    ASSERT_TRUE(made.has_value()) << made.error().text;
    template_ = std::move(*made);
  }
  void TearDown() override {
    template_.reset();
    MakerTest::TearDown();
  }
  static BirthBatch Batch(size_t count) {
    BirthBatch batch = Simple(count, Plain());
    batch.common_env = {"A=1"};
    return batch;
  }
  std::shared_ptr<BatchRecord> SubmitBatch(BirthBatch batch, bool release = true) {
    auto record = std::make_shared<BatchRecord>();
    template_->Submit(std::move(batch), Recorder(record, release ? [this] { ReleaseAll(); }
                                                                 : std::function<void()>()));
    return record;
  }
  void ReleaseAll() {
    template_->Release();
    maker_->Release();
  }
  void ExpectGood(const std::shared_ptr<BatchRecord>& record, Birth birth) {
    ASSERT_TRUE(RunUntilOver(record));
    EXPECT_EQ(record->events, "pb") << (record->lost ? record->lost->text : "");
    EXPECT_EQ(BirthName(record->birth), std::string(BirthName(birth)))
        << (fallbacks_.empty() ? "" : fallbacks_[0]);
    for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
  }
  // Waits for a sound template, by having it make a rank.
  void AwaitFit() { ExpectGood(SubmitBatch(Batch(1)), Birth::kTemplate); }
  void Strike(int signo) {
    ASSERT_GT(template_->pid(), 0);
    ASSERT_EQ(::kill(template_->pid(), signo), 0);
  }
  // At any moment of what the template does meanwhile: our loop does not run.
  void KillAfter(std::chrono::microseconds delay) {
    const auto moment = loop_.clock().Now() + delay;
    while (loop_.clock().Now() < moment) {
    }
    Strike(SIGKILL);
  }
  // Ranks made twice would show here: nobody but the new spawner is left.
  bool EndsAlone() {
    template_.reset();
    return RunUntil([&] { return children_->size() <= 1; });
  }

  std::unique_ptr<TemplateMaker> template_;
  std::vector<std::string> fallbacks_;
};

TEST_F(TemplateFaults, ABatchBeforeItIsReadyWaits) {
  StartTemplate();
  ExpectGood(SubmitBatch(Batch(3)), Birth::kTemplate);
  EXPECT_TRUE(fallbacks_.empty());
}

TEST_F(TemplateFaults, KilledBeforeABatch) {
  StartTemplate();
  AwaitFit();
  Strike(SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return template_->pid() == 0; }));
  ExpectGood(SubmitBatch(Batch(5)), Birth::kExec);
  ASSERT_EQ(fallbacks_.size(), 1u);
  EXPECT_NE(fallbacks_[0].find("signal 9"), std::string::npos) << fallbacks_[0];
}

TEST_F(TemplateFaults, KilledUnnoticedBeforeABatch) {
  StartTemplate();
  AwaitFit();
  const pid_t pid = template_->pid();
  Strike(SIGKILL);
  siginfo_t info{};  // it is dead, and our loop has not run yet
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  ExpectGood(SubmitBatch(Batch(5)), Birth::kExec);
}

TEST_F(TemplateFaults, KilledWithABatch) {
  StartTemplate();
  AwaitFit();
  Strike(SIGSTOP);
  const auto first = SubmitBatch(Batch(5));
  const auto second = SubmitBatch(Batch(5));
  Strike(SIGKILL);
  ExpectGood(first, Birth::kExec);
  ExpectGood(second, Birth::kExec);
  EXPECT_EQ(fallbacks_.size(), 2u);
}

TEST_F(TemplateFaults, KilledAtAnyMomentOfABatch) {
  for (int round = 0; round < 40; ++round) {
    StartTemplate();
    AwaitFit();
    const auto record = SubmitBatch(Batch(60), round % 2 == 0);
    KillAfter(std::chrono::microseconds(150) * round);
    ASSERT_TRUE(RunUntil([&] { return record->told || record->lost; })) << round;
    if (round % 2 == 1) ReleaseAll();
    ASSERT_TRUE(RunUntilOver(record)) << round;
    EXPECT_EQ(record->events, "pb") << round;
    EXPECT_EQ(record->pids.size(), 60u);
    for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
    ASSERT_TRUE(EndsAlone()) << round;
  }
}

// The second one waits at the template's socket while it makes the first.
TEST_F(TemplateFaults, KilledAtAnyMomentOfTwoBatches) {
  for (int round = 0; round < 40; ++round) {
    StartTemplate();
    AwaitFit();
    const std::shared_ptr<BatchRecord> records[] = {SubmitBatch(Batch(30)), SubmitBatch(Batch(30)),
                                                    SubmitBatch(Batch(30))};
    KillAfter(std::chrono::microseconds(200) * round);
    for (const auto& record : records) {
      ASSERT_TRUE(RunUntilOver(record)) << round;
      EXPECT_EQ(record->events, "pb") << round;
      EXPECT_EQ(record->pids.size(), 30u);
      for (const auto& end : record->ends) EXPECT_TRUE(end->ok());
    }
    ASSERT_TRUE(EndsAlone()) << round;
  }
}

TEST_F(TemplateFaults, ManyBatchesKeepTheirOrder) {
  StartTemplate();
  std::vector<std::shared_ptr<BatchRecord>> records;
  for (int i = 0; i < 10; ++i) records.push_back(SubmitBatch(Batch(i % 3 + 1)));
  for (const auto& record : records) ExpectGood(record, Birth::kTemplate);
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i]->pids.size(), i % 3 + 1);
  EXPECT_TRUE(fallbacks_.empty());
}

// The last rank, if it is the only one of its batch, is the template itself.
TEST_F(TemplateFaults, BecomesItsLastRank) {
  StartTemplate();
  BirthBatch batch = Batch(1);
  batch.become = true;
  const auto last = SubmitBatch(std::move(batch), false);
  const pid_t pid = template_->pid();
  ASSERT_TRUE(RunUntil([&] { return last->told; }));
  EXPECT_EQ(last->pids, std::vector<pid_t>{pid});
  EXPECT_EQ(template_->pid(), 0);
  EXPECT_FALSE(template_->alive());
  const auto late = SubmitBatch(Batch(2));
  ExpectGood(late, Birth::kExec);
  ASSERT_EQ(fallbacks_.size(), 1u);
  EXPECT_NE(fallbacks_[0].find("has become a rank"), std::string::npos) << fallbacks_[0];
  template_->Release();
  ExpectGood(last, Birth::kTemplate);
}

TEST_F(TemplateFaults, KilledAtAnyMomentOfBecoming) {
  int killed_as_rank = 0;
  for (int round = 0; round < 60; ++round) {
    StartTemplate();
    AwaitFit();
    const pid_t pid = template_->pid();
    BirthBatch batch = Batch(1);
    batch.become = true;
    const auto record = SubmitBatch(std::move(batch), round % 2 == 0);
    KillAfter(std::chrono::microseconds(20) * round);
    ASSERT_TRUE(RunUntil([&] { return record->told || record->lost; })) << round;
    if (round % 2 == 1) ReleaseAll();
    ASSERT_TRUE(RunUntilOver(record)) << round;
    EXPECT_EQ(record->events, "pb") << round << (record->lost ? record->lost->text : "");
    ASSERT_EQ(record->ends.size(), 1u);
    // Either it died as a rank, or a spawner has made another one.
    const bool as_rank = record->pids.at(0) == pid;
    killed_as_rank += as_rank ? 1 : 0;
    EXPECT_EQ(record->ends[0]->ok(), !as_rank) << round;
    ASSERT_TRUE(EndsAlone()) << round;
  }
  RecordProperty("killed_as_rank", killed_as_rank);
}

TEST_F(TemplateFaults, KilledAfterItsAnswerDoesNotMatter) {
  StartTemplate();
  const auto record = SubmitBatch(Batch(5), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  Strike(SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return template_->pid() == 0; }));
  ReleaseAll();
  ExpectGood(record, Birth::kTemplate);
  EXPECT_TRUE(fallbacks_.empty());
}

TEST_F(TemplateFaults, StoppedBeforeItIsReady) {
  StartTemplate(Plain(), milliseconds(300));
  Strike(SIGSTOP);
  ExpectGood(SubmitBatch(Batch(2)), Birth::kExec);
}

TEST_F(TemplateFaults, StoppedWithABatch) {
  StartTemplate(Plain(), milliseconds(300));
  AwaitFit();
  Strike(SIGSTOP);
  ExpectGood(SubmitBatch(Batch(2)), Birth::kExec);
  ASSERT_EQ(fallbacks_.size(), 1u);
  EXPECT_NE(fallbacks_[0].find("within 300 ms"), std::string::npos) << fallbacks_[0];
}

TEST_F(TemplateFaults, StoppedWithTwoBatches) {
  StartTemplate(Plain(), milliseconds(300));
  AwaitFit();
  Strike(SIGSTOP);
  const auto first = SubmitBatch(Batch(2));
  const auto second = SubmitBatch(Batch(3));
  ExpectGood(first, Birth::kExec);
  ExpectGood(second, Birth::kExec);
  EXPECT_EQ(fallbacks_.size(), 2u);
}

TEST_F(TemplateFaults, ARankKilledAtTheGate) {
  StartTemplate();
  const auto record = SubmitBatch(Batch(3), false);
  ASSERT_TRUE(RunUntil([&] { return record->told; }));
  ASSERT_TRUE(children_->Kill(record->pids[1], SIGKILL));
  ASSERT_TRUE(RunUntil([&] { return record->ends[1].has_value(); }));
  EXPECT_EQ(record->ends[1]->signal, SIGKILL);
  ReleaseAll();
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pb");
  EXPECT_TRUE(record->ends[0]->ok() && record->ends[2]->ok());
}

TEST_F(TemplateFaults, AMissingDirectoryIsReportedAsByTheSpawner) {
  StartTemplate();
  BirthBatch batch = Batch(2);
  batch.wdir = "/no/such/directory";
  const auto record = SubmitBatch(std::move(batch));
  ASSERT_TRUE(RunUntilOver(record));
  EXPECT_EQ(record->events, "pffb");
  EXPECT_EQ(record->failures[0].phase, REX_PHASE_WDIR);
  EXPECT_EQ(record->failures[0].error, ENOENT);
}

TEST_F(TemplateFaults, AnEnvironmentWithoutRoom) {
  StartTemplate();
  BirthBatch batch = Batch(2);
  batch.ranks[1].env = {"BIG=" + std::string(100'000, 'x')};
  ExpectGood(SubmitBatch(std::move(batch)), Birth::kExec);
}

TEST_F(TemplateFaults, TooManyEntries) {
  StartTemplate();
  BirthBatch batch = Batch(1);
  for (size_t i = 0; i < kTemplateSpareEntries; ++i) {
    batch.common_env.push_back("N" + std::to_string(i) + "=");
  }
  ExpectGood(SubmitBatch(std::move(batch)), Birth::kExec);
}

TEST_F(TemplateFaults, OtherLoaderSettings) {
  StartTemplate();
  BirthBatch batch = Batch(1);
  batch.common_env.push_back("LD_BIND_NOW=1");
  ExpectGood(SubmitBatch(std::move(batch)), Birth::kExec);
}

TEST_F(TemplateFaults, AProgramThatIsReplacedMeanwhile) {
  const std::string copy = ::testing::TempDir() + "template_faults." + std::to_string(::getpid());
  const auto install = [&] {
    std::ofstream(copy + ".new", std::ios::binary)
        << std::ifstream(Plain(), std::ios::binary).rdbuf();
    ASSERT_EQ(::chmod((copy + ".new").c_str(), 0755), 0);
    ASSERT_EQ(::rename((copy + ".new").c_str(), copy.c_str()), 0);
  };
  install();
  // Older than any clock's tick at the template's start.
  ASSERT_TRUE(RunUntil([begin = loop_.clock().Now(), this] {
    return loop_.clock().Now() - begin > milliseconds(20);
  }));
  StartTemplate(copy);
  AwaitFit();
  install();
  ExpectGood(SubmitBatch(Batch(2)), Birth::kExec);
  ::unlink(copy.c_str());
}

TEST_F(TemplateFaults, AScriptThatIsEditedMeanwhile) {
  const std::string script = ::testing::TempDir() + "template_script." + std::to_string(::getpid());
  ASSERT_TRUE(WriteFileAtomically(script, "#!/bin/sh\n"));
  ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
  ASSERT_TRUE(RunUntil([begin = loop_.clock().Now(), this] {
    return loop_.clock().Now() - begin > milliseconds(20);
  }));
  StartMaker();
  const TemplateProgram program = ChooseTemplate(script, {script}, {"A=1"});
  ASSERT_EQ(program.why_exec, "");
  auto made = TemplateMaker::Start(
      loop_, *children_, *maker_, {program.path, program.argv, "/", {"A=1"}, program.files},
      seconds(20), [this](const std::string& why) { fallbacks_.push_back(why); });
  ASSERT_TRUE(made.has_value()) << made.error().text;
  template_ = std::move(*made);
  AwaitFit();
  std::ofstream(script, std::ios::app) << "exit 0\n";
  ExpectGood(SubmitBatch(Batch(2)), Birth::kExec);
  ASSERT_EQ(fallbacks_.size(), 1u);
  EXPECT_NE(fallbacks_[0].find("'" + script + "' was changed or replaced"), std::string::npos);
  ::unlink(script.c_str());
}

TEST_F(TemplateFaults, NotAProgram) {
  StartMaker();
  const TemplateOrder order{"/no/such/program", {"x"}, "/", {}};
  EXPECT_FALSE(TemplateMaker::Start(loop_, *children_, *maker_, order, seconds(1), {}).has_value());
}

// In a process of its own, as the limit counts all of a user's processes. Exit code 0: as it
// should.
int RunOutOfProcesses(const std::string& program) {
  EventLoop loop;
  ChildTable children(loop);
  auto spawner = RankMaker::MakeSpawner(loop, children, seconds(10));
  if (!spawner) return 1;
  auto made = TemplateMaker::Start(loop, children, **spawner, {program, {program}, "/", {}},
                                   seconds(10), {});
  if (!made) return 2;
  int error = -1;
  size_t ended = 0;
  std::vector<pid_t> pids;
  bool born = false;
  const auto batch = [&](size_t count) {
    BirthBatch order;
    order.path = program;
    order.argv = {program};
    order.wdir = "/";
    order.ranks.resize(count);
    BatchEvents events;
    events.on_pids = [&](const std::vector<pid_t>& all, int e, Birth birth) {
      error = birth == Birth::kTemplate ? e : -2;
      pids = all;
      for (const pid_t pid : all) children.Adopt(pid, [&](const ExitStatus&) { ++ended; });
      (*made)->Release();
    };
    events.on_born = [&] { born = true; };
    events.on_lost = [&](const Error&) { error = -3; };
    (*made)->Submit(std::move(order), std::move(events));
    const auto until = loop.clock().Now() + seconds(10);
    Timer tick(loop, [] {});
    while (!(born && ended == pids.size()) && error > -2 && loop.clock().Now() < until) {
      tick.Set(milliseconds(2));
      loop.RunOnce();
    }
  };
  batch(1);
  if (error != 0) return 3;
  const rlimit few{1, 1};
  if (::prlimit((*made)->pid(), RLIMIT_NPROC, &few, nullptr) != 0) return 4;
  born = false;
  ended = 0;
  batch(20);
  if (error != EAGAIN) return 5;
  return born && ended == pids.size() && pids.size() < 20 ? 0 : 6;
}

TEST_F(TemplateFaults, ForkFailsInABatch) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs to become a user who has no other process";
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobodyElse = 64'321;
    if (::setgid(kNobodyElse) != 0 || ::setuid(kNobodyElse) != 0) ::_exit(77);
    ::_exit(RunOutOfProcesses("/bin/true"));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 1) GTEST_SKIP() << "the build tree is closed to other users";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace rex::testing
