// Messages: what comes from a link is checked, delivered, passed on.
#include "launcher/tree/tree.h"

#include "launcher/base/log.h"

namespace rex {

namespace {
// A link does not say when its queue has drained: looked at this often while one holds others up.
constexpr std::chrono::milliseconds kPressureTick{2};

uint8_t Kind(TreeMessage kind) { return static_cast<uint8_t>(kind); }
}  // namespace

Tree::Tree(EventLoop& loop, ChildTable& children, Handlers handlers, std::string version)
    : loop_(loop),
      children_table_(children),
      handlers_(std::move(handlers)),
      version_(std::move(version)),
      pressure_timer_(loop, [this] { CheckPressure(); }) {}

Tree::~Tree() = default;

LinkParams Tree::ParamsFor(LinkRole role, NodeId peer, const std::string& peer_name) const {
  LinkParams params;
  params.role = role;
  params.self = self_;
  params.peer = peer;
  params.dvm = dvm_;
  params.key = &key_;
  params.version = version_;
  params.max_message_bytes = options_.max_message_bytes + kRouteBytes;
  params.node_timeout = options_.node_timeout;
  params.peer_name = peer_name;
  return params;
}

Link* Tree::LinkTo(NodeId peer) const {
  if (!is_head() && peer == parent_) return parent_link_.get();
  const auto found = children_.find(peer);
  if (found == children_.end() || !found->second.welcome_sent) return nullptr;
  return found->second.link.get();
}

void Tree::SendOn(NodeId peer, uint8_t kind, FrameClass frame_class, std::string message) {
  Link* link = LinkTo(peer);
  if (link == nullptr || link->closed()) {
    Log(LogLevel::kDebug, "message dropped next=" + NameOf(peer) + " kind=" + std::to_string(kind));
    return;
  }
  ++traffic_.messages_sent;
  traffic_.bytes_sent += message.size();
  link->Send(kind, frame_class, std::move(message));
}

void Tree::Send(NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
  REX_CHECK(to != self_);
  if (closed_) return;
  const auto child = routes_.ChildFor(to);
  if (!child && is_head()) {
    Log(LogLevel::kDebug, "message dropped to=" + NameOf(to) + " kind=" + std::to_string(kind));
    return;
  }
  SendOn(child.value_or(parent_), kind, frame_class, EncodeRoute({self_, to}, payload));
}

void Tree::SendToHead(TreeMessage kind, std::string payload) {
  Send(kHeadNode, Kind(kind), FrameClass::kControl, std::move(payload));
}

void Tree::Broadcast(uint8_t kind, FrameClass frame_class, const std::string& payload) {
  REX_CHECK(is_head());
  if (closed_) return;
  const std::string message = EncodeRoute({self_, std::nullopt}, payload);
  for (const auto& [node, child] : children_) {
    if (child.welcome_sent && !child.released) SendOn(node, kind, frame_class, message);
  }
}

void Tree::Ready(const AgentFacts& facts) {
  REX_CHECK(welcomed_);
  SendToHead(TreeMessage::kNodeReady, ToWire(facts));
}

void Tree::OnLinkMessage(NodeId peer, uint8_t kind, FrameClass frame_class, std::string message) {
  ++traffic_.messages_received;
  traffic_.bytes_received += message.size();
  const auto route = DecodeRoute(message);
  if (!route) return OnNonsense(peer, route.error());
  const bool from_child = is_head() || peer != parent_;
  if (from_child && !route->to) return OnNonsense(peer, {Errc::kProtocol, "a broadcast upwards"});
  if (IsStale(peer, *route)) {
    Log(LogLevel::kDebug, "message dropped from=" + NameOf(route->from) + " by=" + NameOf(peer));
    return;
  }
  if (route->to == self_) {
    message.erase(0, kRouteBytes);
    return Deliver(peer, *route, kind, frame_class, std::move(message));
  }
  Forward(peer, *route, kind, frame_class, std::move(message));
}

// A peer that sends nonsense is one of ours gone wrong: its link ends, nothing else.
void Tree::OnNonsense(NodeId peer, const Error& why) {
  const Error error{Errc::kProtocol, "node " + NameOf(peer) + " sent " + why.text};
  if (is_head() || peer != parent_) return OnChildClosed(peer, error);
  parent_link_.reset();
  OnParentClosed(error);
}

// Nodes change their place when a start is tried again, or are given up: what was under way then
// counts no more.
bool Tree::IsStale(NodeId peer, const Route& route) const {
  const auto via = routes_.ChildFor(route.from);
  const bool from_child = is_head() || peer != parent_;
  return from_child ? via != peer : via.has_value() || route.from == self_;
}

void Tree::Forward(NodeId source, const Route& route, uint8_t kind, FrameClass frame_class,
                   std::string message) {
  if (!route.to) {
    for (const NodeId child : routes_.children()) {
      if (children_.at(child).welcome_sent) PassOn(source, child, kind, frame_class, message);
    }
    message.erase(0, kRouteBytes);
    return Deliver(source, route, kind, frame_class, std::move(message));
  }
  const auto child = routes_.ChildFor(*route.to);
  const bool up = !child && !is_head() && source != parent_;
  if (!child && !up) {
    Log(LogLevel::kDebug, "message dropped to=" + NameOf(*route.to));
    return;
  }
  const bool facts = kind == Kind(TreeMessage::kNodeReady) && route.from == source;
  if (facts && !OnChildReady(source)) return;
  PassOn(source, child.value_or(parent_), kind, frame_class, std::move(message));
}

void Tree::PassOn(NodeId source, NodeId next, uint8_t kind, FrameClass frame_class,
                  std::string message) {
  SendOn(next, kind, frame_class, std::move(message));
  if (frame_class == FrameClass::kControl) return;
  const Link* link = LinkTo(next);
  const size_t queued = link != nullptr ? link->QueuedBytes() : 0;
  if (!pressure_.OnForward(source, next, queued)) return;
  if (Link* from = LinkTo(source)) from->EnableReading(false);
  if (!pressure_timer_.pending()) pressure_timer_.Set(kPressureTick);
}

void Tree::CheckPressure() {
  for (const NodeId next : pressure_.congested()) {
    const Link* link = LinkTo(next);
    EnableReading(pressure_.OnQueue(next, link != nullptr ? link->QueuedBytes() : 0));
  }
  if (!pressure_.congested().empty()) pressure_timer_.Set(kPressureTick);
}

void Tree::EnableReading(const std::vector<NodeId>& sources) {
  for (const NodeId source : sources) {
    if (Link* link = LinkTo(source)) link->EnableReading(true);
  }
}

void Tree::Deliver(NodeId peer, const Route& route, uint8_t kind, FrameClass frame_class,
                   std::string payload) {
  if (kind >= kFirstUserKind) {
    if (handlers_.on_message) {
      handlers_.on_message(route.from, kind, frame_class, std::move(payload));
    }
    return;
  }
  const Status done = OnTreeMessage(peer, route.from, static_cast<TreeMessage>(kind), payload);
  if (!done) OnNonsense(peer, done.error());
}

Status Tree::OnTreeMessage(NodeId peer, NodeId from, TreeMessage kind, const std::string& payload) {
  if (is_head()) return OnReportToHead(peer, from, kind, payload);
  if (from != parent_) return Error{Errc::kProtocol, "a message that only a parent may send"};
  if (kind == TreeMessage::kWelcome) return OnWelcome(payload);
  if (kind == TreeMessage::kClosing) {
    OnParentEnds();
    return Ok{};
  }
  return Error{Errc::kProtocol, "an unknown message"};
}

Status Tree::OnReportToHead(NodeId peer, NodeId from, TreeMessage kind,
                            const std::string& payload) {
  switch (kind) {
    case TreeMessage::kNodeReady: {
      const auto m = TreeFromWire<AgentFacts>(payload);
      if (!m) return m.error();
      if (from == peer && !OnChildReady(peer)) return Ok{};
      if (handlers_.on_node_ready) handlers_.on_node_ready(from, *m);
      return Ok{};
    }
    case TreeMessage::kStartFailed: {
      const auto m = TreeFromWire<StartFailure>(payload);
      if (!m) return m.error();
      OnStartFailedBelow(peer, *m);
      return Ok{};
    }
    case TreeMessage::kNodesLost: {
      const auto m = TreeFromWire<NodesLost>(payload);
      if (!m) return m.error();
      OnLostBelow(peer, *m);
      return Ok{};
    }
    case TreeMessage::kNodeLate: {
      const auto m = TreeFromWire<NodeLate>(payload);
      if (!m) return m.error();
      if (routes_.InSubtree(peer, m->node) && handlers_.on_late) {
        handlers_.on_late(m->node, m->late);
      }
      return Ok{};
    }
    case TreeMessage::kClockReport: {
      const auto m = TreeFromWire<ClockReport>(payload);
      if (!m) return m.error();
      if (routes_.InSubtree(peer, m->node)) offsets_below_[m->node] = m->offset;
      return Ok{};
    }
    case TreeMessage::kNotice: {
      const auto m = TreeFromWire<TreeNotice>(payload);
      if (!m) return m.error();
      if (handlers_.on_notice) handlers_.on_notice(m->text);
      return Ok{};
    }
    default:
      return Error{Errc::kProtocol, "an unknown message"};
  }
}

std::string Tree::NameOf(NodeId node) const {
  const auto found = specs_.find(node);
  return found != specs_.end() ? found->second.name : std::to_string(Index(node));
}

size_t Tree::QueuedBytesTo(NodeId to) const {
  const auto child = routes_.ChildFor(to);
  if (!child && is_head()) return 0;
  const Link* link = LinkTo(child.value_or(parent_));
  return link != nullptr ? link->QueuedBytes() : 0;
}

size_t Tree::links_on_tcp() const {
  size_t count = parent_link_ && parent_link_->on_tcp() ? 1 : 0;
  for (const auto& [node, child] : children_) count += child.link && child.link->on_tcp() ? 1 : 0;
  return count;
}

std::optional<ClockOffset> Tree::OffsetTo(NodeId node) const {
  const auto child = routes_.ChildFor(node);
  const Link* link = child ? LinkTo(*child) : nullptr;
  if (link == nullptr || !link->offset()) return std::nullopt;
  ClockOffset sum = *link->offset();
  if (node == *child) return sum;
  const auto below = offsets_below_.find(node);
  if (below == offsets_below_.end()) return std::nullopt;
  sum.offset += below->second.offset;
  sum.error += below->second.error;
  return sum;
}

}  // namespace rex
