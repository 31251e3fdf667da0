// How the tree comes up: children started, joined, welcomed; the way back over TCP.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "launcher/base/log.h"
#include "launcher/tree/start_command.h"
#include "launcher/tree/tree.h"
#include "launcher/tree/tree_shape.h"
#include "launcher/tree/way_back.h"

namespace rex {

namespace {

constexpr std::chrono::seconds kDialBound{10};
constexpr const char* kLoopback = "127.0.0.1";
// The joining side of a start has no word about its bound yet; the parent's own is what counts.
constexpr std::chrono::seconds kJoinBound{600};

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

// Where children find this node. Virtual ones are on this machine: one address is enough, and each
// further one may be tried for nothing when the machine is busy.
std::vector<std::string> AddressesFor(BootstrapKind kind) {
  std::vector<std::string> own = LinkListener::OwnAddresses();
  const bool here = kind == BootstrapKind::kVirtual;
  if (here && std::find(own.begin(), own.end(), kLoopback) != own.end()) return {kLoopback};
  if (!here) std::erase_if(own, IsLoopback);  // on another machine these would be that machine
  return own;
}

void PrintRaw(const std::string& text) {
  [[maybe_unused]] const Status lost = WriteAll(STDERR_FILENO, text);
}

void PrintLine(const NodeSpec& node, const std::string& line) {
  PrintRaw(node.name + ": " + line + "\n");
}

// Where ssh says that its connection came from: the first word of SSH_CONNECTION (sshd(8)).
std::string SshPeerAddress() {
  const char* connection = std::getenv("SSH_CONNECTION");
  if (connection == nullptr) return "";
  const std::string text = connection;
  return text.substr(0, text.find(' '));
}

}  // namespace

std::unique_ptr<Tree> Tree::Head(EventLoop& loop, ChildTable& children, TreeOptions options,
                                 const std::string& self_name, std::vector<NodeSpec> nodes,
                                 Handlers handlers, std::string version) {
  std::unique_ptr<Tree> tree(new Tree(loop, children, std::move(handlers), std::move(version)));
  tree->options_ = std::move(options);
  tree->name_ = self_name;
  if (nodes.empty()) return tree;
  tree->nodes_ = static_cast<uint32_t>(nodes.size() + 1);
  tree->key_ = MakeLinkKey();
  tree->dvm_ = MakeDvmId();
  std::vector<NodeId> ids;
  for (const NodeSpec& node : nodes) {
    REX_CHECK(node.id != kHeadNode && Index(node.id) < kMaxNodes);
    ids.push_back(node.id);
  }
  // Those that srun has started know the way to this node only.
  if (tree->options_.kind == BootstrapKind::kSlurm) tree->options_.shape = TreeShape::kFlat;
  tree->StartChildren(ShapeTree(ids, tree->options_.shape), nodes);
  return tree;
}

std::unique_ptr<Tree> Tree::Join(EventLoop& loop, ChildTable& children, UniqueFd channel_in,
                                 UniqueFd channel_out, Handlers handlers, std::string version) {
  std::unique_ptr<Tree> tree(new Tree(loop, children, std::move(handlers), std::move(version)));
  Tree* self = tree.get();
  self->self_ = NodeId{kMaxNodes};  // nobody's, until the ticket says whose
  self->join_ = std::make_unique<JoinChannel>(
      loop, std::move(channel_in), std::move(channel_out), self->version_, kJoinBound,
      [self](JoinTicket ticket, UniqueFd in, UniqueFd out) {
        self->OnTicket(std::move(ticket), std::move(in), std::move(out));
      },
      [self](const Error& why) { self->OnParentClosed(why); });
  return tree;
}

std::unique_ptr<Tree> Tree::JoinThroughSrun(EventLoop& loop, ChildTable& children,
                                            UniqueFd channel_in, UniqueFd channel_out,
                                            const std::string& node_name, Handlers handlers,
                                            std::string version) {
  std::unique_ptr<Tree> tree(new Tree(loop, children, std::move(handlers), std::move(version)));
  Tree* self = tree.get();
  self->self_ = NodeId{kMaxNodes};  // nobody's, until the ticket says whose
  JoinBroadcast::Handlers join;
  join.on_ticket = [self](ReceivedTicket received, const NodeSpec& node) {
    return self->OnBroadcast(std::move(received), node);
  };
  join.on_stream = [self](AuthenticatedStream stream) {
    self->parent_address_ = PeerAddress(stream.socket.get());
    self->parent_link_ = std::make_unique<Link>(
        self->loop_, self->ParamsFor(LinkRole::kChild, self->parent_, "the agent above"),
        std::move(stream), self->ParentHandlers());
  };
  join.on_failed = [self](const Error& why) {
    // The only way to the parent, until there is a link.
    if (!self->parent_link_) PrintRaw("rexd: can't join: " + why.text + "\n");
    self->OnParentClosed(why);
  };
  self->broadcast_ =
      std::make_unique<JoinBroadcast>(loop, std::move(channel_in), std::move(channel_out),
                                      node_name, self->version_, kJoinBound, std::move(join));
  return tree;
}

void Tree::StartChildren(const std::vector<Subtree>& shape, const std::vector<NodeSpec>& nodes) {
  for (const NodeSpec& node : nodes) specs_.emplace(node.id, node);
  OpenListener();
  MakeStarter();
  for (const Subtree& subtree : shape) AddChild(specs_.at(subtree.child), subtree.below);
}

void Tree::MakeStarter() {
  const auto on_failed = [this](const StartFailure& failure) { OnChildStartFailed(failure); };
  if (options_.kind == BootstrapKind::kSlurm) {
    starter_ = std::make_unique<SrunStarter>(loop_, children_table_, options_, TicketForAll(),
                                             SrunStarter::Handlers{on_failed, PrintLine});
    return;
  }
  starter_ = std::make_unique<Starter>(
      loop_, children_table_, options_, StarterIdentity{self_, dvm_, &key_, version_},
      Starter::Handlers{[this](NodeId child, UniqueFd in, UniqueFd out) {
                          OnChannel(child, std::move(in), std::move(out));
                        },
                        on_failed, PrintLine});
}

BroadcastTicket Tree::TicketForAll() const {
  BroadcastTicket ticket;
  ticket.version = version_;
  ticket.key = &key_;
  ticket.dvm = dvm_;
  ticket.parent = self_;
  ticket.parent_name = name_;
  if (listener_) {
    ticket.port = listener_->port();
    ticket.addresses = AddressesFor(options_.kind);
    if (ticket.addresses.size() > kMaxParentAddresses) {
      ticket.addresses.resize(kMaxParentAddresses);
    }
  }
  ticket.node_timeout = options_.node_timeout;
  ticket.max_message_bytes = options_.max_message_bytes;
  return ticket;
}

void Tree::AddChild(const NodeSpec& spec, const std::vector<NodeId>& below) {
  routes_.AddChild(spec.id, below);
  Child child;
  child.spec = spec;
  children_.insert_or_assign(spec.id, std::move(child));
  starter_->Add(spec);
}

void Tree::OpenListener() {
  auto listener = LinkListener::Open(
      loop_, self_, dvm_, key_, version_,
      [this](NodeId child, LinkStream stream) { return IsWanted(child, stream); },
      [this](NodeId child, LinkStream which, AuthenticatedStream stream) {
        if (which == LinkStream::kUplink) return OnUplink(child, std::move(stream));
        OnTcp(child, std::move(stream));
      });
  if (listener) {
    listener_ = std::move(*listener);
  } else {
    Notice("node " + name_ + " can't listen for TCP connections (" + listener.error().text +
           "); all its traffic goes through ssh");
  }
}

// With a channel the connection comes when the link stands on that, else it is the link.
bool Tree::IsWanted(NodeId child, LinkStream stream) const {
  const auto found = children_.find(child);
  if (found == children_.end()) return false;
  if (stream == LinkStream::kUplink) return found->second.adopted && found->second.link;
  if (stream != LinkStream::kTcp || found->second.adopted) return false;
  return options_.kind == BootstrapKind::kSlurm || found->second.welcome_sent;
}

void Tree::OnTcp(NodeId child, AuthenticatedStream stream) {
  Child& joined = children_.at(child);
  joined.adopted = true;
  if (joined.link) return joined.link->AdoptTcp(std::move(stream));
  joined.link =
      std::make_unique<Link>(loop_, ParamsFor(LinkRole::kParent, child, "node " + joined.spec.name),
                             std::move(stream), ChildHandlers(child));
}

void Tree::OnChannel(NodeId child, UniqueFd in, UniqueFd out) {
  Child& joining = children_.at(child);
  joining.link = std::make_unique<Link>(
      loop_, ParamsFor(LinkRole::kParent, child, "node " + joining.spec.name), std::move(in),
      std::move(out), options_.start_timeout, ChildHandlers(child));
}

Link::Handlers Tree::ChildHandlers(NodeId child) {
  Link::Handlers handlers;
  handlers.on_up = [this, child] { OnChildUp(child); };
  handlers.on_message = [this, child](uint8_t kind, FrameClass frame_class, std::string message) {
    OnLinkMessage(child, kind, frame_class, std::move(message));
  };
  handlers.on_moved = [this, child](bool tcp) {
    Log(LogLevel::kInfo, "link node=" + NameOf(child) + " tcp=" + (tcp ? "yes" : "no"));
    OnChildClock(child);  // the move breaks a round of pings off: what it gave is news as well
  };
  handlers.on_late = [this, child](bool late) { OnChildLate(child, late); };
  handlers.on_closed = [this, child](const Error& why) { OnChildClosed(child, why); };
  handlers.on_clock = [this, child] { OnChildClock(child); };
  return handlers;
}

void Tree::OnChildUp(NodeId child) {
  Child& joined = children_.at(child);
  starter_->OnHandshake(child);
  joined.welcome_sent = true;
  SendOn(child, static_cast<uint8_t>(TreeMessage::kWelcome), FrameClass::kControl,
         EncodeRoute({self_, child}, ToWire(MakeWelcome(joined))));
}

Welcome Tree::MakeWelcome(const Child& child) const {
  Welcome welcome;
  welcome.name = child.spec.name;
  welcome.parent_name = name_;
  welcome.nodes = nodes_;
  if (listener_) {
    welcome.port = listener_->port();
    welcome.addresses = AddressesFor(options_.kind);
    if (welcome.addresses.size() > kMaxParentAddresses) {
      welcome.addresses.resize(kMaxParentAddresses);
    }
  }
  for (const NodeId node : routes_.below(child.spec.id)) welcome.below.push_back(specs_.at(node));
  welcome.options = options_;
  return welcome;
}

// One of our own starts has failed for good.
void Tree::OnChildStartFailed(const StartFailure& failure) {
  DropLink(failure.node);
  children_.erase(failure.node);
  const std::vector<NodeId> with_it = routes_.RemoveChild(failure.node);
  if (!is_head()) return SendToHead(TreeMessage::kStartFailed, ToWire(failure));
  StartFailure final = failure;
  const auto before = first_failures_.find(failure.node);
  if (before != first_failures_.end() && before->second.cause != failure.cause) {
    final.cause += "; before that: " + before->second.cause;
  }
  ReportStartFailure(final);
  for (const NodeId node : with_it) {
    if (node == failure.node) continue;
    if (options_.allow_missing) {
      AddChild(specs_.at(node), {});
      continue;
    }
    ReportStartFailure({node, NameOf(node), std::string(StartPhaseName(StartPhase::kParent)),
                        "node " + failure.name + ", which was to start it, did not start", ""});
  }
}

void Tree::ReportStartFailure(const StartFailure& failure) {
  if (!closed_ && handlers_.on_start_failed) handlers_.on_start_failed(failure);
}

void Tree::Notice(std::string text) {
  if (!is_head()) return SendToHead(TreeMessage::kNotice, ToWire(TreeNotice{std::move(text)}));
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_), text = std::move(text)] {
    if (!alive.expired() && !closed_ && handlers_.on_notice) handlers_.on_notice(text);
  });
}

