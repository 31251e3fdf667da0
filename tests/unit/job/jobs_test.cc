// Several jobs at one head: numbers, spawns, ends, output, stdin, names and groups between them.
// The test plays parts and hosts. No process, no network.
#include "launcher/job/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sched/placement/load_table.h"

namespace rex {
namespace {

using Milliseconds = std::chrono::milliseconds;
constexpr NodeId kA{1};
constexpr NodeId kB{2};

class JobsAtHeadTest : public ::testing::Test {
 protected:
  struct Sent {
    JobNumber job;
    PartCommand command;
  };

  // One rank on node a, and free slots: three there, four on b.
  void SetUp() override { Begin(Spec()); }
  void Begin(JobSpec spec) {
    jobs_.reset();
    dvm_ = std::make_unique<DvmJobs>(Services());
    jobs_ = std::make_unique<Jobs>(*dvm_, Client(), kBounds);
    sent_.clear();
    jobs_->Start(std::move(spec));
    dvm_->OnNodes({{kA, "a", 4, 4, false, 0}, {kB, "b", 4, 4, false, 0}}, 3);
    ToRunning(1);
  }
  static JobSpec Spec() {
    JobSpec spec;
    spec.apps.push_back({{"./app"}, 1, "", {}, "", 0, {}});
    spec.cwd = "/dir";
    spec.env = {"A=1"};
    spec.grace = Milliseconds(0);
    return spec;
  }
  pmix::Spawn Request(uint32_t ranks, std::vector<pmix::SpawnInfo> infos = {}) {
    pmix::Spawn spawn;
    spawn.request = ++requests_;
    spawn.proc = {Name(1), 0};
    spawn.apps.push_back({"./child", {"./child", "x"}, {"E=1"}, "/dir", ranks, std::move(infos)});
    return spawn;
  }
  JobNumber Spawn(uint32_t ranks) {
    dvm_->OnHostRequest(kA, Request(ranks));
    return ++made_;
  }
  std::string Name(JobNumber job) { return jobs_->Find(job)->name_space(); }
  const LaunchPart* Launch(JobNumber job) const {
    for (const Sent& s : sent_) {
      const auto* launch = std::get_if<LaunchPart>(&s.command);
      if (s.job == job && launch != nullptr) return launch;
    }
    return nullptr;
  }
  void Tell(JobNumber job, NodeId node, PartEvent event) {
    EXPECT_TRUE(dvm_->OnPart(job, node, std::move(event)).has_value());
  }
  std::vector<NodeId> NodesOf(JobNumber job) const { return Launch(job)->map->nodes(); }
  void ToRunning(JobNumber job) {
    ASSERT_NE(Launch(job), nullptr);
    for (const NodeId node : NodesOf(job)) {
      Tell(job, node, PartPlanned{Launch(job)->map->Digest(), "", ""});
      Tell(job, node, PartReady{});
      PartBorn born;
      for (uint32_t i = 0; i < Launch(job)->map->CountOn(node); ++i) {
        born.pids.push_back(100 + i);
        born.templated.push_back(true);
      }
      Tell(job, node, born);
    }
    for (const NodeId node : NodesOf(job)) Tell(job, node, PartRunning{});
  }
  void EndRanks(JobNumber job, int code = 0, bool consequence = false) {
    for (const NodeId node : NodesOf(job)) {
      for (const Rank rank : Launch(job)->map->RanksOf(node)) {
        Tell(job, node, RankEnds{{{rank, code, 0, false, false, false, consequence}}});
      }
    }
  }
  void Finish(JobNumber job) {
    for (const NodeId node : NodesOf(job)) Tell(job, node, PartDrained{});
    for (const NodeId node : NodesOf(job)) Tell(job, node, PartEnded{});
  }
  template <typename T>
  size_t Count(JobNumber job) const {
    return static_cast<size_t>(std::count_if(sent_.begin(), sent_.end(), [job](const Sent& s) {
      return s.job == job && std::holds_alternative<T>(s.command);
    }));
  }
  template <typename T>
  std::optional<T> Answer() const {
    for (auto it = answers_.rbegin(); it != answers_.rend(); ++it) {
      if (const T* answer = std::get_if<T>(&it->second)) return *answer;
    }
    return std::nullopt;
  }
  template <typename F>
  ::testing::AssertionResult RunUntil(F condition) {
    bool over = false;
    Timer bound(loop_, [&] { over = true; });
    bound.Set(std::chrono::seconds(20));
    while (!condition() && !over) loop_.RunOnce();
    return over ? ::testing::AssertionFailure() << "20 s were not enough"
                : ::testing::AssertionSuccess();
  }

