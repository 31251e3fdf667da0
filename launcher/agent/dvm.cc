#include "launcher/agent/dvm.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "launcher/agent/load_news.h"
#include "launcher/base/programs.h"
#include "launcher/base/text.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kFailTogether{300};
constexpr std::chrono::milliseconds kCleanUpBound{2000};  // for the nodes to clean up
constexpr std::chrono::milliseconds kBreakOffBound{300};  // for those that had come to end in order

bool IsInPath(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (::access((directory + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// Where there is no srun, in a container of the job's, ssh is tried, as mpirun does.
BootstrapKind KindOf(Bootstrap bootstrap) {
  switch (bootstrap) {
    case Bootstrap::kVirtual:
      return BootstrapKind::kVirtual;
    case Bootstrap::kSlurm:
      return IsInPath("srun") ? BootstrapKind::kSlurm : BootstrapKind::kSsh;
    default:
      return BootstrapKind::kSsh;
  }
}

TreeOptions OptionsOf(const DvmSpec& spec, std::string rexd, const Dvm::StartOptions& asked) {
  TreeOptions options;
  options.kind = KindOf(spec.bootstrap);
  options.shape = spec.tree == TreeRequest::kFlat       ? TreeShape::kFlat
                  : spec.tree == TreeRequest::kTwoLevel ? TreeShape::kTwoLevel
                                                        : TreeShape::kAuto;
  if (!spec.ssh.empty()) options.ssh = spec.ssh;
  options.rexd = std::move(rexd);
  options.ship = spec.ship == ShipRequest::kAlways  ? ShipMode::kAlways
                 : spec.ship == ShipRequest::kNever ? ShipMode::kNever
                                                    : ShipMode::kAuto;
  options.start_timeout = spec.start_timeout;
  options.node_timeout = spec.node_timeout;
  options.max_message_bytes = spec.max_modex_bytes + kMaxExchangeHeaderBytes;
  options.allow_missing = spec.allow_missing || spec.pool;
  options.looks = asked.looks;
  options.verbose = asked.verbose;
  const char* level = std::getenv("REX_LOG");
  if (level != nullptr) options.log_level = level;
  return options;
}

}  // namespace

Dvm::Dvm(EventLoop& loop, ChildTable& children, const DvmSpec& spec, JobNode here,
         Handlers handlers)
    : loop_(loop),
      children_(children),
      spec_(spec),
      here_(std::move(here)),
      handlers_(std::move(handlers)),
      numbers_(NumberNodes(spec_, here_.name)),
      report_(loop, [this] { ReportFailure(); }),
      stragglers_(loop, [this] { GiveUpStragglers(); }),
      loads_timer_(loop, [this] { TellLoads(); }) {}

Status Dvm::Start(const StartOptions& options) {
  const auto here = [](const NodeRequest& node) { return node.here; };
  const bool is_used =
      spec_.nodes.empty() || std::any_of(spec_.nodes.begin(), spec_.nodes.end(), here);
  awaits_own_load_ = options.looks != LoadLooks::kNever && is_used;
  if (spec_.pool) wanted_slots_ = options.wanted_slots;
  begin_ = loop_.clock().Now();
  std::vector<NodeSpec> nodes;
  for (size_t i = 0; i < numbers_.ids.size(); ++i) {
    const NodeRequest& node = spec_.nodes[i];
    if (node.here) continue;
    nodes.push_back({numbers_.ids[i], node.name, node.user, static_cast<uint16_t>(node.port)});
  }
  if (!nodes.empty()) {
    std::string rexd = spec_.rexd;
    if (rexd.empty()) {
      auto own = FindLibexecProgram("rexd");
      if (!own) return own.error();
      rexd = *std::move(own);
    }
    tree_ = Tree::Head(loop_, children_, OptionsOf(spec_, std::move(rexd), options),
                       numbers_.names[0], std::move(nodes), TreeHandlers());
  }
  loop_.Post([this] { Resolve(); });
  return Ok{};
}

Tree::Handlers Dvm::TreeHandlers() {
  Tree::Handlers handlers;
  handlers.on_message = [this](NodeId from, uint8_t kind, FrameClass, std::string payload) {
    handlers_.on_message(from, kind, std::move(payload));
  };
  handlers.on_uplink_message = [this](NodeId child, uint8_t kind, std::string payload) {
    return handlers_.on_uplink_message(child, kind, std::move(payload));
  };
  handlers.on_lost = [this](const std::vector<NodeId>& nodes, const Error& why) {
    OnLost(nodes, why);
  };
  handlers.on_notice = [this](const std::string& text) {
    handlers_.on_notice({Notice::Level::kInfo, text});
  };
  handlers.on_node_ready = [this](NodeId node, const AgentFacts& facts) {
    OnNodeReady(node, facts);
  };
  handlers.on_start_failed = [this](const StartFailure& failure) { OnStartFailed(failure); };
  handlers.on_late = [this](NodeId node, bool late) {
    handlers_.on_notice({late ? Notice::Level::kInfo : Notice::Level::kDetail,
                         "node " + NameOf(node) +
                             (late ? " has said nothing for 15 s; it counts as lost after " +
                                         std::to_string(spec_.node_timeout.count()) + " s"
                                   : " is heard again")});
  };
  return handlers;
}

void Dvm::OnNodeReady(NodeId node, const AgentFacts& facts) {
  if (gave_up_) {  // too late
    if (tree_) tree_->Release({node});
    return;
  }
  facts_[node] = facts;
  if (facts.capacity > 0) TakeLoad(node, facts.foreign, facts.capacity);
  CountSlots(node, facts);
  Resolve();
}

// Of nodes that nobody named those that come soon are enough.
void Dvm::CountSlots(NodeId node, const AgentFacts& facts) {
  if (wanted_slots_ == 0) return;
  const auto at = std::find(numbers_.ids.begin(), numbers_.ids.end(), node) - numbers_.ids.begin();
  const uint32_t named = spec_.nodes[static_cast<size_t>(at)].slots;
  ready_slots_ += named > 0 ? named : facts.cores;
  if (ready_slots_ < wanted_slots_ || stragglers_.pending()) return;
  const auto took = loop_.clock().Now() - begin_;
  stragglers_.Set(std::max<Clock::Time>(took, kStragglersLeast));
}

void Dvm::GiveUpStragglers() {
  if (told_ || awaits_own_load_) return;
  gave_up_ = true;
  handlers_.on_notice(
      {Notice::Level::kWarning,
       "left out, as they do not come and the others are enough: " + Listed(MissingNodes())});
  told_ = true;
  ready_at_ = loop_.clock().Now();
  handlers_.on_ready();
}

// ---- loads

void Dvm::OnOwnLoad(const FoundLoad& found) {
  TakeLoad(kHeadNode, found.foreign, found.capacity);
  if (!std::exchange(awaits_own_load_, false)) return;
  Resolve();
}

Status Dvm::OnLoadNews(NodeId child, const std::string& payload) {
  const auto news = DecodeLoadNews(payload);
  if (!news) return news.error();
  if (!tree_) return Ok{};
  const std::vector<NodeId>& below = tree_->below(child);
  for (const LoadNews& one : *news) {
    const bool known =
        one.node == child || std::find(below.begin(), below.end(), one.node) != below.end();
    if (known && facts_.contains(one.node)) TakeLoad(one.node, one.foreign, one.capacity);
  }
  return Ok{};
}

void Dvm::TakeLoad(NodeId node, uint32_t foreign, uint32_t capacity) {
  if (loads_.OnTold(node, foreign, capacity, loop_.clock().Now())) TellLoads();
}

// Told in another turn: who tells of it is in the middle of a job's end.
void Dvm::AddRanks(NodeId node, int64_t threads) {
  loads_.AddRanks(node, threads);
  if (threads >= 0 || !told_ || !handlers_.on_loads || loads_timer_.pending()) return;
  loads_timer_.Set(std::max(LoadsDue() - loop_.clock().Now(), Clock::Time(0)));
}

// At once, or when the last time is kLoadsPause ago.
void Dvm::TellLoads() {
  if (!told_ || !handlers_.on_loads || loads_timer_.pending()) return;
  const Clock::Time now = loop_.clock().Now();
  if (const Clock::Time due = LoadsDue(); due > now) return loads_timer_.Set(due - now);
  loads_told_ = now;
  handlers_.on_loads();
}

std::vector<NodeId> Dvm::KeepOnly(const std::vector<NodeId>& used) {
  if (!tree_ || !spec_.pool) return {};
  std::vector<NodeId> unused;
  const std::set<NodeId> kept(used.begin(), used.end());
  for (const NodeId child : tree_->children()) {
    const std::vector<NodeId>& below = tree_->below(child);
    const bool keeps =
        kept.contains(child) ||
        std::any_of(below.begin(), below.end(), [&](NodeId node) { return kept.contains(node); });
    if (!keeps) unused.push_back(child);
  }
  std::vector<NodeId> released = tree_->Release(unused);
  for (const NodeId node : released) {
    facts_.erase(node);
    loads_.Forget(node);
  }
  return released;
}

void Dvm::OnStartFailed(const StartFailure& failure) {
  if (gave_up_) return;
  failures_.push_back(failure);
  if (handlers_.on_each_failed) {
    handlers_.on_each_failed(failure);
  } else if (spec_.allow_missing || spec_.pool) {
    handlers_.on_notice({Notice::Level::kWarning, LeftOutText(failure)});
  } else if (!report_.pending()) {
    report_.Set(kFailTogether);
  }
  Resolve();
}

void Dvm::Resolve() {
  if (told_ || facts_.size() + failures_.size() + 1 < numbers_.names.size()) return;
  if (awaits_own_load_) return;
  const bool some = (spec_.allow_missing || spec_.pool) && HasNodes(spec_, facts_);
  const bool enough = handlers_.on_each_failed || some;
  if (!failures_.empty() && !enough) return ReportFailure();
  told_ = true;
  stragglers_.Cancel();
  ready_at_ = loop_.clock().Now();
  handlers_.on_ready();
}

void Dvm::ReportFailure() {
  if (told_) return;
  told_ = true;
  report_.Cancel();
  handlers_.on_failed(StartFailureOf(failures_));
}

void Dvm::OnLost(const std::vector<NodeId>& nodes, const Error& why) {
  // What one node's failed start takes along (srun ends them all) is not what is to be told.
  for (const NodeId node : nodes) loads_.Forget(node);
  const bool may_go = spec_.allow_missing || spec_.pool || handlers_.on_each_failed;
  if (!told_ && may_go) return LeaveOut(nodes, why);
  if (!told_ && !failures_.empty()) return ReportFailure();
  std::vector<std::string> names;
  for (const NodeId node : nodes) names.push_back(NameOf(node));
  told_ = true;
  handlers_.on_lost(nodes, LossOf(names, why.text));
}

std::vector<JobNode> Dvm::JobNodes(uint32_t slots) const {
  std::vector<JobNode> nodes = JobNodesOf(spec_, numbers_, here_, facts_, slots);
  FillLoads(loads_, loop_.clock().Now(), &nodes);
  return nodes;
}

std::vector<std::string> Dvm::MissingNodes() const {
  std::vector<std::string> names;
  for (uint32_t id = 1; id < size(); ++id) {
    const bool failed = std::any_of(failures_.begin(), failures_.end(),
                                    [&](auto& f) { return f.node == NodeId{id}; });
    if (failed || facts_.contains(NodeId{id})) continue;
    const std::string awaited = tree_ ? tree_->AwaitedOf(NodeId{id}) : "";
    names.push_back(NameOf(NodeId{id}) + (awaited.empty() ? "" : " (" + awaited + ")"));
  }
  return names;
}

std::pair<uint32_t, uint32_t> Dvm::Answered() const {
  return {static_cast<uint32_t>(facts_.size()), size() - 1};
}

// Nodes that were ready and are gone before the others were.
void Dvm::LeaveOut(const std::vector<NodeId>& nodes, const Error& why) {
  for (const NodeId node : nodes) {
    if (facts_.erase(node) == 0) continue;
    StartFailure failure;
    failure.node = node;
    failure.name = NameOf(node);
    failure.phase = "lost";
    failure.cause = why.text;
    OnStartFailed(failure);
  }
}

void Dvm::Send(NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
  if (tree_) tree_->Send(to, kind, frame_class, std::move(payload));
}

void Dvm::Broadcast(uint8_t kind, FrameClass frame_class, const std::string& payload) {
  if (tree_) tree_->Broadcast(kind, frame_class, payload);
}

ExchangePort Dvm::Port() const {
  ExchangePort port;
  Tree* tree = tree_.get();
  port.children = [tree] { return tree != nullptr ? tree->children() : std::vector<NodeId>{}; };
  port.below = [tree](NodeId child) -> const std::vector<NodeId>& {
    REX_CHECK(tree != nullptr);
    return tree->below(child);
  };
  port.send = [tree](NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
    if (tree != nullptr) tree->Send(to, kind, frame_class, std::move(payload));
  };
  port.has_uplink = [tree](NodeId child) { return tree != nullptr && tree->HasUplink(child); };
  port.send_by_uplink = [tree](NodeId child, uint8_t kind, std::string payload) {
    tree->SendByUplink(child, kind, std::move(payload));
  };
  return port;
}

ImagePort Dvm::MakeImagePort() const {
  REX_CHECK(tree_ != nullptr);
  return ImagePortOf(*tree_);
}

std::chrono::microseconds Dvm::OffsetTo(NodeId node) const {
  if (!tree_ || node == kHeadNode) return std::chrono::microseconds(0);
  const auto offset = tree_->OffsetTo(node);
  return offset ? offset->offset : std::chrono::microseconds(0);
}

std::optional<ClockOffset> Dvm::ClockOf(NodeId node) const {
  return tree_ && node != kHeadNode ? tree_->OffsetTo(node) : std::nullopt;
}

std::optional<Phase> Dvm::StartPhase() const {
  if (!tree_ || ready_at_.count() == 0) return std::nullopt;
  return Phase{"nodes",           begin_,  ready_at_,
               numbers_.names[0], "agent", std::to_string(numbers_.names.size() - 1) + " started"};
}

std::optional<Phase> Dvm::LinksPhase() const {
  if (!tree_) return std::nullopt;
  const Tree::Traffic& t = tree_->traffic();
  const auto text = [](uint64_t messages, uint64_t bytes) {
    return std::to_string(messages) + " messages (" + std::to_string(bytes) + " bytes)";
  };
  return Phase{"links",
               begin_,
               loop_.clock().Now(),
               numbers_.names[0],
               "agent",
               text(t.messages_sent, t.bytes_sent) + " sent, " +
                   text(t.messages_received, t.bytes_received) + " received"};
}

void Dvm::Close() {
  const bool was_ready = ready_at_.count() > 0;
  if (tree_) tree_->Close(was_ready ? kCleanUpBound : kBreakOffBound);
}

}  // namespace rex
