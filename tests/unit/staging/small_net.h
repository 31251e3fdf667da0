// A head and a few nodes in one process: messages go through the loop, pieces over real sockets.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/image/image_maker.h"
#include "launcher/staging/image_node.h"
#include "launcher/staging/image_source.h"

namespace rex::testing {

class SmallNet : public ::testing::Test {
 protected:
  static constexpr uint32_t kJob = 1;

  struct Node {
    std::unique_ptr<ImageNode> images;
    bool planned = false;
    std::vector<StagedApp> apps;
    std::optional<std::string> note;  // placed
    std::optional<StageProblem> problem;
    bool muted = false;  // what it is sent is lost: it is gone
  };

  SmallNet() : dir_("/dev/shm/rex-small-net-" + std::to_string(::getpid())), key_(MakeLinkKey()) {
    ::signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directories(dir_ + "/head");
  }
  ~SmallNet() override {
    source_.reset();
    nodes_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  std::string HeadFile(const std::string& name) const { return dir_ + "/head/" + name; }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(HeadFile(name), std::ios::binary) << content;
  }
  // Bytes that do not repeat from block to block.
  static std::string Content(size_t bytes, unsigned seed = 1) {
    std::string text(bytes, '\0');
    uint32_t x = seed * 2654435761U + 1;
    for (char& c : text) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    return text;
  }
  static std::string Name(uint32_t i) { return i == 0 ? "head" : "n" + std::to_string(i); }

  // An image of these files of the head, as --preload-files would make it.
  Image MakeFor(const std::vector<std::string>& names) {
    ImageQuery query;
    query.always = true;
    for (const std::string& name : names) query.preload_files.push_back(HeadFile(name));
    auto made = MakeImage(query, SendRules({}), nullptr);
    EXPECT_TRUE(made) << made.error().text;
    Image image = std::move(made->image);
    image.store.kind = StoreKind::kDirectory;
    image.store.directory = dir_;
    return image;
  }

  void Launch(const Image& image, uint32_t nodes, Creation creation = Creation::kGroup,
              Transport transport = Transport::kTree) {
    image_ = std::make_shared<const Image>(image);
    ImageSource::Handlers handlers;
    handlers.name_of = [this](NodeId id) -> const std::string& {
      return names_[id] = Name(Index(id));
    };
    handlers.on_failed = [this](NodeId at, const ImageFailed& failed) {
      failed_at_ = at;
      failed_ = failed;
    };
    handlers.on_notice = [this](const std::string& text) { notice_ = text; };
    source_ =
        std::make_unique<ImageSource>(loop_, PortOf(0), image_, creation, transport, handlers);
    std::vector<NodeId> ids;
    for (uint32_t i = 1; i <= nodes; ++i) ids.push_back(NodeId{i});
    source_->Begin(kJob, ids);
    for (uint32_t i = 1; i <= nodes; ++i) Begin(i);
  }
  void Begin(uint32_t i) {
    Node& node = nodes_[i];
    if (!node.images) node.images = std::make_unique<ImageNode>(loop_, PortOf(i));
    const std::string job = JobDir(i);
    ImageFetch::Handlers handlers;
    handlers.on_planned = [&node](const std::vector<StagedApp>& apps) {
      node.planned = true;
      node.apps = apps;
    };
    handlers.on_placed = [&node](const std::string& note) { node.note = note; };
    handlers.on_failed = [&node](const StageProblem& problem) { node.problem = problem; };
    const Status begun = node.images->Begin(
        {kJob, {job + "/image", job + "/image"}, job + "/session", "-" + Name(i)}, ToWire(*image_),
        handlers);
    EXPECT_TRUE(begun);
  }
  // The launch is over; what the nodes have stored stays.
  void EndLaunch() {
    source_.reset();
    for (auto& [i, node] : nodes_) std::filesystem::remove_all(JobDir(i));
    nodes_.clear();
    failed_.reset();
    pieces_by_tree_ = 0;
  }
  std::string JobDir(uint32_t i) const { return dir_ + "/job-" + Name(i); }
  std::string StoreDir(uint32_t i) const {
    return dir_ + "/rexstore-" + std::to_string(::geteuid()) + "-" + Name(i);
  }
  std::string Received(uint32_t i, const std::string& name) {
    const auto text = ReadFile(JobDir(i) + "/image" + HeadFile(name), 1 << 30);
    return text ? *text : "(none)";
  }
  // By the nodes 1 to `nodes`.
  void ExpectReceived(const std::string& name, const std::string& content, uint32_t nodes) {
    for (uint32_t i = 1; i <= nodes; ++i) EXPECT_EQ(Received(i, name), content) << "node " << i;
  }
  // Runs until `done`, at most as long as ctest lets a unit test.
  template <typename F>
  bool Until(F done) {
    bool late = false;
    Timer bound(loop_, [&] { late = true; });
    bound.Set(std::chrono::seconds(55));
    while (!late && !done()) loop_.RunOnce();
    return done();
  }
  bool AllPlaced() {
    return Until([this] {
      for (const auto& [i, node] : nodes_) {
        if (!node.muted && !node.note) return false;
      }
      return true;
    });
  }
  uint64_t BytesSent() const { return SentOf(source_->account().note); }
  static uint64_t SentOf(const std::string& note) {
    const size_t at = note.find(" bytes sent");
    if (at == note.npos) return UINT64_MAX;
    const size_t begin = note.rfind(' ', at - 1) + 1;
    return std::stoull(note.substr(begin, at - begin));
  }