  // Of 40 cores: one job's ranks are a light load.
  void SetLoad(NodeId node, uint32_t hundredths) {
    loads_.OnTold(node, hundredths * 40, 4000, loop_.clock().Now());
  }
  static JobSpec Waiting(uint32_t ranks) {
    JobSpec spec = Spec();
    spec.apps[0].ranks = ranks;
    spec.load = {.max_load = 50, .wait = std::chrono::seconds(600)};
    return spec;
  }

  EventLoop loop_;
  LoadTable loads_;
  std::unique_ptr<DvmJobs> dvm_;
  std::unique_ptr<Jobs> jobs_;
  std::vector<Sent> sent_;
  std::vector<std::pair<NodeId, pmix::HostMessage>> answers_;
  std::vector<Notice> notices_;
  std::vector<JobStarted> started_;
  std::vector<std::string> output_;
  uint64_t stdin_credit_ = 0;
  std::optional<JobEnded> ended_;
  uint64_t requests_ = 0;
  JobNumber made_ = 1;

 private:
  static constexpr JobBounds kBounds{Milliseconds(1), Milliseconds(1), Milliseconds(1),
                                     Milliseconds(1000), Milliseconds(1000)};
  DvmJobs::Services Services() {
    return {loop_,
            [this](JobNumber job, NodeId, PartCommand m) {
              sent_.push_back({job, std::move(m)});
            },
            [this](JobNumber job, PartCommand m) {
              sent_.push_back({job, std::move(m)});
            },
            [this](NodeId node, const pmix::HostMessage& m) { answers_.emplace_back(node, m); },
            [] { return std::vector<std::string>{}; },
            [] { return std::pair<uint32_t, uint32_t>{}; },
            [](NodeId) { return std::chrono::microseconds(0); },
            [](const std::string& path) -> Result<std::string> {
              return Error{Errc::kNotFound, path + " is not there"};
            },
            false,
            [this](std::vector<JobNode>* nodes) {
              for (JobNode& node : *nodes) {
                if (loads_.Knows(node.id)) node.load = loads_.Of(node.id).load;
              }
            },
            [this](NodeId node, int64_t threads) { loads_.AddRanks(node, threads); }};
  }
  Jobs::Client Client() {
    return {[this](const Notice& m) { notices_.push_back(m); },
            [](const Progress&) {},
            [this](const JobStarted& m) { started_.push_back(m); },
            [this](std::string payload) { output_.push_back(std::move(payload)); },
            [this](uint64_t bytes) { stdin_credit_ += bytes; },
            [this](JobEnded m) {
              EXPECT_FALSE(ended_);
              ended_ = std::move(m);
            }};
  }
};

// ---- spawns

TEST_F(JobsAtHeadTest, ASpawnIsAJobOfItsOwnAndIsAnsweredWhenItRuns) {
  const JobNumber child = Spawn(3);
  const LaunchPart* launch = Launch(child);
  ASSERT_NE(launch, nullptr);
  EXPECT_NE(launch->name_space, Name(1));
  ASSERT_TRUE(launch->parent);
  EXPECT_EQ(launch->parent->name_space, Name(1));
  EXPECT_EQ(launch->spec->apps[0].argv, (std::vector<std::string>{"./child", "x"}));
  EXPECT_EQ(launch->spec->env, std::vector<std::string>{"A=1"});
  EXPECT_EQ(launch->spec->apps[0].env, std::vector<std::string>{"E=1"});
  EXPECT_EQ(launch->spec->stdin_rank, kStdinNone);
  EXPECT_FALSE(Answer<pmix::SpawnDone>());
  const std::string name = launch->name_space;
  ToRunning(child);
  const auto done = Answer<pmix::SpawnDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->request, 1U);
  EXPECT_EQ(done->status, pmix::kSuccess);
  EXPECT_EQ(done->name_space, name);
  EXPECT_EQ(answers_.back().first, kA);
  EXPECT_EQ(started_.back().job, child);
}

TEST_F(JobsAtHeadTest, RanksOfOtherJobsTakeSlots) {
  const JobNumber first = Spawn(3);  // fills node a
  EXPECT_EQ(NodesOf(first), std::vector<NodeId>{kA});
  const JobNumber second = Spawn(4);
  EXPECT_EQ(NodesOf(second), std::vector<NodeId>{kB});
  dvm_->OnHostRequest(kA, Request(1));
  const auto refused = Answer<pmix::SpawnDone>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, pmix::kErrOutOfResource);
  EXPECT_EQ(refused->name_space, "");
  EXPECT_NE(notices_.back().text.find("not enough slots"), std::string::npos);
  EXPECT_EQ(jobs_->live(), 3U);
}

