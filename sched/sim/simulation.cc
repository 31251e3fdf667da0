#include "sched/sim/simulation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "launcher/base/check.h"
#include "sched/gossip/gossip_table.h"

namespace rex {

namespace {

constexpr double kTick = 0.01;        // seconds
constexpr uint32_t kRoundTicks = 10;  // between two messages on a link
constexpr size_t kFlatNodes = 64;     // the tree is flat up to so many, as rex's
// Tables of all nodes are too large for thousands of them: they keep the lightest, and forget soon,
// as a node that is too heavy to be passed on is not heard of where it is believed to be light.
constexpr uint32_t kWholeTables = 1000;
constexpr size_t kGossipEntries = 256;
constexpr uint32_t kOldRounds = 300;
constexpr uint32_t kLimitedOldRounds = 30;
constexpr uint32_t kSettleTicks = 200;  // nodes hear of each other before the first job
constexpr uint32_t kForeignMeanTicks = 500;

// What is told of a node.
struct SimLoad {
  uint32_t threads = 0;
  uint32_t tick = 0;    // when it was so
  uint64_t change = 0;  // the node's count of changes then
};
struct FewerThreads {
  bool operator()(const SimLoad& a, const SimLoad& b) const { return a.threads < b.threads; }
};
using Table = GossipTable<SimLoad, FewerThreads>;

// Not the standard library's distributions, which may differ from one to the next.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double Unit() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(Unit() * n); }
  double Exponential(double mean) { return -mean * std::log(Unit()); }

 private:
  std::mt19937_64 engine_;
};

// Threads that share a node's cores evenly. Time is counted in what each of them has got.
class SimNode {
 public:
  struct Rank {
    double end;  // in a thread's own time
    double cpu;
    double began;
    bool operator>(const Rank& other) const { return end > other.end; }
  };
  uint32_t threads() const { return static_cast<uint32_t>(ranks_.size()) + foreign_; }
  uint64_t change() const { return change_; }
  void Add(double cpu, double now) {
    ranks_.push({own_time_ + cpu, cpu, now});
    ++change_;
  }
  void SetForeign(uint32_t threads) {
    foreign_ = threads;
    ++change_;
  }
  uint32_t foreign() const { return foreign_; }
  template <typename OnEnd>
  void Run(uint32_t cores, OnEnd on_end) {
    const double share = threads() <= cores ? 1 : static_cast<double>(cores) / threads();
    own_time_ += kTick * share;
    while (!ranks_.empty() && ranks_.top().end <= own_time_) {
      on_end(ranks_.top());
      ranks_.pop();
      ++change_;
    }
  }

 private:
  double own_time_ = 0;
  uint32_t foreign_ = 0;
  uint64_t change_ = 0;
  std::priority_queue<Rank, std::vector<Rank>, std::greater<>> ranks_;
};

class Simulation {
 public:
  explicit Simulation(const SimOptions& options)
      : options_(options),
        random_(options.seed),
        nodes_(options.nodes),
        parent_(options.nodes, 0),
        counts_(options.nodes, 0),
        next_(options.nodes),
        ticks_(kSettleTicks + static_cast<uint32_t>(options.seconds / kTick)),
        warm_(kSettleTicks + (ticks_ - kSettleTicks) / 5) {
    REX_CHECK(options.nodes >= 2 && options.cores >= 1);
    MakeTree();
    if (options.chooser == Chooser::kCentral) MakeView();
    if (options.chooser == Chooser::kGossip) MakeTables();
    for (uint32_t i = 0; i < options.nodes; ++i) next_[i] = random_.Below(options.nodes);
  }

  SimResult Run() {
    for (tick_ = 0; tick_ < ticks_; ++tick_) {
      ToggleForeign();
      for (uint32_t i = 0; i < nodes_.size(); ++i) {
        nodes_[i].Run(options_.cores, [this](const SimNode::Rank& rank) { OnEnd(rank); });
      }
      if (tick_ % kRoundTicks == 0) Tell();
      if (tick_ >= kSettleTicks) Arrive();
      if (tick_ >= warm_ && tick_ % kRoundTicks == 0) Sample();
    }
    return Summed();
  }

 private:
  double Now() const { return tick_ * kTick; }
  bool measures() const { return tick_ >= warm_; }

  // Node 0 is the head.
  void MakeTree() {
    const size_t others = nodes_.size() - 1;
    if (others <= kFlatNodes) return;
    const auto children = static_cast<uint32_t>(std::ceil(std::sqrt(static_cast<double>(others))));
    for (uint32_t i = children + 1; i < nodes_.size(); ++i) parent_[i] = 1 + (i - 1) % children;
  }

  void Count(uint32_t a, uint32_t b) {
    if (!measures()) return;
    ++messages_;
    ++counts_[a];
    ++counts_[b];
  }

  // ---- jobs

