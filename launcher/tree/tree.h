// The tree of agents as one of them sees it: starts those below, passes messages on, says who comes
// and who is lost. docs/design/tree.md is the design, docs/protocol.md the encoding.
//
// One per agent. The head makes it with Head and knows every node; an agent that was started by
// another makes it with Join and learns its part from Welcome. Of every node but itself the head
// hears exactly one of on_node_ready and on_start_failed, or on_lost before either; a node that was
// ready may be lost later, once.
//
// Messages of one class from one node to another arrive in order. What an agent passes on never
// piles up here: when a link has more than 1 MiB queued, those that feed it are not read until it
// has drained (control messages are not held back).
//
// Loop thread only. Handlers are called from the loop, never from inside a call of the owner's, and
// may not destroy the tree. The process must ignore SIGPIPE. Destroying the tree closes all links
// and kills what is still running of ssh; Close ends it in order.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/base/child_table.h"
#include "launcher/base/event_loop.h"
#include "launcher/base/log.h"
#include "launcher/link/link.h"
#include "launcher/link/link_dialer.h"
#include "launcher/link/link_listener.h"
#include "launcher/tree/join_broadcast.h"
#include "launcher/tree/join_channel.h"
#include "launcher/tree/relay_pressure.h"
#include "launcher/tree/route_table.h"
#include "launcher/tree/srun_starter.h"
#include "launcher/tree/starter.h"
#include "launcher/tree/tree_messages.h"
#include "launcher/tree/tree_options.h"
#include "launcher/tree/tree_shape.h"

namespace rex {

class Tree {
 public:
  // Those left empty are not called.
  struct Handlers {
    // Everywhere. Addressed to this node, or a broadcast; `kind` is kFirstUserKind or above.
    std::function<void(NodeId from, uint8_t kind, FrameClass frame_class, std::string payload)>
        on_message;
    // At the parent of a lost child: the child and all below it; the head gets every loss of the
    // tree. In an agent that lost its parent, or whose parent ends the tree in order: {head}; what
    // is below has been told to end. The text names node and cause.
    std::function<void(std::vector<NodeId> lost, const Error& why)> on_lost;
    // From the host of a child's node, over its uplink.
    std::function<Status(NodeId child, uint8_t kind, std::string payload)> on_uplink_message;
    // A line for the user (head only).
    std::function<void(const std::string& text)> on_notice;

    // Joined agents: facts can be sent with Ready now.
    std::function<void(const Welcome&)> on_welcome;

    // The head.
    std::function<void(NodeId, const AgentFacts&)> on_node_ready;
    // Final: a node that another agent could not start has been tried from here once more.
    std::function<void(const StartFailure&)> on_start_failed;
    // 15 s without a word; false: heard again.
    std::function<void(NodeId, bool late)> on_late;
  };

  // The head's: starts to start every node. `nodes`: ids neither 0 nor twice; none: no listener, no
  // key, nothing. `self_name` is what the others call this node. `loop` and `children` are
  // borrowed.
  static std::unique_ptr<Tree> Head(EventLoop& loop, ChildTable& children, TreeOptions options,
                                    const std::string& self_name, std::vector<NodeSpec> nodes,
                                    Handlers handlers, std::string version = REX_VERSION);
  // A joined agent's, on the channel it was started with.
  static std::unique_ptr<Tree> Join(EventLoop& loop, ChildTable& children, UniqueFd channel_in,
                                    UniqueFd channel_out, Handlers handlers,
                                    std::string version = REX_VERSION);
  // One that srun has started with many others, on the node that Slurm calls `node_name`.
  static std::unique_ptr<Tree> JoinThroughSrun(EventLoop& loop, ChildTable& children,
                                               UniqueFd channel_in, UniqueFd channel_out,
                                               const std::string& node_name, Handlers handlers,
                                               std::string version = REX_VERSION);
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  // Joined agents, once, after on_welcome.
  void Ready(const AgentFacts& facts);
  // `to` is another node. What can't be delivered (the node is lost, or not there yet) is dropped:
  // on_lost or on_start_failed tells of it.
  void Send(NodeId to, uint8_t kind, FrameClass frame_class, std::string payload);
  // The head's, to every other node that has joined.
  void Broadcast(uint8_t kind, FrameClass frame_class, const std::string& payload);