TEST_F(JobsAtHeadTest, ASpawnThatFailsFailsAlone) {
  const JobNumber child = Spawn(2);
  Failure missing;
  missing.kind = FailureKind::kProgramNotFound;
  missing.detail = "there is no ./child";
  Tell(child, kA, PartFailed{missing, false});
  Tell(child, kA, PartDrained{});
  Tell(child, kA, PartEnded{});
  const auto done = Answer<pmix::SpawnDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, pmix::kErrJobExeNotFound);
  EXPECT_NE(notices_.back().text.find("there is no ./child"), std::string::npos);
  EXPECT_EQ(Count<StopPart>(1), 0U);
  EndRanks(1);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 0);
}

TEST_F(JobsAtHeadTest, AnUnknownDirectiveIsRefusedByName) {
  pmix::SpawnInfo info;
  info.key = "pmix.made.up";
  dvm_->OnHostRequest(kB, Request(1, {info}));
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrNotSupported);
  EXPECT_EQ(answers_.back().first, kB);
  EXPECT_NE(notices_.back().text.find("pmix.made.up"), std::string::npos);
}

TEST_F(JobsAtHeadTest, AJobThatEndsOrIsUnknownSpawnsNothing) {
  pmix::Spawn stranger = Request(1);
  stranger.proc.name_space = "nobody";
  dvm_->OnHostRequest(kA, stranger);
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrUnreach);
  jobs_->OnEndJob(15);
  answers_.clear();
  dvm_->OnHostRequest(kA, Request(1));
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrUnreach);
}

TEST_F(JobsAtHeadTest, LostNodesGetNoChildren) {
  Failure lost;
  lost.kind = FailureKind::kNodeLost;
  dvm_->OnNodesLost({kB}, lost);  // nobody runs there
  Spawn(3);
  EXPECT_EQ(NodesOf(2), std::vector<NodeId>{kA});
  dvm_->OnHostRequest(kA, Request(1));
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrOutOfResource);
}

TEST_F(JobsAtHeadTest, AChildThatFailsBeforeAllRunEndsEverything) {
  const JobNumber child = Spawn(2);
  Tell(child, kA, PartReady{});
  Tell(child, kA, PartBorn{0, {7, 8}, {true, true}});
  Tell(child, kA, RankEnds{{{0, 3, 0, false, false, false, false}}});
  ASSERT_TRUE(RunUntil([&] { return Count<StopPart>(1) > 0; }));
  EndRanks(child, 0, true);
  Finish(child);
  EXPECT_TRUE(Answer<pmix::SpawnDone>());
  EXPECT_NE(Answer<pmix::SpawnDone>()->status, pmix::kSuccess);
  EndRanks(1, 0, true);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 3);
  EXPECT_EQ(ended_->failure.job, child);
}

// ---- ends

TEST_F(JobsAtHeadTest, ChildrenOutliveTheirParents) {
  const JobNumber child = Spawn(2);
  ToRunning(child);
  EndRanks(1);
  Finish(1);
  EXPECT_FALSE(ended_);
  EXPECT_EQ(Count<StopPart>(child), 0U);
  EndRanks(child);
  Finish(child);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 0);
}