// What an inner node could not start the head tries itself, once: often only the user's keys or
// known hosts are missing on that node.
void Tree::OnStartFailedBelow(NodeId from, const StartFailure& failure) {
  if (!routes_.InSubtree(from, failure.node) || failure.node == from) return;
  Log(LogLevel::kInfo, "start from the head node=" + failure.name + " instead of=" + NameOf(from));
  routes_.RemoveBelow(from, failure.node);
  offsets_below_.erase(failure.node);
  StartFailure before = failure;
  before.cause = "from node " + NameOf(from) + ": " + failure.cause;
  first_failures_.insert_or_assign(failure.node, std::move(before));
  AddChild(specs_.at(failure.node), {});
}

std::string Tree::AwaitedOf(NodeId node) const {
  const NodeId child = routes_.ChildFor(node).value_or(node);
  const auto stage = starter_ && specs_.contains(child) ? starter_->Stage(child) : std::nullopt;
  if (!stage) return "";
  const auto since =
      std::chrono::duration_cast<std::chrono::seconds>(loop_.clock().Now() - stage->since);
  if (child != node && stage->state == StartState::kReady) return "started by " + NameOf(child);
  constexpr std::array<std::string_view, 3> kPrograms = {"ssh", "rexd", "srun"};
  std::string text(rex::AwaitedOf(stage->state, kPrograms[static_cast<size_t>(options_.kind)]));
  text += " for " + std::to_string(since.count()) + " s";
  return child == node ? text : "behind " + NameOf(child) + ": " + text;
}