  // The head's: children that are not needed any more are told to end, with all below them, and
  // count as gone at once: nobody is told of their loss. Not for those that srun started together.
  // Returns the nodes that go.
  std::vector<NodeId> Release(const std::vector<NodeId>& children);

  NodeId self() const { return self_; }
  NodeId parent() const { return parent_; }  // the head's own: itself
  std::vector<NodeId> children() const { return routes_.children(); }
  const std::vector<NodeId>& below(NodeId child) const { return routes_.below(child); }
  // What is awaited of a node that is not ready, for people: "ssh, for 30 s", "node n1, …".
  std::string AwaitedOf(NodeId node) const;
  // The head's: add it to that node's CLOCK_MONOTONIC. The sum along the path; none until known.
  std::optional<ClockOffset> OffsetTo(NodeId node) const;

  struct Traffic {  // of this agent's links, uplinks to it too; payloads with their routes
    uint64_t messages_sent = 0;
    uint64_t bytes_sent = 0;
    uint64_t messages_received = 0;
    uint64_t bytes_received = 0;
  };
  const Traffic& traffic() const { return traffic_; }
  // What was started for other nodes and still runs (ssh, or rexd of virtual nodes). They and all
  // below them (proxy commands; virtual nodes' daemons and ranks) are no part of a job here.
  std::vector<pid_t> ProcessIds() const;
  // How a joined agent's link to its parent goes over TCP (way_back.h); empty: it does not, or not
  // yet, as long as it is being tried.
  const std::string& way_back() const { return way_back_; }
  bool tries_way_back() const { return dialer_ != nullptr; }
  // Links that have moved to TCP.
  size_t links_on_tcp() const;

  // Uplinks (tree_uplinks.cc, docs/design/uplinks.md): a second link from a child's node, whose end
  // there its host holds. It carries messages of class kData without a route.
  bool HasUplink(NodeId child) const;
  void SendByUplink(NodeId child, uint8_t kind, std::string payload);
  // A joined agent's: whether its parent could be connected to once more, and doing so. `on_done`
  // is called once, from the loop; not when the tree closes before, or dials again.
  bool MayDialUplink() const;
  void DialUplink(std::function<void(Result<AuthenticatedStream>)> on_done);
  const std::string& parent_name() const { return parent_name_; }

  // Beside the tree: connections of any two of its nodes, whose handshake is that of links.
  Result<std::unique_ptr<LinkListener>> ListenForPeers(LinkListener::Wanted wanted,
                                                       LinkListener::OnChild on_child);
  std::unique_ptr<LinkDialer> DialPeer(NodeId peer, const std::string& peer_name,
                                       std::vector<std::string> addresses, uint16_t port,
                                       std::chrono::milliseconds bound,
                                       std::function<void(Result<AuthenticatedStream>)> on_done);
  std::vector<std::string> OwnAddresses() const;  // where other nodes find this one
  const LinkKey& key() const { return key_; }
  const std::string& name() const { return name_; }
  bool is_virtual() const { return options_.kind == BootstrapKind::kVirtual; }
  // What waits here on the link by which `to` is reached.
  size_t QueuedBytesTo(NodeId to) const;

  // Orderly end, blocking: the children are told, links are flushed and closed, ssh's are awaited,
  // all that for at most `flush_bound`; then they are killed and reaped (0.5 s at most). No handler
  // of the tree is called any more.
  void Close(std::chrono::milliseconds flush_bound);

 private:
  struct Child {
    NodeSpec spec;
    std::unique_ptr<Link> link;
    std::unique_ptr<Link> uplink;
    bool welcome_sent = false;
    bool adopted = false;  // the link has a TCP stream
    bool ready = false;
    bool released = false;
  };
  Tree(EventLoop& loop, ChildTable& children, Handlers handlers, std::string version);

