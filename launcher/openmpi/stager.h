// rexd-stager: the images of one mpirun's jobs, at mpirun's end or at a node's. Its owner, a
// plug-in in mpirun or orted, carries its messages; pieces go over connections of its own. Ends
// when the owner's socket does, and then removes what it made on this node, but for the store.
// docs/design/launch-agent.md. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/frame_channel.h"
#include "launcher/base/private_dir.h"
#include "launcher/image/image_maker.h"
#include "launcher/openmpi/stager_message.h"
#include "launcher/staging/image_node.h"
#include "launcher/staging/image_source.h"

namespace rex::openmpi {

// What a stager wants of its machine.
struct StagerMachine {
  // An image of programs that are here; slow, never on the loop's thread.
  std::function<Result<MadeImage>(const ImageQuery&, const StoreOptions&)> make_image;
  // A directory of the stager's own below this one.
  std::function<Result<PrivateDir>(const std::string& parent)> make_dir;
  // Runs it beside the loop.
  std::function<void(std::function<void()>)> in_background;
};
StagerMachine OwnMachine();

class Stager {
 public:
  // `on_end`: the owner is gone, or speaks nonsense. From the loop.
  Stager(EventLoop& loop, UniqueFd socket, StagerMachine machine, std::function<void()> on_end);
  ~Stager();
  Stager(const Stager&) = delete;
  Stager& operator=(const Stager&) = delete;

 private:
  // At mpirun's end.
  struct Sent {
    std::shared_ptr<const Image> image;
    Transport transport = Transport::kAuto;
    std::map<NodeId, std::string> names;
    std::vector<StagerMessage> early;  // of nodes, before there is a source
    std::unique_ptr<ImageSource> source;
  };
  // At a node's.
  struct Fetched {
    std::unique_ptr<ImageNode> images;
    std::vector<StagedApp> apps;
  };

  void OnMessage(const std::string& payload);
  void Make(const StagerMessage& message);
  void OnMade(uint32_t job, Result<MadeImage> made);
  void Start(const StagerMessage& message);
  void End(uint32_t job);
  void Begin(const StagerMessage& message);
  Status Fetch(uint32_t job, const std::string& image);
  void OnPeer(const StagerMessage& message);
  Status MakeDirs();
  void Reply(rex_stager_kind kind, uint32_t job, NodeId node, std::vector<std::string> words);
  void Fail(uint32_t job, NodeId node, const std::string& detail, const std::string& remedy);
  ImagePort PortFor(uint32_t job);
  LinkParams ParamsFor(NodeId peer, const std::string& name) const;

  EventLoop& loop_;
  const StagerMachine machine_;
  std::function<void()> on_end_;
  FrameChannel channel_;
  NodeId self_ = kHeadNode;
  std::string name_ = "mpirun";
  std::string head_name_ = "mpirun";
  LinkKey key_;
  bool has_key_ = false;  // at mpirun's end
  std::optional<PrivateDir> memory_;
  std::optional<PrivateDir> disk_;
  std::map<uint32_t, Sent> sent_;  // by job
  std::map<uint32_t, Fetched> fetched_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Nodes' messages that come before it is known which nodes there are: so many are kept for a job.
inline constexpr size_t kMostEarlyMessages = 1 << 16;

// "memory", "disk", or a directory. Pure.
StoreOptions StoreNamed(const std::string& text);
// "auto", "tree", "multicast"; as auto: anything else. Pure.
Transport TransportNamed(const std::string& text);

}  // namespace rex::openmpi