  void ToggleForeign() {
    const auto some = static_cast<uint32_t>(options_.foreign_share * nodes_.size() + 0.5);
    for (uint32_t i = 0; i < some; ++i) {
      SimNode& node = nodes_[(uint64_t{i} * nodes_.size()) / std::max(some, 1U)];
      if (random_.Below(kForeignMeanTicks) != 0) continue;
      node.SetForeign(node.foreign() == 0 ? std::max(options_.cores / 2, 1U) : 0);
    }
  }

  void Arrive() {
    const double cores = static_cast<double>(nodes_.size()) * options_.cores;
    const double ranks_a_job = std::max(1.0, cores * options_.job_share);
    const double jobs_a_second = cores * options_.load / options_.rank_seconds / ranks_a_job;
    until_next_ -= kTick;
    while (until_next_ <= 0) {
      until_next_ += random_.Exponential(1 / jobs_a_second);
      const auto ranks = static_cast<uint32_t>(1 + random_.Exponential(ranks_a_job - 1 + 1e-9));
      const uint32_t at = random_.Below(static_cast<uint32_t>(nodes_.size()));
      for (uint32_t i = 0; i < ranks; ++i) Start(at);
    }
  }

  void Start(uint32_t at) {
    const uint32_t node = Choose(at);
    nodes_[node].Add(random_.Exponential(options_.rank_seconds), Now());
  }

  void OnEnd(const SimNode::Rank& rank) {
    if (!measures()) return;
    slowdown_ += (Now() + kTick - rank.began) / std::max(rank.cpu, kTick);
    ++ended_;
  }

  uint32_t Choose(uint32_t at) {
    const auto all = static_cast<uint32_t>(nodes_.size());
    switch (options_.chooser) {
      case Chooser::kCentral:
        return ChooseCentral();
      case Chooser::kGossip:
        return ChooseKnown(at);
      case Chooser::kRandom:
        return random_.Below(all);
      case Chooser::kRoundRobin:
        return next_[at]++ % all;
      case Chooser::kTwoChoices:
        return ChooseOfTwo(at);
    }
    return 0;
  }

  void Believed(uint32_t node, const SimLoad& load) {
    if (!measures()) return;
    ++decisions_;
    if (load.change != nodes_[node].change()) stale_ += Now() - load.tick * kTick;
  }

  // ---- central: the head counts what it places at once; the rest comes up the tree

  void MakeView() {
    view_.resize(nodes_.size());
    told_.resize(nodes_.size());
    for (uint32_t i = 0; i < nodes_.size(); ++i) lightest_.insert({0, i});
  }

  void SetView(uint32_t node, const SimLoad& load) {
    lightest_.erase({view_[node].threads, node});
    view_[node] = load;
    lightest_.insert({load.threads, node});
  }

  uint32_t ChooseCentral() {
    const uint32_t node = lightest_.begin()->second;
    SimLoad load = view_[node];
    Believed(node, load);
    ++load.threads;
    ++load.change;
    SetView(node, load);
    return node;
  }

  // News takes a round for each link. In a round a link carries a message if the node at its lower
  // end has changed, and one more if that passes something on: an agent would make one of them.
  void TellCentral() {
    std::vector<bool> passes(nodes_.size(), false);
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (parent_[i] != 0 && told_[i].change > view_[i].change) {
        SetView(i, told_[i]);
        passes[parent_[i]] = true;
      }
      const SimLoad now{nodes_[i].threads(), tick_, nodes_[i].change()};
      if (now.change == told_[i].change) continue;
      told_[i] = now;
      if (i != 0 && (parent_[i] != 0 || now.change != view_[i].change)) Count(i, parent_[i]);
      if (parent_[i] == 0) SetView(i, now);
    }
    for (uint32_t i = 1; i < nodes_.size(); ++i) {
      if (passes[i]) Count(i, 0);
    }
  }

  // ---- gossip

  void MakeTables() {
    GossipLimits limits;
    if (nodes_.size() > kWholeTables) {
      limits.entries = kGossipEntries;
      old_rounds_ = kLimitedOldRounds;
    }
    limits.old_rounds = old_rounds_;
    for (uint32_t i = 0; i < nodes_.size(); ++i) tables_.emplace_back(NodeId{i}, limits);
    for (uint32_t i = 1; i < nodes_.size(); ++i) {
      tables_[i].AddPeer(NodeId{parent_[i]});
      tables_[parent_[i]].AddPeer(NodeId{i});
    }
  }