TEST_F(JobsAtHeadTest, AChildsFailureEndsItsParentAndIsTheExitCode) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  EndRanks(child, 9);
  ASSERT_TRUE(RunUntil([&] { return Count<StopPart>(1) > 0; }));
  Finish(child);
  EXPECT_FALSE(ended_);
  EndRanks(1, 1, true);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 9);
  EXPECT_EQ(ended_->failure.job, child);
}

TEST_F(JobsAtHeadTest, AParentsFailureEndsItsChildren) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  EndRanks(1, 4);
  ASSERT_TRUE(RunUntil([&] { return Count<StopPart>(child) > 0; }));
  Finish(1);
  EndRanks(child, 1, true);
  Finish(child);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 4);
  EXPECT_EQ(ended_->failure.job, kFirstJob);
}

TEST_F(JobsAtHeadTest, AnAbortEndsTheJobThatItIsAbout) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  dvm_->OnHostRequest(kA, pmix::Abort{5, {Name(child), 0}, 17, "", {}});
  EXPECT_EQ(Answer<pmix::OpDone>()->request, 5U);
  ASSERT_TRUE(RunUntil([&] { return Count<StopPart>(1) > 0 && Count<StopPart>(child) > 0; }));
  EndRanks(child, 17);
  Finish(child);
  EndRanks(1, 0, true);
  Finish(1);
  EXPECT_EQ(ended_->exit_code, 17);
}

TEST_F(JobsAtHeadTest, TheTimeLimitIsForAll) {
  JobSpec spec = Spec();
  spec.timeout = std::chrono::hours(1);
  Begin(std::move(spec));
  Spawn(1);
  const auto left = Launch(2)->spec->timeout;
  EXPECT_GT(left, std::chrono::minutes(50));
  EXPECT_LE(left, std::chrono::hours(1));
}

TEST_F(JobsAtHeadTest, SignalsGoToAllJobs) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  jobs_->OnSignal(10);
  EXPECT_EQ(Count<SignalPart>(1), 1U);
  EXPECT_EQ(Count<SignalPart>(child), 1U);
  jobs_->OnEndJob(15);
  EXPECT_EQ(Count<StopPart>(1), 1U);
  EXPECT_EQ(Count<StopPart>(child), 1U);
}

TEST_F(JobsAtHeadTest, TheLastWordsOfAJobThatHasEndedAreIgnored) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  EndRanks(child);
  Finish(child);
  Tell(child, kA, PartNews{1});
  ASSERT_TRUE(RunUntil([&] { return jobs_->Find(child) == nullptr; }));
  Tell(child, kA, PartNews{1});
  EXPECT_EQ(jobs_->live(), 1U);
}

// ---- output and stdin

std::string Line(const std::string& text) { return EncodeOutput({0, OutputStream::kStdout}, text); }

TEST_F(JobsAtHeadTest, OutputCarriesTheJobsNumberWithinOneCredit) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  Tell(1, kA, PartOutput{Line("parent")});
  Tell(child, kA, PartOutput{Line("child")});
  EXPECT_TRUE(output_.empty());
  jobs_->OnOutputCredit(6);
  ASSERT_EQ(output_.size(), 1U);
  jobs_->OnOutputCredit(100);
  ASSERT_EQ(output_.size(), 2U);
  std::string_view bytes;
  EXPECT_EQ(DecodeOutput(output_[0], &bytes)->job, kFirstJob);
  EXPECT_EQ(bytes, "parent");
  EXPECT_EQ(DecodeOutput(output_[1], &bytes)->job, child);
  EXPECT_EQ(bytes, "child");
  // A job that ends gives back what it has not used; the rest is still there for the other one.
  EndRanks(child);
  Finish(child);
  Tell(1, kA, PartOutput{Line(std::string(95, 'x'))});
  EXPECT_EQ(output_.size(), 3U);
  Tell(1, kA, PartOutput{Line("y")});
  EXPECT_EQ(output_.size(), 3U);
}

