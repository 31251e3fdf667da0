#include "launcher/agent/dvm.h"

#include <algorithm>
#include <cstdlib>

#include "launcher/base/programs.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kFailTogether{300};
constexpr std::chrono::milliseconds kCleanUpBound{2000};  // for the nodes to clean up
constexpr std::chrono::milliseconds kBreakOffBound{300};  // for those that had come to end in order
constexpr size_t kMostNamed = 8;                          // nodes in one line

TreeOptions OptionsOf(const DvmSpec& spec, std::string rexd, bool verbose) {
  TreeOptions options;
  options.kind =
      spec.bootstrap == Bootstrap::kVirtual ? BootstrapKind::kVirtual : BootstrapKind::kSsh;
  options.shape = spec.tree == TreeRequest::kFlat       ? TreeShape::kFlat
                  : spec.tree == TreeRequest::kTwoLevel ? TreeShape::kTwoLevel
                                                        : TreeShape::kAuto;
  if (!spec.ssh.empty()) options.ssh = spec.ssh;
  options.rexd = std::move(rexd);
  options.start_timeout = spec.start_timeout;
  options.node_timeout = spec.node_timeout;
  options.max_message_bytes = spec.max_modex_bytes + kMaxExchangeHeaderBytes;
  options.verbose = verbose;
  const char* level = std::getenv("REX_LOG");
  if (level != nullptr) options.log_level = level;
  return options;
}

// "n3, n4 and 7 more"
std::string NamesOf(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMostNamed; ++i)
    text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kMostNamed) {
    text += " and " + std::to_string(names.size() - kMostNamed) + " more";
  }
  return text;
}
}  // namespace

Dvm::Dvm(EventLoop& loop, ChildTable& children, const DvmSpec& spec, JobNode here,
         Handlers handlers)
    : loop_(loop),
      children_(children),
      spec_(spec),
      here_(std::move(here)),
      handlers_(std::move(handlers)),
      names_{here_.name},
      report_(loop, [this] { ReportFailure(); }) {
  for (const NodeRequest& node : spec_.nodes) {
    if (node.here) {
      ids_.push_back(kHeadNode);
      names_[0] = node.name;
      continue;
    }
    ids_.push_back(NodeId{static_cast<uint32_t>(names_.size())});
    names_.push_back(node.name);
  }
}

Status Dvm::Start(bool verbose) {
  begin_ = loop_.clock().Now();
  std::vector<NodeSpec> nodes;
  for (size_t i = 0; i < ids_.size(); ++i) {
    const NodeRequest& node = spec_.nodes[i];
    if (node.here) continue;
    nodes.push_back({ids_[i], node.name, node.user, static_cast<uint16_t>(node.port)});
  }
  if (!nodes.empty()) {
    std::string rexd = spec_.rexd;
    if (rexd.empty()) {
      auto own = FindLibexecProgram("rexd");
      if (!own) return own.error();
      rexd = *std::move(own);
    }
    tree_ = Tree::Head(loop_, children_, OptionsOf(spec_, std::move(rexd), verbose), names_[0],
                       std::move(nodes), TreeHandlers());
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
  if (!report_.pending()) report_.Set(kFailTogether);
  Resolve();
}

void Dvm::Resolve() {
  if (told_ || facts_.size() + failures_.size() + 1 < names_.size()) return;
  if (!failures_.empty()) return ReportFailure();
  told_ = true;
  ready_at_ = loop_.clock().Now();
  handlers_.on_ready();
}

void Dvm::ReportFailure() {
  if (told_) return;
  told_ = true;
  report_.Cancel();
  const auto first = std::min_element(failures_.begin(), failures_.end(),
                                      [](auto& a, auto& b) { return a.node < b.node; });
  Failure failure;
  failure.kind = FailureKind::kNodeStart;
  failure.node = first->name;
  failure.detail = first->phase + ": " + first->cause;
  failure.remedy = first->remedy;
  failure.others = static_cast<uint32_t>(failures_.size() - 1);
  if (failure.others > 0) {
    std::vector<std::string> names;
    for (const StartFailure& f : failures_) {
      if (f.node != first->node) names.push_back(f.name);
    }
    std::sort(names.begin(), names.end());
    failure.detail += "\nalso: " + NamesOf(names);
  }
  handlers_.on_failed(failure);
}

void Dvm::OnLost(const std::vector<NodeId>& nodes, const Error& why) {
  Failure failure;
  failure.kind = FailureKind::kNodeLost;
  failure.node = NameOf(nodes.front());
  failure.detail = why.text;
  failure.others = static_cast<uint32_t>(nodes.size() - 1);
  if (failure.others > 0) {
    std::vector<std::string> names;
    for (size_t i = 1; i < nodes.size(); ++i) names.push_back(NameOf(nodes[i]));
    failure.detail += "\nwith it: " + NamesOf(names);
  }
  told_ = true;
  handlers_.on_lost(nodes, failure);
}

std::vector<JobNode> Dvm::JobNodes(uint32_t slots) const {
  if (spec_.nodes.empty()) {
    JobNode here = here_;
    if (slots > 0) here.slots_from_cores = false;
    here.slots = slots > 0 ? slots : here.cores;
    return {here};
  }
  std::vector<JobNode> nodes;
  for (size_t i = 0; i < ids_.size(); ++i) {
    const NodeRequest& asked = spec_.nodes[i];
    JobNode node;
    node.id = ids_[i];
    node.name = asked.name;
    node.cores = asked.here ? here_.cores : std::max(facts_.at(node.id).cores, 1U);
    node.slots = asked.slots > 0 ? asked.slots : node.cores;
    // A hostfile's cores limit, as with mpirun; those of invented nodes do not.
    node.slots_from_cores = asked.slots == 0 && spec_.bootstrap == Bootstrap::kVirtual;
    node.max_slots = asked.max_slots;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<std::string> Dvm::MissingNodes() const {
  std::vector<std::string> names;
  for (uint32_t id = 1; id < names_.size(); ++id) {
    const bool failed = std::any_of(failures_.begin(), failures_.end(),
                                    [&](auto& f) { return f.node == NodeId{id}; });
    if (!failed && !facts_.contains(NodeId{id})) names.push_back(names_[id]);
  }
  return names;
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

std::chrono::microseconds Dvm::OffsetTo(NodeId node) const {
  if (!tree_ || node == kHeadNode) return std::chrono::microseconds(0);
  const auto offset = tree_->OffsetTo(node);
  return offset ? offset->offset : std::chrono::microseconds(0);
}

std::optional<Phase> Dvm::StartPhase() const {
  if (!tree_ || ready_at_.count() == 0) return std::nullopt;
  return Phase{"nodes",   begin_,  ready_at_,
               names_[0], "agent", std::to_string(names_.size() - 1) + " started"};
}

void Dvm::Close() {
  const bool was_ready = ready_at_.count() > 0;
  if (tree_) tree_->Close(was_ready ? kCleanUpBound : kBreakOffBound);
}

}  // namespace rex