void Tree::OnTicket(JoinTicket ticket, UniqueFd in, UniqueFd out) {
  key_ = std::move(ticket.key);
  dvm_ = ticket.terms.dvm;
  self_ = ticket.terms.child;
  parent_ = ticket.terms.parent;
  options_.node_timeout = ticket.terms.node_timeout;
  options_.max_message_bytes = ticket.terms.max_message_bytes;
  parent_name_ = std::to_string(Index(parent_));
  parent_link_ =
      std::make_unique<Link>(loop_, ParamsFor(LinkRole::kChild, parent_, "the agent above"),
                             std::move(in), std::move(out), kJoinBound, ParentHandlers());
}

LinkParams Tree::OnBroadcast(ReceivedTicket received, const NodeSpec& self) {
  key_ = std::move(received.key);
  dvm_ = received.ticket.dvm;
  self_ = self.id;
  parent_ = received.ticket.parent;
  parent_port_ = received.ticket.port;
  parent_name_ = received.ticket.parent_name;
  options_.node_timeout = received.ticket.node_timeout;
  options_.max_message_bytes = received.ticket.max_message_bytes;
  return ParamsFor(LinkRole::kChild, parent_, "node " + parent_name_);
}

Link::Handlers Tree::ParentHandlers() {
  Link::Handlers handlers;
  handlers.on_message = [this](uint8_t kind, FrameClass frame_class, std::string message) {
    OnLinkMessage(parent_, kind, frame_class, std::move(message));
  };
  handlers.on_closed = [this](const Error& why) { OnParentClosed(why); };
  return handlers;
}