TEST_F(JobsAtHeadTest, StdinGoesToTheJobsThatWantIt) {
  Tell(1, kA, PartStdinCredit{100});
  EXPECT_EQ(stdin_credit_, 100U);
  pmix::SpawnInfo all{"pmix.stdin", pmix::SpawnInfo::Type::kNumber};
  all.number = pmix::kRankWildcard;
  dvm_->OnHostRequest(kA, Request(1, {all}));
  const JobNumber child = ++made_;
  ToRunning(child);
  // What was asked for before it came is not its.
  ASSERT_TRUE(jobs_->OnStdin(std::string(100, 'p')).has_value());
  EXPECT_EQ(Count<PartStdin>(1), 1U);
  EXPECT_EQ(Count<PartStdin>(child), 0U);
  Tell(1, kA, PartStdinCredit{50});
  EXPECT_EQ(stdin_credit_, 100U);
  Tell(child, kA, PartStdinCredit{20});
  EXPECT_EQ(stdin_credit_, 120U);
  ASSERT_TRUE(jobs_->OnStdin("both").has_value());
  EXPECT_EQ(Count<PartStdin>(child), 1U);
  Tell(child, kA, PartStdinDone{});
  EXPECT_EQ(stdin_credit_, 150U);
  EXPECT_FALSE(jobs_->OnStdin(std::string(200, 'x')).has_value());
}

// ---- names and groups

// The answer to a lookup that waits goes to the node that asked, when another job publishes.
TEST_F(JobsAtHeadTest, NamesGoFromJobToJob) {
  const JobNumber child = Spawn(1);
  ToRunning(child);
  answers_.clear();
  pmix::Lookup lookup;
  lookup.request = 7;
  lookup.proc = {Name(child), 0};
  lookup.keys = {"port"};
  lookup.wait = true;
  lookup.range = 5;
  dvm_->OnHostRequest(kB, lookup);
  EXPECT_TRUE(answers_.empty());
  pmix::Publish publish;
  publish.request = 9;
  publish.proc = {Name(1), 0};
  publish.range = 5;
  publish.persistence = 3;
  publish.items.push_back({"port", "value", publish.proc});
  dvm_->OnHostRequest(kA, publish);
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(Answer<pmix::LookupDone>()->request, 7U);
  EXPECT_EQ(Answer<pmix::LookupDone>()->status, pmix::kSuccess);
  EXPECT_EQ(dvm_->name_count(), 1U);
  EndRanks(1);
  Finish(1);  // what it published for its lifetime goes with it
  EXPECT_EQ(dvm_->name_count(), 0U);
}

TEST_F(JobsAtHeadTest, AGroupOverJobsGetsOneContext) {
  const JobNumber child = Spawn(5);  // three on a, two on b
  ToRunning(child);
  answers_.clear();
  pmix::Group group;
  group.request = 3;
  group.id = "g";
  group.members = {{Name(1), 0}, {Name(child), 4}};
  group.want_context = true;
  group.data = "a";
  dvm_->OnHostRequest(kA, group);
  EXPECT_TRUE(answers_.empty());
  group.request = 4;
  group.data = "b";
  dvm_->OnHostRequest(kB, group);
  ASSERT_EQ(answers_.size(), 2U);
  for (const auto& [node, message] : answers_) {
    EXPECT_EQ(std::get<pmix::GroupDone>(message).context, 1U);
    EXPECT_EQ(std::get<pmix::GroupDone>(message).data, "ab");
  }
  answers_.clear();
  dvm_->OnHostRequest(kA, group);
  Tell(child, kB, RankEnds{{{4, 0, 0, false, false, false, false}}});
  EXPECT_EQ(Answer<pmix::GroupDone>()->status, pmix::kErrLostConnection);
  // One that has gone already is not waited for.
  group.members = {{Name(1), 0}, {Name(child), pmix::kRankWildcard}};
  dvm_->OnHostRequest(kA, group);
  EXPECT_EQ(Answer<pmix::GroupDone>()->status, pmix::kErrNotFound);
}