  void TellGossip() {
    const uint32_t round = tick_ / kRoundTicks;
    struct Message {
      uint32_t from;
      uint32_t to;
      std::vector<Table::Entry> news;
    };
    std::vector<Message> sent;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      Table& table = tables_[i];
      table.BeginRound();
      const bool changed = table.Find(NodeId{i})->load.change != nodes_[i].change();
      const bool refresh = (round + i) % (old_rounds_ / 3) == 0;
      if (round == 0 || changed || refresh) {
        table.SetOwn({nodes_[i].threads(), tick_, nodes_[i].change()});
      }
      for (const NodeId peer : table.NextPeers()) {
        auto news = table.NewsFor(peer);
        if (!news.empty()) sent.push_back({i, Index(peer), std::move(news)});
      }
    }
    for (const Message& message : sent) {
      Count(message.from, message.to);
      tables_[message.to].Merge(NodeId{message.from}, message.news);
    }
  }

  uint32_t ChooseKnown(uint32_t at) {
    Table& table = tables_[at];
    if (chooser_of_ != at || chooser_tick_ != tick_) FillHeap(at);
    Candidate best = candidates_.top();
    candidates_.pop();
    Believed(best.node, best.load);
    ++best.load.threads;
    ++best.load.change;
    table.Guess(NodeId{best.node}, best.load);
    candidates_.push(best);
    return best.node;
  }

  struct Candidate {
    SimLoad load;
    uint32_t order;  // so that not all who know the same choose the same
    uint32_t node;
    bool operator>(const Candidate& o) const {
      return std::tie(load.threads, order) > std::tie(o.load.threads, o.order);
    }
  };

  void FillHeap(uint32_t at) {
    chooser_of_ = at;
    chooser_tick_ = tick_;
    candidates_ = {};
    for (const Table::Entry& entry : tables_[at].Entries()) {
      SimLoad load = entry.load;
      if (Index(entry.node) == at) load = {nodes_[at].threads(), tick_, nodes_[at].change()};
      candidates_.push({load, random_.Below(1 << 30), Index(entry.node)});
    }
  }

  // ---- two choices: asked and answered at the moment

  uint32_t ChooseOfTwo(uint32_t at) {
    const auto all = static_cast<uint32_t>(nodes_.size());
    const uint32_t a = random_.Below(all);
    const uint32_t b = random_.Below(all);
    for (const uint32_t asked : {a, b}) {
      if (asked == at) continue;
      Count(at, asked);
      Count(asked, at);
    }
    const uint32_t node = nodes_[b].threads() < nodes_[a].threads() ? b : a;
    Believed(node, {nodes_[node].threads(), tick_, nodes_[node].change()});
    return node;
  }

  void Tell() {
    if (options_.chooser == Chooser::kCentral) TellCentral();
    if (options_.chooser == Chooser::kGossip) TellGossip();
  }

  // ---- results

  void Sample() {
    uint64_t sum = 0;
    uint32_t most = 0;
    for (const SimNode& node : nodes_) {
      sum += node.threads();
      most = std::max(most, node.threads());
    }
    if (sum == 0) return;
    imbalance_ += static_cast<double>(most) * nodes_.size() / static_cast<double>(sum);
    ++samples_;
  }

  SimResult Summed() const {
    const double seconds = (ticks_ - warm_) * kTick;
    SimResult result;
    result.imbalance = imbalance_ / static_cast<double>(std::max<uint64_t>(samples_, 1));
    result.knows = decisions_ > 0;
    result.staleness = stale_ / static_cast<double>(std::max<uint64_t>(decisions_, 1));
    result.messages = static_cast<double>(messages_) / seconds;
    result.busiest =
        static_cast<double>(*std::max_element(counts_.begin(), counts_.end())) / seconds;
    result.slowdown = slowdown_ / static_cast<double>(std::max<uint64_t>(ended_, 1));
    result.ranks = ended_;
    return result;
  }

  const SimOptions options_;
  Random random_;
  std::vector<SimNode> nodes_;
  std::vector<uint32_t> parent_;
  std::vector<uint64_t> counts_;  // messages to and from each node
  std::vector<uint32_t> next_;    // round robin: each node counts for itself
  const uint32_t ticks_;
  const uint32_t warm_;
  uint32_t tick_ = 0;
  double until_next_ = 0;

  std::vector<SimLoad> view_;  // central: the head's
  std::vector<SimLoad> told_;  // and what each node has sent
  std::set<std::pair<uint32_t, uint32_t>> lightest_;

  std::vector<Table> tables_;  // gossip
  uint32_t old_rounds_ = kOldRounds;
  uint32_t chooser_of_ = UINT32_MAX;
  uint32_t chooser_tick_ = 0;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates_;

  uint64_t messages_ = 0;
  double imbalance_ = 0;
  uint64_t samples_ = 0;
  double stale_ = 0;
  uint64_t decisions_ = 0;
  double slowdown_ = 0;
  uint64_t ended_ = 0;
};

}  // namespace

std::string_view ChooserName(Chooser chooser) {
  switch (chooser) {
    case Chooser::kCentral:
      return "central";
    case Chooser::kGossip:
      return "gossip";
    case Chooser::kRandom:
      return "random";
    case Chooser::kRoundRobin:
      return "round robin";
    case Chooser::kTwoChoices:
      return "two choices";
  }
  return "";
}

SimResult Simulate(const SimOptions& options) { return Simulation(options).Run(); }

}  // namespace rex