  // Starting (tree_starts.cc)
  void StartChildren(const std::vector<Subtree>& shape, const std::vector<NodeSpec>& nodes);
  void OpenListener();
  void MakeStarter();
  BroadcastTicket TicketForAll() const;
  bool IsWanted(NodeId child, LinkStream stream) const;
  void OnUplink(NodeId child, AuthenticatedStream stream);
  Status TakeFromUplink(NodeId child, uint8_t kind, std::string payload);
  void DropUplink(NodeId child, LogLevel level, const std::string& why);
  void OnTcp(NodeId child, AuthenticatedStream stream);
  Link::Handlers ChildHandlers(NodeId child);
  void AddChild(const NodeSpec& spec, const std::vector<NodeId>& below);
  void OnChannel(NodeId child, UniqueFd in, UniqueFd out);
  void OnChildUp(NodeId child);
  Welcome MakeWelcome(const Child& child) const;
  void OnChildStartFailed(const StartFailure& failure);
  void OnStartFailedBelow(NodeId from, const StartFailure& failure);
  void Notice(std::string text);
  void ReportStartFailure(const StartFailure& failure);
  void OnTicket(JoinTicket ticket, UniqueFd in, UniqueFd out);
  LinkParams OnBroadcast(ReceivedTicket received, const NodeSpec& self);
  Link::Handlers ParentHandlers();
  Status OnWelcome(const std::string& payload);
  void DialBack(const Welcome& welcome);

  // Messages (tree.cc)
  LinkParams ParamsFor(LinkRole role, NodeId peer, const std::string& peer_name) const;
  Link* LinkTo(NodeId peer) const;
  void SendOn(NodeId peer, uint8_t kind, FrameClass frame_class, std::string message);
  void SendToHead(TreeMessage kind, std::string payload);
  void OnLinkMessage(NodeId peer, uint8_t kind, FrameClass frame_class, std::string message);
  bool IsStale(NodeId peer, const Route& route) const;
  void Forward(NodeId source, const Route& route, uint8_t kind, FrameClass frame_class,
               std::string message);
  void PassOn(NodeId source, NodeId next, uint8_t kind, FrameClass frame_class,
              std::string message);
  void OnNonsense(NodeId peer, const Error& why);
  void Deliver(NodeId peer, const Route& route, uint8_t kind, FrameClass frame_class,
               std::string payload);
  Status OnTreeMessage(NodeId peer, NodeId from, TreeMessage kind, const std::string& payload);
  Status OnReportToHead(NodeId peer, NodeId from, TreeMessage kind, const std::string& payload);
  void CheckPressure();
  void EnableReading(const std::vector<NodeId>& sources);

  // Losses (tree_losses.cc)
  void OnChildClosed(NodeId child, const Error& why);
  bool OnChildReady(NodeId child);
  void DropLink(NodeId child);
  void TellLost(std::vector<NodeId> lost, const Error& why);
  void OnLostBelow(NodeId peer, const NodesLost& lost);
  void OnParentClosed(const Error& why);
  void OnParentEnds();
  void TellParentLost(const Error& why);
  void OnChildLate(NodeId child, bool late);
  void OnChildClock(NodeId child);
  void TellChildrenToEnd();
  void AwaitProcesses(std::chrono::milliseconds bound);
  std::string NameOf(NodeId node) const;
  bool is_head() const { return self_ == kHeadNode; }

  EventLoop& loop_;
  ChildTable& children_table_;
  Handlers handlers_;
  const std::string version_;
  TreeOptions options_;
  NodeId self_{};
  NodeId parent_{};
  std::string name_;
  std::string parent_name_;
  uint32_t nodes_ = 1;
  LinkKey key_;
  DvmId dvm_;

  RouteTable routes_;
  std::map<NodeId, Child> children_;
  std::map<NodeId, NodeSpec> specs_;               // of all nodes that may be named here
  std::map<NodeId, StartFailure> first_failures_;  // head: tried by an inner node before
  std::map<NodeId, ClockOffset> offsets_below_;  // head: from a child's clock to that of one below
  RelayPressure pressure_;
  Timer pressure_timer_;
  Traffic traffic_;

  std::unique_ptr<JoinChannel> join_;
  std::unique_ptr<JoinBroadcast> broadcast_;
  std::unique_ptr<Link> parent_link_;
  std::unique_ptr<LinkDialer> dialer_;
  std::unique_ptr<LinkDialer> uplink_dialer_;
  std::string parent_address_;  // that has answered; empty: none
  uint16_t parent_port_ = 0;
  std::string way_back_;
  std::unique_ptr<LinkListener> listener_;
  std::unique_ptr<AgentStarter> starter_;
  bool welcomed_ = false;
  bool parent_lost_ = false;
  bool children_told_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