TEST_F(JobsAtHeadTest, QueriesNameAllJobs) {
  const JobNumber child = Spawn(2);
  ToRunning(child);
  dvm_->OnHostRequest(kA, pmix::Query{1, {Name(1), 0}, {"pmix.qry.ns"}, ""});
  EXPECT_EQ(Answer<pmix::QueryDone>()->name_spaces.size(), 2U);
  dvm_->OnHostRequest(kA, pmix::Query{2, {Name(1), 0}, {"pmix.qry.ptable"}, Name(child)});
  EXPECT_EQ(Answer<pmix::QueryDone>()->procs.size(), 2U);
  dvm_->OnHostRequest(kA, pmix::Query{3, {Name(1), 0}, {"pmix.qry.ptable"}, "nobody"});
  EXPECT_EQ(Answer<pmix::QueryDone>()->status, pmix::kErrNotFound);
}

TEST_F(JobsAtHeadTest, OnlyAFewSpawnedJobsAreShownInATimeline) {
  for (size_t i = 0; i < Jobs::kMostShownJobs + 3; ++i) {
    const JobNumber child = Spawn(1);
    ToRunning(child);
    EndRanks(child);
    Finish(child);
    ASSERT_TRUE(RunUntil([&] { return jobs_->Find(child) == nullptr; }));
  }
  EndRanks(1);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->phases.size(), Jobs::kMostShownJobs + 1);
  EXPECT_EQ(ended_->phases.back().note, "3 more jobs were spawned");
}

// ---- several rexlaunchs

struct Second {
  std::vector<JobStarted> started;
  std::vector<std::string> output;
  std::optional<JobEnded> ended;
  Jobs::Client Client() {
    return {[](const Notice&) {},
            [](const Progress&) {},
            [this](const JobStarted& m) { started.push_back(m); },
            [this](std::string payload) { output.push_back(std::move(payload)); },
            [](uint64_t) {},
            [this](JobEnded m) { ended = std::move(m); }};
  }
};

TEST_F(JobsAtHeadTest, EachSessionsOwnJobIsItsFirst) {
  Second second;
  Jobs other(*dvm_, second.Client());
  other.Start(Spec());
  other.OnNodes(dvm_->FreeNodes());
  ToRunning(2);
  ASSERT_EQ(second.started.size(), 1U);
  EXPECT_EQ(second.started[0].job, kFirstJob);
  other.OnOutputCredit(100);
  Tell(2, NodesOf(2)[0], PartOutput{EncodeOutput({0, OutputStream::kStdout, false, 1}, "hi")});
  ASSERT_EQ(second.output.size(), 1U);
  std::string_view bytes;
  EXPECT_EQ(DecodeOutput(second.output[0], &bytes)->job, kFirstJob);
  EXPECT_TRUE(output_.empty());
}

TEST_F(JobsAtHeadTest, AFailureEndsItsOwnSessionOnly) {
  Second second;
  Jobs other(*dvm_, second.Client());
  other.Start(Spec());
  other.OnNodes(dvm_->FreeNodes());
  ToRunning(2);
  EndRanks(2, 7);
  ASSERT_TRUE(RunUntil(
      [&] { return Count<EndPart>(2) == 0 && other.Find(2)->state() != JobState::kRunning; }));
  Finish(2);
  ASSERT_TRUE(second.ended);
  EXPECT_EQ(second.ended->exit_code, 7);
  EXPECT_EQ(jobs_->Find(1)->state(), JobState::kRunning);
  EXPECT_FALSE(ended_);
}

TEST_F(JobsAtHeadTest, SlotsOfOtherSessionsAreTaken) {
  Second second;
  Jobs other(*dvm_, second.Client());
  JobSpec spec = Spec();
  spec.apps[0].ranks = 7;
  other.Start(std::move(spec));
  other.OnNodes(dvm_->FreeNodes());
  EXPECT_FALSE(second.ended);
  const std::vector<JobNode> free = dvm_->FreeNodes();
  EXPECT_EQ(free[0].used + free[1].used, 8U);
  dvm_->OnHostRequest(kA, Request(1));
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrOutOfResource);
}

