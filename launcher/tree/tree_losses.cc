// How nodes are lost, and the tree's end.
#include <poll.h>
#include <signal.h>

#include "launcher/base/log.h"
#include "launcher/tree/tree.h"

namespace rex {

namespace {
// A virtual node's keeper removes its directories last, after all that it keeps has ended: killed
// before, it would leave them. Hundreds of nodes that end together on one machine take seconds.
constexpr std::chrono::milliseconds kKeeperBound{5000};
constexpr std::chrono::milliseconds kTermBound{300};
constexpr std::chrono::milliseconds kKillBound{200};
}  // namespace

bool Tree::OnChildReady(NodeId child) {
  if (!starter_->OnFacts(child)) return false;
  children_.at(child).ready = true;
  return true;
}

void Tree::DropLink(NodeId child) {
  const auto found = children_.find(child);
  if (found != children_.end()) {
    found->second.link.reset();
    found->second.uplink.reset();
    found->second.welcome_sent = found->second.adopted = false;
  }
  EnableReading(pressure_.Remove(child));
}

void Tree::OnChildClosed(NodeId child, const Error& why) {
  if (parent_lost_) return DropLink(child);  // the tree ends anyway
  const bool was_ready = children_.at(child).ready;
  const bool released = children_.at(child).released;
  DropLink(child);
  if (released) {
    children_.erase(child);
    routes_.RemoveChild(child);
    return starter_->ExplainLoss(child, "", [](const std::string&) {});
  }
  if (!was_ready) return starter_->OnLinkClosed(child, why);
  children_.erase(child);
  std::vector<NodeId> lost = routes_.RemoveChild(child);
  starter_->ExplainLoss(child, why.text,
                        [this, lost = std::move(lost), code = why.code](std::string text) {
                          TellLost(lost, {code, std::move(text)});
                        });
}

void Tree::TellLost(std::vector<NodeId> lost, const Error& why) {
  if (closed_) return;
  Log(LogLevel::kInfo, "lost node=" + NameOf(lost.front()) + " why=" + why.text);
  if (!is_head()) SendToHead(TreeMessage::kNodesLost, ToWire(NodesLost{lost, why}));
  if (handlers_.on_lost) handlers_.on_lost(std::move(lost), why);
}

std::vector<NodeId> Tree::Release(const std::vector<NodeId>& children) {
  REX_CHECK(is_head());
  std::vector<NodeId> gone;
  if (closed_ || options_.kind == BootstrapKind::kSlurm) return gone;
  for (const NodeId node : children) {
    const auto child = children_.find(node);
    if (child == children_.end() || !child->second.ready || child->second.released) continue;
    child->second.released = true;
    gone.push_back(node);
    const std::vector<NodeId>& below = routes_.below(node);
    gone.insert(gone.end(), below.begin(), below.end());
    SendOn(node, static_cast<uint8_t>(TreeMessage::kClosing), FrameClass::kControl,
           EncodeRoute({self_, node}, ""));
  }
  return gone;
}

// Another agent's child. One that it has already given up (a failed start) is no loss of its own.
void Tree::OnLostBelow(NodeId peer, const NodesLost& lost) {
  std::vector<NodeId> known;
  for (const NodeId node : lost.nodes) {
    if (node == peer || !routes_.InSubtree(peer, node)) continue;
    routes_.RemoveBelow(peer, node);
    offsets_below_.erase(node);
    known.push_back(node);
  }
  if (!known.empty()) TellLost(std::move(known), lost.why);
}

void Tree::OnParentClosed(const Error& why) {
  if (parent_lost_ || closed_) return;
  for (auto& [node, child] : children_) DropLink(node);  // its end is what tells them
  if (starter_) starter_->Close();
  TellParentLost({why.code, why.text + (welcomed_ ? " (node " + parent_name_ + ")" : "")});
}

// In order: the children are told, and have until our own Close for their last words.
void Tree::OnParentEnds() {
  if (parent_lost_ || closed_) return;
  if (starter_) starter_->Close();
  TellChildrenToEnd();
  TellParentLost({Errc::kClosed, "node " + parent_name_ + " ended the tree"});
}

void Tree::TellParentLost(const Error& why) {
  parent_lost_ = true;
  if (handlers_.on_lost) handlers_.on_lost({kHeadNode}, why);
}

void Tree::TellChildrenToEnd() {
  if (std::exchange(children_told_, true)) return;
  for (const auto& [node, child] : children_) {
    if (!child.welcome_sent) continue;
    SendOn(node, static_cast<uint8_t>(TreeMessage::kClosing), FrameClass::kControl,
           EncodeRoute({self_, node}, ""));
  }
}

void Tree::OnChildLate(NodeId child, bool late) {
  const auto found = children_.find(child);
  if (found != children_.end() && found->second.released) return;
  if (!is_head()) return SendToHead(TreeMessage::kNodeLate, ToWire(NodeLate{child, late}));
  if (handlers_.on_late) handlers_.on_late(child, late);
}

void Tree::OnChildClock(NodeId child) {
  const Link* link = LinkTo(child);
  if (is_head() || link == nullptr || !link->offset()) return;
  SendToHead(TreeMessage::kClockReport, ToWire(ClockReport{child, *link->offset()}));
}

void Tree::Close(std::chrono::milliseconds flush_bound) {
  if (closed_) return;
  const auto end = loop_.clock().Now() + flush_bound;
  const auto left = [this, end] {
    const auto now = loop_.clock().Now();
    return end > now ? std::chrono::ceil<std::chrono::milliseconds>(end - now)
                     : std::chrono::milliseconds(0);
  };
  TellChildrenToEnd();
  closed_ = true;
  if (starter_) starter_->Close();
  join_.reset();
  broadcast_.reset();
  dialer_.reset();
  uplink_dialer_.reset();
  listener_.reset();
  if (parent_link_) parent_link_->Flush(left());
  for (auto& [node, child] : children_) {
    if (child.link) child.link->Flush(left());
    child.link.reset();
    child.uplink.reset();
  }
  parent_link_.reset();
  if (!starter_) return;
  AwaitProcesses(left());
  starter_->SignalAll(SIGTERM);
  AwaitProcesses(options_.kind == BootstrapKind::kVirtual ? kKeeperBound : kTermBound);
  starter_->SignalAll(SIGKILL);
  AwaitProcesses(kKillBound);
}

std::vector<pid_t> Tree::ProcessIds() const {
  return starter_ ? starter_->ProcessIds() : std::vector<pid_t>();
}

void Tree::AwaitProcesses(std::chrono::milliseconds bound) {
  const auto end = loop_.clock().Now() + bound;
  children_table_.Reap();
  while (starter_->running() > 0 && loop_.clock().Now() < end) {
    ::poll(nullptr, 0, 2);
    children_table_.Reap();
  }
}

}  // namespace rex
