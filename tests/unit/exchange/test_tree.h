// A tree of agents without processes: messages wait in a queue until a test delivers them.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launcher/exchange/exchange_port.h"
#include "pmix-server/proto/host_types.h"
#include "sched/placement/job_map.h"

namespace rex {

// The shape of a tree: parent by node; node 0 is its own.
class Shape {
 public:
  explicit Shape(std::vector<uint32_t> parents) : parents_(std::move(parents)) {
    for (uint32_t node = 0; node < parents_.size(); ++node) below_[NodeId{node}] = Below(node);
  }
  static Shape Flat(uint32_t nodes) { return Shape(std::vector<uint32_t>(nodes, 0)); }

  uint32_t size() const { return static_cast<uint32_t>(parents_.size()); }
  NodeId parent(NodeId node) const { return NodeId{parents_[Index(node)]}; }
  std::vector<NodeId> children(NodeId node) const {
    std::vector<NodeId> out;
    for (uint32_t n = 1; n < size(); ++n) {
      if (parents_[n] == Index(node)) out.push_back(NodeId{n});
    }
    return out;
  }
  const std::vector<NodeId>& below(NodeId node) const { return below_.at(node); }

 private:
  std::vector<NodeId> Below(uint32_t node) const {
    std::vector<NodeId> out;
    for (uint32_t n = 1; n < size(); ++n) {
      for (uint32_t up = n; up != 0;) {
        up = parents_[up];
        if (up == node) out.push_back(NodeId{n});
        if (up == node) break;
      }
    }
    return out;
  }
  std::vector<uint32_t> parents_;
  std::map<NodeId, std::vector<NodeId>> below_;
};

struct Sent {
  NodeId from;
  NodeId to;
  uint8_t kind;
  FrameClass frame_class;
  std::string payload;
};

class Wire {
 public:
  explicit Wire(Shape shape) : shape_(std::move(shape)) {}
  const Shape& shape() const { return shape_; }

  ExchangePort PortOf(NodeId self) {
    ExchangePort port;
    port.self = self;
    port.parent = shape_.parent(self);
    port.children = [this, self] { return shape_.children(self); };
    port.below = [this](NodeId child) -> const std::vector<NodeId>& { return shape_.below(child); };
    port.send = [this, self](NodeId to, uint8_t kind, FrameClass frame_class, std::string payload) {
      EXPECT_NE(to, self);
      EXPECT_LT(Index(to), shape_.size());
      queue.push_back({self, to, kind, frame_class, std::move(payload)});
    };
    return port;
  }

  std::deque<Sent> queue;

 private:
  Shape shape_;
};

// Ranks dealt out: rank r is on nodes[r].
inline std::shared_ptr<const JobMap> MapOf(const std::vector<uint32_t>& nodes) {
  std::vector<NodeId> of_rank;
  for (const uint32_t node : nodes) of_rank.push_back(NodeId{node});
  auto map = JobMap::Make(RunsOf(of_rank), static_cast<uint32_t>(nodes.size()), kMaxNodes);
  EXPECT_TRUE(map);
  return std::make_shared<const JobMap>(*std::move(map));
}

template <typename T>
std::vector<T> Only(const std::vector<pmix::HostMessage>& messages) {
  std::vector<T> out;
  for (const auto& message : messages) {
    if (const auto* m = std::get_if<T>(&message)) out.push_back(*m);
  }
  return out;
}

}  // namespace rex