TEST_F(JobsAtHeadTest, ALostNodeEndsTheSessionsThatHaveRanksThere) {
  Second second;
  Jobs other(*dvm_, second.Client());
  JobSpec spec = Spec();
  other.Start(std::move(spec));
  other.OnNodes({{kB, "b", 4, 4, false, 0}});
  ToRunning(2);
  Failure lost;
  lost.kind = FailureKind::kNodeLost;
  lost.node = "b";
  dvm_->OnNodesLost({kB}, lost);
  ASSERT_TRUE(second.ended);
  EXPECT_EQ(second.ended->failure.node, "b");
  EXPECT_EQ(jobs_->Find(1)->state(), JobState::kRunning);
  EXPECT_TRUE(dvm_->IsLost(kB));
  EXPECT_EQ(dvm_->FreeNodes().size(), 1U);
  EXPECT_EQ(dvm_->AllNodes().size(), 2U);
}

TEST_F(JobsAtHeadTest, AJobThatWaitsForLoadsTakesNoSlotsThatOthersHaveMeanwhile) {
  SetLoad(kA, 100);
  SetLoad(kB, 100);
  Second waiting;
  Jobs waits(*dvm_, waiting.Client());
  waits.Start(Waiting(2));
  waits.OnNodes(dvm_->FreeNodes());
  EXPECT_EQ(Launch(2), nullptr);
  Second taking;
  Jobs takes(*dvm_, taking.Client());
  JobSpec spec = Spec();
  spec.apps[0].ranks = 4;
  takes.Start(std::move(spec));
  takes.OnNodes({{kB, "b", 4, 4, false, 0}});
  ToRunning(3);
  EXPECT_EQ(loads_.Of(kB).load.ranks, 4U);
  SetLoad(kB, 0);
  dvm_->OnLoads();  // light enough, and full
  EXPECT_EQ(Launch(2), nullptr);
  EXPECT_FALSE(waiting.ended);
  EndRanks(3);
  EXPECT_EQ(loads_.Of(kB).load.ranks, 0U);
  dvm_->OnLoads();
  ASSERT_NE(Launch(2), nullptr);
  EXPECT_EQ(NodesOf(2), std::vector<NodeId>{kB});
}

TEST_F(JobsAtHeadTest, AJobThatWaitsForLoadsLosesNothingWithOthersNodes) {
  SetLoad(kB, 100);
  Second waiting;
  Jobs waits(*dvm_, waiting.Client());
  waits.Start(Waiting(1));
  waits.OnNodes({{kB, "b", 4, 4, false, 0}});
  Failure lost;
  lost.kind = FailureKind::kNodeLost;
  lost.node = "a";
  dvm_->OnNodesLost({kA}, lost);
  EXPECT_TRUE(ended_);
  EXPECT_FALSE(waiting.ended);
  lost.node = "b";
  dvm_->OnNodesLost({kB}, lost);
  ASSERT_TRUE(waiting.ended);
  EXPECT_EQ(waiting.ended->failure.node, "b");
}

TEST_F(JobsAtHeadTest, NodesThatWereLetGoGetNoChildren) {
  dvm_->OnNodesReleased({kB});
  EXPECT_EQ(dvm_->FreeNodes().size(), 1U);
  dvm_->OnHostRequest(kA, Request(4));
  EXPECT_EQ(Answer<pmix::SpawnDone>()->status, pmix::kErrOutOfResource);
}

TEST_F(JobsAtHeadTest, AKilledJobSaysSo) {
  EXPECT_EQ(dvm_->OwnerOf(1), jobs_.get());
  EXPECT_FALSE(jobs_->Kill(9, 0));
  EXPECT_TRUE(jobs_->Kill(1, 10));
  EXPECT_EQ(Count<SignalPart>(1), 1U);
  EXPECT_TRUE(jobs_->Kill(1, 0));
  EndRanks(1, 0, true);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->failure.kind, FailureKind::kJobKilled);
  EXPECT_EQ(ended_->exit_code, 128 + 15);
}