  ImagePort PortOf(uint32_t i) {
    ImagePort port;
    port.self = NodeId{i};
    port.name = Name(i);
    port.send = [this, i](NodeId to, uint8_t kind, FrameClass, std::string payload) {
      loop_.Post(
          [this, i, to, kind, payload = std::move(payload)] { Deliver(i, to, kind, payload); });
    };
    port.queued = [](NodeId) { return size_t{0}; };
    port.listen = [this, i](LinkListener::Wanted wanted, LinkListener::OnChild on_child) {
      return LinkListener::Open(loop_, NodeId{i}, DvmId{}, key_, "1", std::move(wanted),
                                std::move(on_child));
    };
    port.dial = [this, i](NodeId peer, const std::string& name, std::vector<std::string> addresses,
                          uint16_t number, std::chrono::milliseconds bound,
                          std::function<void(Result<AuthenticatedStream>)> done) {
      LinkParams params;
      params.role = LinkRole::kChild;
      params.self = NodeId{i};
      params.peer = peer;
      params.key = &key_;
      params.version = "1";
      params.peer_name = name;
      return std::make_unique<LinkDialer>(loop_, std::move(params), std::move(addresses), number,
                                          bound, std::move(done));
    };
    port.one_machine = true;
    port.addresses = [] { return std::vector<std::string>{"127.0.0.1"}; };
    port.key = [this](const TransferId& id) { return MakeTransferKey(key_.bytes, id); };
    return port;
  }
  void Deliver(uint32_t from, NodeId to, uint8_t kind, const std::string& payload) {
    if (kind == kImagePieceKind) ++pieces_by_tree_;
    if (to == kHeadNode) {
      if (source_ && !nodes_[from].muted) {
        EXPECT_TRUE(source_->OnMessage(NodeId{from}, kind, payload));
      }
      return;
    }
    Node& node = nodes_[Index(to)];
    if (node.images && !node.muted) {
      EXPECT_TRUE(node.images->OnMessage(kind, payload));
    }
  }
  // As if it had been killed.
  void Kill(uint32_t i) {
    nodes_[i].muted = true;
    nodes_[i].images.reset();
    source_->OnNodesLost({NodeId{i}});
  }

  EventLoop loop_;
  const std::string dir_;
  LinkKey key_;
  std::map<NodeId, std::string> names_;
  std::shared_ptr<const Image> image_;
  std::unique_ptr<ImageSource> source_;
  std::map<uint32_t, Node> nodes_;
  std::optional<NodeId> failed_at_;
  std::optional<ImageFailed> failed_;
  std::string notice_;
  int pieces_by_tree_ = 0;
};

}  // namespace rex::testing
