// What an agent lends to the transfer of images: messages over the tree, and connections beside it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/frame.h"
#include "launcher/base/node_id.h"
#include "launcher/image/seal.h"
#include "launcher/link/link_dialer.h"
#include "launcher/link/link_listener.h"

namespace rex {

struct ImagePort {
  NodeId self{};
  std::string name;
  // Over the tree.
  std::function<void(NodeId to, uint8_t kind, FrameClass frame_class, std::string payload)> send;
  // Bytes that wait here on the link by which `to` is reached.
  std::function<size_t(NodeId to)> queued;
  // Connections of this DVM's nodes to each other.
  std::function<Result<std::unique_ptr<LinkListener>>(LinkListener::Wanted, LinkListener::OnChild)>
      listen;
  std::function<std::unique_ptr<LinkDialer>(
      NodeId peer, const std::string& name, std::vector<std::string> addresses, uint16_t port,
      std::chrono::milliseconds bound, std::function<void(Result<AuthenticatedStream>)>)>
      dial;
  std::function<std::vector<std::string>()> addresses;
  bool one_machine = false;  // all nodes are this machine
  std::function<TransferKey(const TransferId&)> key;
};

class Tree;
ImagePort ImagePortOf(Tree& tree);  // which outlives it

}  // namespace rex
