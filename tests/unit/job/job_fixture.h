// The head's Job with everything around it written down: what it commands, what rexlaunch hears.
// The test plays the parts. No process, no network; nothing waits but for the job's own timers,
// whose bounds are a millisecond here.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launcher/job/job.h"
#include "sched/placement/load_table.h"

namespace rex {

class JobFixture : public ::testing::Test {
 protected:
  using Milliseconds = std::chrono::milliseconds;
  struct Sent {
    std::optional<NodeId> to;  // none: all
    PartCommand command;
  };

  static NodeId Node(uint32_t i) { return NodeId{i + 1}; }
  static constexpr uint32_t kPerNode = 2;

  // `nodes` nodes with ids from 1 on, two ranks each: ranks 0 and 1 on the first.
  void Make(uint32_t nodes, JobSpec spec = Spec()) {
    nodes_ = nodes;
    spec.apps[0].ranks = nodes * kPerNode;
    job_ = std::make_unique<Job>(Services(), std::move(spec), Client(), kBounds);
    job_->Start();
  }
  void Place() {
    std::vector<JobNode> nodes;
    for (uint32_t i = 0; i < nodes_; ++i) {
      nodes.push_back({Node(i), "n" + std::to_string(i), 4, kPerNode, false, 0});
      nodes.back().hardware = hardware_;
    }
    job_->OnNodes(nodes, nodes_ + 1);
  }
  std::shared_ptr<const Hardware> hardware_;  // of every node; null: not known to the head
  static JobSpec Spec() {
    JobSpec spec;
    AppSpec app;
    app.argv = {"./app"};
    spec.apps.push_back(app);
    spec.cwd = "/";
    spec.grace = Milliseconds(0);
    return spec;
  }

  void Tell(uint32_t node, PartEvent event) {
    const Status taken = job_->OnPart(Node(node), std::move(event));
    EXPECT_TRUE(taken.has_value()) << taken.error().text;
  }
  void TellAll(const PartEvent& event) {
    for (uint32_t i = 0; i < nodes_; ++i) Tell(i, event);
  }
  void Born(uint32_t node) {
    const int64_t pid = 100 * (node + 1);
    Tell(node, PartBorn{0, {pid, pid + 1}, {true, true}});
  }
  void ToRunning() {
    Place();
    for (uint32_t i = 0; i < nodes_; ++i) {
      Planned(i);
      Tell(i, PartReady{});
      Born(i);
    }
    TellAll(PartRunning{});
    ASSERT_EQ(job_->state(), JobState::kRunning);
  }
  void Planned(uint32_t node) {
    const auto launch = Last<LaunchPart>();
    ASSERT_TRUE(launch);
    Tell(node, PartPlanned{launch->map->Digest(), "", ""});
  }
  // Brings a new job of `nodes` nodes to a state.
  void To(JobState state, uint32_t nodes) {
    Make(nodes);
    if (state == JobState::kPlanned) return;
    Place();
    if (state == JobState::kLaunching) return;
    TellAll(PartReady{});
    for (uint32_t i = 0; i < nodes; ++i) Born(i);
    if (state == JobState::kReleasing) return;
    TellAll(PartRunning{});
    if (state == JobState::kRunning) return;
    if (state == JobState::kStopping) return job_->OnEndJob(2);
    EndAll();
    if (state == JobState::kDraining) return;
    TellAll(PartDrained{});
    if (state == JobState::kEnding) return;
    TellAll(PartEnded{});
  }
  void End(Rank rank, int code, int signo = 0, bool consequence = false) {
    Tell(rank / kPerNode, RankEnds{{{rank, code, signo, false, false, false, consequence}}});
  }
  void EndAll(bool consequence = false) {
    for (Rank rank = 0; rank < nodes_ * kPerNode; ++rank) End(rank, 0, 0, consequence);
  }
  // The parts' way from Stop to the end.
  void Finish() {
    if (job_->state() == JobState::kDone) return;
    EndAll(true);
    TellAll(PartDrained{});
    TellAll(PartEnded{});
  }
  // Runs the loop until `condition` holds; the job's timers are due within milliseconds.
  template <typename F>
  ::testing::AssertionResult RunUntil(F condition) {
    bool over = false;
    Timer bound(loop_, [&] { over = true; });
    bound.Set(std::chrono::seconds(20));
    while (!condition() && !over) loop_.RunOnce();
    return over ? ::testing::AssertionFailure() << "20 s were not enough"
                : ::testing::AssertionSuccess();
  }
  ::testing::AssertionResult RunTo(JobState state) {
    return RunUntil([&] { return job_->state() == state; });
  }

  template <typename T>
  size_t Count() const {
    return static_cast<size_t>(std::count_if(sent_.begin(), sent_.end(), [](const Sent& s) {
      return std::holds_alternative<T>(s.command);
    }));
  }
  template <typename T>
  std::optional<T> Last() const {
    for (auto it = sent_.rbegin(); it != sent_.rend(); ++it) {
      if (const T* command = std::get_if<T>(&it->command)) return *command;
    }
    return std::nullopt;
  }
  // To which nodes T went.
  template <typename T>
  std::vector<NodeId> Receivers() const {
    std::vector<NodeId> nodes;
    for (const Sent& s : sent_) {
      if (s.to && std::holds_alternative<T>(s.command)) nodes.push_back(*s.to);
    }
    return nodes;
  }
  static Failure NodeLost(const std::string& name) {
    Failure failure;
    failure.kind = FailureKind::kNodeLost;
    failure.node = name;
    return failure;
  }
  void Lose(uint32_t node) {
    job_->OnNodesLost({Node(node)}, NodeLost("n" + std::to_string(node)));
  }
  int ExitCode() const { return ended_ ? ended_->exit_code : -1; }

  EventLoop loop_;
  uint32_t nodes_ = 0;
  std::unique_ptr<Job> job_;
  std::vector<Sent> sent_;
  std::vector<Notice> notices_;
  std::vector<JobStarted> started_;
  std::vector<std::string> output_;
  std::vector<std::string> missing_nodes_;
  std::pair<uint32_t, uint32_t> answered_;
  std::vector<Progress> progress_;
  LoadTable loads_;
  uint64_t stdin_credit_ = 0;
  std::optional<JobEnded> ended_;
  int ends_ = 0;

 private:
  static constexpr JobBounds kBounds{Milliseconds(1), Milliseconds(1), Milliseconds(1),
                                     Milliseconds(1), Milliseconds(1)};
  JobServices Services() {
    return {loop_,
            [this](NodeId node, PartCommand m) {
              sent_.push_back({node, std::move(m)});
            },
            [this](PartCommand m) {
              sent_.push_back({std::nullopt, std::move(m)});
            },
            [this] { return missing_nodes_; },
            [this] { return answered_; },
            [](NodeId node) { return std::chrono::microseconds(Index(node) * 1000); },
            {},
            [this](std::vector<JobNode>* nodes) {
              for (JobNode& node : *nodes) {
                if (loads_.Knows(node.id)) node.load = loads_.Of(node.id).load;
              }
            },
            [this](NodeId node, int64_t threads) { loads_.AddRanks(node, threads); }};
  }
  JobClient Client() {
    return {[this](const Notice& m) { notices_.push_back(m); },
            [this](const Progress& m) { progress_.push_back(m); },
            [this](const JobStarted& m) { started_.push_back(m); },
            [this](std::string payload) { output_.push_back(std::move(payload)); },
            [this](uint64_t bytes) { stdin_credit_ += bytes; },
            [this](const JobEnded& m) {
              ended_ = m;
              ++ends_;
            }};
  }
};

}  // namespace rex
