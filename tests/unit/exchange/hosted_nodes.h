// Nodes of a tree without processes, each with the Collectives of its agent and, once a series was
// given away, those of its host. Links, uplinks and the socket between agent and host are queues,
// in order each and among themselves in any order that a test likes.
#pragma once

#include <algorithm>
#include <random>
#include <set>

#include "launcher/exchange/collectives.h"
#include "tests/unit/exchange/test_tree.h"

namespace rex {

class HostedNodes {
 public:
  static constexpr uint64_t kMostBytes = 1000;
  static constexpr Clock::Time kNow{1'000'000};

  enum class Way : uint8_t { kLink, kUplinkUp, kUplinkDown, kToHost, kToAgent };
  struct Message {
    NodeId from;
    NodeId to;
    Way way;
    uint8_t kind;         // of messages between nodes
    std::string payload;  // kToHost, kToAgent: a HostMessage
  };

  HostedNodes(Shape shape, uint32_t give_after) : shape_(std::move(shape)) {
    for (uint32_t n = 0; n < shape_.size(); ++n) {
      nodes_.push_back(std::make_unique<Node>());
      MakeAgent(NodeId{n}, give_after);
    }
  }

  void Add(const std::string& name, const std::vector<uint32_t>& node_of_rank) {
    const auto map = MapOf(node_of_rank);
    for (const auto& node : nodes_) node->maps.Add(name, map);
  }
  // As an agent at a job's end, which tells its host.
  void Remove(uint32_t node, const std::string& name) {
    nodes_[node]->maps.Remove(name);
    nodes_[node]->agent->OnNamespaceGone(name);
    ToHost(NodeId{node}, pmix::DeregisterJob{name});
  }
  // The uplink of `node` stands from now on; false: it is cut, with what is under way on it.
  void SetUplink(uint32_t node, bool stands) {
    nodes_[node]->uplink = stands;
    nodes_[node]->agent->SetUplink(stands);
    if (stands) return;
    std::erase_if(queue, [&](const Message& m) {
      return (m.way == Way::kUplinkUp && m.from == NodeId{node}) ||
             (m.way == Way::kUplinkDown && m.to == NodeId{node});
    });
  }

  // The ranks of `node` are all there.
  void Contribute(uint32_t node, pmix::Fence fence) {
    Node& at = *nodes_[node];
    if (at.host && at.host->ContributeIfKnown(fence, kNow)) return;
    const std::string message = pmix::EncodeHostMessage(std::move(fence));
    queue.push_back({NodeId{node}, NodeId{node}, Way::kToAgent, 0, message});
  }
  void All(uint32_t node, uint64_t request, const std::string& data,
           std::chrono::seconds timeout = std::chrono::seconds(0)) {
    Contribute(
        node,
        {request, {{"job", pmix::kRankWildcard}}, true, data, {}, CollectiveKind::kFence, timeout});
  }

  void Deliver() {
    while (!queue.empty()) DeliverAt(0);
  }
  // One message, the first of some queue.
  void DeliverSome(std::mt19937& random) {
    size_t at = random() % queue.size();
    for (size_t i = 0; i < at; ++i) {
      const Message& other = queue[i];
      const Message& picked = queue[at];
      if (other.from == picked.from && other.to == picked.to && other.way == picked.way) at = i;
    }
    DeliverAt(at);
  }
  void DeliverAt(size_t at) {
    const Message message = std::move(queue[at]);
    queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(at));
    const Status taken = Give(message);
    EXPECT_TRUE(taken) << taken.error().text;
  }
  Status Give(const Message& message) {
    Node& to = *nodes_[Index(message.to)];
    const auto kind = static_cast<ExchangeMessage>(message.kind);
    switch (message.way) {
      case Way::kLink:
        if (kind == ExchangeMessage::kHostState) {
          return to.agent->OnHostState(message.from, message.payload);
        }
        return kind == ExchangeMessage::kCollectiveUp
                   ? to.agent->OnUp(message.from, message.payload)
                   : to.agent->OnDown(message.from, message.payload);
      case Way::kUplinkUp:
        return to.agent->OnUp(message.from, message.payload, Collectives::Way::kUplink);
      case Way::kUplinkDown:
        return to.host ? to.host->OnDown(message.from, message.payload) : Status(Ok{});
      case Way::kToHost:
        return TakeAtHost(to, *pmix::DecodeHostMessage(message.payload));
      case Way::kToAgent:
        to.agent->Contribute(std::get<pmix::Fence>(*pmix::DecodeHostMessage(message.payload)),
                             kNow);
        return Ok{};
    }
    return Ok{};
  }