TEST_F(JobsAtHeadTest, JobsAreDescribedWithTheirParents) {
  const JobNumber child = Spawn(2);
  ToRunning(child);
  std::vector<DvmJob> views;
  jobs_->Describe(&views);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].parent_job, 0U);
  EXPECT_EQ(views[1].parent_job, 1U);
  EXPECT_EQ(views[1].ranks, 2U);
  EXPECT_EQ(views[1].live, 2U);
  std::vector<DvmRank> ranks;
  jobs_->Find(child)->AddRanks(child, &ranks);
  ASSERT_EQ(ranks.size(), 2U);
  EXPECT_EQ(ranks[1].rank, 1U);
  EXPECT_EQ(ranks[1].pid, 101);
  EXPECT_TRUE(ranks[1].templated);
  EXPECT_EQ(ranks[1].state, RankState::kRunning);
}

// ---- children that are nobody's failure (librexspawn)

class IndependentJobsTest : public JobsAtHeadTest {
 protected:
  JobNumber SpawnCopies(uint32_t ranks, bool attached) {
    const auto flag = [](const char* key) {
      pmix::SpawnInfo info;
      info.key = key;
      info.type = pmix::SpawnInfo::Type::kNumber;
      info.number = 1;
      return info;
    };
    std::vector<pmix::SpawnInfo> infos = {flag("pmix.noteproc"), flag("rex.independent")};
    if (attached) infos.push_back(flag("rex.attached"));
    dvm_->OnHostRequest(kA, Request(ranks, infos));
    ToRunning(++made_);
    return made_;
  }
};

TEST_F(IndependentJobsTest, TheParentHearsOfEachEndAndNobodyElseEnds) {
  const JobNumber child = SpawnCopies(2, true);
  const NodeId node = NodesOf(child)[0];
  const Rank rank = Launch(child)->map->RanksOf(node)[0];
  Tell(child, node, RankEnds{{{rank, 7, 0, false, false, false, false}}});
  const auto event = Answer<pmix::EventRaised>();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->code, pmix::kEventProcTerminated);
  EXPECT_EQ(event->source, (pmix::ProcId{Name(child), rank}));
  EXPECT_EQ(event->targets, (std::vector<pmix::ProcId>{{Name(1), 0}}));
  ASSERT_TRUE(event->exit);
  EXPECT_EQ(event->exit->code, 7);
  EXPECT_EQ(event->exit->signo, 0);
  EXPECT_EQ(Count<StopPart>(child), 0U);  // its other rank goes on
  EXPECT_EQ(jobs_->Find(1)->state(), JobState::kRunning);
}

TEST_F(IndependentJobsTest, TheirEndsAreNotInTheCode) {
  const JobNumber child = SpawnCopies(1, true);
  EndRanks(child, 9);
  Finish(child);
  EndRanks(1);
  Finish(1);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 0);
}

TEST_F(IndependentJobsTest, AttachedOnesEndWithTheirParentOthersDoNot) {
  const JobNumber attached = SpawnCopies(1, true);
  const JobNumber detached = SpawnCopies(1, false);
  EndRanks(1);
  ASSERT_TRUE(RunUntil([&] { return Count<StopPart>(attached) > 0; }));
  EXPECT_EQ(Count<StopPart>(detached), 0U);
  EndRanks(attached, 0, true);
  Finish(attached);
  Finish(1);
  EXPECT_FALSE(ended_);
  EndRanks(detached, 3);
  Finish(detached);
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->exit_code, 0);
}

// ---- the states of a request

TEST(SpawnStates, EveryEventInEveryState) {
  const auto name = [](std::optional<SpawnState> state) {
    return state ? std::string(StateName(*state)) : "";
  };
  for (int s = 0; s < kSpawnStates; ++s) {
    for (int e = 0; e < kSpawnEvents; ++e) {
      const auto state = static_cast<SpawnState>(s);
      const auto event = static_cast<SpawnEvent>(e);
      std::string wanted;
      if (state == SpawnState::kAsked && event == SpawnEvent::kPlaced) wanted = "launching";
      if (state == SpawnState::kAsked && event == SpawnEvent::kUnfit) wanted = "refused";
      if (state == SpawnState::kLaunching && event == SpawnEvent::kAllRunning) wanted = "answered";
      if (state == SpawnState::kLaunching && event == SpawnEvent::kJobStopped) wanted = "refused";
      EXPECT_EQ(name(Next(state, event)), wanted) << StateName(state) << ", " << EventName(event);
    }
  }
}

}  // namespace
}  // namespace rex
