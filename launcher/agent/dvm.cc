#include "launcher/agent/dvm.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "launcher/base/programs.h"

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

TreeOptions OptionsOf(const DvmSpec& spec, std::string rexd, bool verbose) {
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
  options.allow_missing = spec.allow_missing;
  options.verbose = verbose;
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
      report_(loop, [this] { ReportFailure(); }) {}

Status Dvm::Start(bool verbose) {
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
    tree_ = Tree::Head(loop_, children_, OptionsOf(spec_, std::move(rexd), verbose),
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
  facts_[node] = facts;
  Resolve();
}

void Dvm::OnStartFailed(const StartFailure& failure) {
  failures_.push_back(failure);
  if (handlers_.on_each_failed) {
    handlers_.on_each_failed(failure);
  } else if (spec_.allow_missing) {
    handlers_.on_notice({Notice::Level::kWarning, LeftOutText(failure)});
  } else if (!report_.pending()) {
    report_.Set(kFailTogether);
  }
  Resolve();
}

void Dvm::Resolve() {
  if (told_ || facts_.size() + failures_.size() + 1 < numbers_.names.size()) return;
  const bool enough = handlers_.on_each_failed || (spec_.allow_missing && HasNodes(spec_, facts_));
  if (!failures_.empty() && !enough) return ReportFailure();
  told_ = true;
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
  if (!told_ && (spec_.allow_missing || handlers_.on_each_failed)) return LeaveOut(nodes, why);
  if (!told_ && !failures_.empty()) return ReportFailure();
  std::vector<std::string> names;
  for (const NodeId node : nodes) names.push_back(NameOf(node));
  told_ = true;
  handlers_.on_lost(nodes, LossOf(names, why.text));
}

std::vector<JobNode> Dvm::JobNodes(uint32_t slots) const {
  return JobNodesOf(spec_, numbers_, here_, facts_, slots);
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