  Collectives& agent(uint32_t node) { return *nodes_[node]->agent; }
  Collectives& host(uint32_t node) { return *nodes_[node]->host; }
  bool has_host(uint32_t node) const { return nodes_[node]->host.has_value(); }
  // What the agent told its host, in order, and how often it wanted an uplink.
  const std::vector<pmix::HostMessage>& said(uint32_t node) const { return nodes_[node]->said; }
  size_t wants(uint32_t node) const { return nodes_[node]->wants; }
  bool has_uplink(uint32_t node) const { return nodes_[node]->uplink; }
  // What the ranks of `node` were answered, whoever did.
  const std::vector<pmix::FenceDone>& done(uint32_t node) const { return nodes_[node]->done; }
  size_t given(uint32_t node) const { return Only<pmix::SeriesGiven>(said(node)).size(); }
  size_t Count(Way way) const {
    return static_cast<size_t>(
        std::count_if(queue.begin(), queue.end(), [way](const auto& m) { return m.way == way; }));
  }
  void ExpectIdle() const {
    const auto idle = [](const Collectives& collectives) {
      return collectives.open_count() == 0 && collectives.held_bytes() == 0 &&
             !collectives.NextDeadline();
    };
    for (size_t n = 0; n < nodes_.size(); ++n) {
      EXPECT_TRUE(idle(*nodes_[n]->agent)) << "agent of node " << n;
      EXPECT_TRUE(!nodes_[n]->host || idle(*nodes_[n]->host)) << "host of node " << n;
    }
  }

  std::deque<Message> queue;

 private:
  struct Node {
    ExchangePort port;
    NamespaceMaps maps;
    std::optional<Collectives> agent;
    ExchangePort host_port;
    NamespaceMaps no_maps;
    std::optional<Collectives> host;
    bool uplink = false;
    size_t wants = 0;
    std::vector<pmix::HostMessage> said;
    std::vector<pmix::FenceDone> done;
  };

  void MakeAgent(NodeId self, uint32_t give_after) {
    Node* const node = nodes_[Index(self)].get();
    node->port.self = self;
    node->port.parent = shape_.parent(self);
    node->port.children = [this, self] { return shape_.children(self); };
    node->port.below = [this](NodeId child) -> const std::vector<NodeId>& {
      return shape_.below(child);
    };
    node->port.send = [this, self](NodeId to, uint8_t kind, FrameClass, std::string payload) {
      queue.push_back({self, to, Way::kLink, kind, std::move(payload)});
    };
    node->port.has_uplink = [this](NodeId child) { return nodes_[Index(child)]->uplink; };
    node->port.send_by_uplink = [this, self](NodeId child, uint8_t kind, std::string payload) {
      queue.push_back({self, child, Way::kUplinkDown, kind, std::move(payload)});
    };
    Collectives::Deps deps{node->port, node->maps,
                           [this, self](const pmix::HostMessage& m) { ToHost(self, m); },
                           kMostBytes};
    deps.give = [this, self](const CollectiveHeader& next) {
      ToHost(self, pmix::SeriesGiven{Index(self), Index(shape_.parent(self)), kMostBytes,
                                     EncodeCollective(next, 0)});
    };
    deps.want_uplink = [node] { ++node->wants; };
    deps.give_after = give_after;
    node->agent.emplace(std::move(deps));
  }

  void ToHost(NodeId self, const pmix::HostMessage& message) {
    nodes_[Index(self)]->said.push_back(message);
    queue.push_back({self, self, Way::kToHost, 0, pmix::EncodeHostMessage(message)});
  }

  Status TakeAtHost(Node& node, const pmix::HostMessage& message) {
    if (const auto* done = std::get_if<pmix::FenceDone>(&message)) node.done.push_back(*done);
    if (const auto* given = std::get_if<pmix::SeriesGiven>(&message)) {
      if (!node.host) MakeHost(node, *given);
      node.host->Adopt(DecodeCollective(given->header)->header);
    }
    const auto* above = std::get_if<pmix::FromAbove>(&message);
    if (above != nullptr && node.host) return node.host->OnDown(node.port.parent, above->payload);
    const auto* gone = std::get_if<pmix::DeregisterJob>(&message);
    if (gone != nullptr && node.host) node.host->OnNamespaceGone(gone->name_space);
    return Ok{};
  }

  // As pmix-server/host/own_collectives.cc.
  void MakeHost(Node& node, const pmix::SeriesGiven& given) {
    node.host_port.self = NodeId{given.self};
    node.host_port.parent = NodeId{given.parent};
    node.host_port.children = [] { return std::vector<NodeId>{}; };
    node.host_port.send = [this, &node](NodeId to, uint8_t kind, FrameClass, std::string payload) {
      if (!node.uplink) return;
      queue.push_back({node.port.self, to, Way::kUplinkUp, kind, std::move(payload)});
    };
    node.host.emplace(Collectives::Deps{
        node.host_port, node.no_maps,
        [&node](const pmix::HostMessage& m) { node.done.push_back(std::get<pmix::FenceDone>(m)); },
        given.max_modex_bytes});
  }

  Shape shape_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace rex