Status Tree::OnWelcome(const std::string& payload) {
  auto welcome = TreeFromWire<Welcome>(payload);
  if (!welcome) return welcome.error();
  if (welcomed_) return Error{Errc::kProtocol, "a second Welcome"};
  welcome->self = self_;
  welcome->parent = parent_;
  welcomed_ = true;
  options_ = welcome->options;
  name_ = welcome->name;
  parent_name_ = welcome->parent_name;
  nodes_ = welcome->nodes;
  std::vector<Subtree> below;
  std::set<NodeId> ids = {self_, parent_, kHeadNode};
  for (const NodeSpec& node : welcome->below) {
    if (!ids.insert(node.id).second) return Error{Errc::kProtocol, "bad field Welcome.below"};
    below.push_back({node.id, {}});
  }
  if (!below.empty()) StartChildren(below, welcome->below);
  DialBack(*welcome);
  if (handlers_.on_welcome) handlers_.on_welcome(*welcome);
  return Ok{};
}

std::vector<std::string> Tree::OwnAddresses() const {
  std::vector<std::string> addresses = AddressesFor(options_.kind);
  if (addresses.size() > kMaxParentAddresses) addresses.resize(kMaxParentAddresses);
  return addresses;
}

Result<std::unique_ptr<LinkListener>> Tree::ListenForPeers(LinkListener::Wanted wanted,
                                                           LinkListener::OnChild on_child) {
  return LinkListener::Open(loop_, self_, dvm_, key_, version_, std::move(wanted),
                            std::move(on_child));
}

std::unique_ptr<LinkDialer> Tree::DialPeer(
    NodeId peer, const std::string& peer_name, std::vector<std::string> addresses, uint16_t port,
    std::chrono::milliseconds bound, std::function<void(Result<AuthenticatedStream>)> on_done) {
  return std::make_unique<LinkDialer>(loop_, ParamsFor(LinkRole::kChild, peer, "node " + peer_name),
                                      std::move(addresses), port, bound, std::move(on_done));
}

void Tree::DialBack(const Welcome& welcome) {
  if (welcome.port == 0 || options_.kind == BootstrapKind::kSlurm) return;
  std::vector<std::string> addresses = welcome.addresses;
  const std::string came_from = SshPeerAddress();
  // On a virtual node that variable tells of the user's own login.
  if (options_.kind == BootstrapKind::kSsh && !came_from.empty()) {
    addresses.insert(addresses.begin(), came_from);
  }
  if (addresses.empty()) return;
  parent_port_ = welcome.port;
  dialer_ = std::make_unique<LinkDialer>(
      loop_, ParamsFor(LinkRole::kChild, parent_, "node " + parent_name_), std::move(addresses),
      welcome.port, kDialBound, [this](Result<AuthenticatedStream> stream) {
        dialer_.reset();
        if (stream) {
          way_back_ = DescribeWay(stream->socket.get());
          parent_address_ = PeerAddress(stream->socket.get());
          return parent_link_->AdoptTcp(std::move(*stream));
        }
        Notice("node " + name_ + " has " + stream.error().text +
               "; its traffic goes through ssh, which is slower");
      });
}

}  // namespace rex
