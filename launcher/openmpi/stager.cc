#include "launcher/openmpi/stager.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "launcher/base/log.h"
#include "launcher/staging/own_image.h"

namespace rex::openmpi {

namespace {
constexpr uint8_t kFrameKind = 1;

struct MakeOrder {
  ImageQuery query;
  StoreOptions store;
};

MakeOrder ReadMakeOrder(const StagerMessage& message) {
  MakeOrder order;
  order.store = StoreNamed(message.words[0]);
  order.query.always = message.words[1] == "always";
  for (size_t i = 3; i < message.words.size(); ++i) {
    std::vector<std::string> parts = SplitParts(message.words[i]);
    ImageQuery::App& app = order.query.apps.emplace_back();
    if (parts.empty()) continue;
    app.program = std::move(parts.front());
    app.env.assign(std::make_move_iterator(parts.begin() + 1),
                   std::make_move_iterator(parts.end()));
  }
  return order;
}

Result<MadeImage> MakeHere(const ImageQuery& query, const StoreOptions& store) {
  std::vector<std::string> env;
  for (const char* name : {"HOME", "XDG_CONFIG_HOME"}) {
    if (const char* value = std::getenv(name)) env.push_back(std::string(name) + "=" + value);
  }
  return MakeOwnImage(query, store, env);
}

std::string WhoseProgramsAreIn(const Image& image) {
  std::string flags;
  for (const ImageApp& app : image.apps) flags.push_back(app.program >= 0 ? '1' : '0');
  return flags;
}

std::string KeyText(const LinkKey& key) {
  return {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()};
}

std::string PartsOf(const StagedApp& app) {
  return JoinParts({app.path, app.in_place ? "1" : "", app.library_path, app.directory});
}
}  // namespace

StoreOptions StoreNamed(const std::string& text) {
  StoreOptions store;
  if (text == "disk") store.kind = StoreKind::kDisk;
  if (text.starts_with('/')) {
    store.kind = StoreKind::kDirectory;
    store.directory = text;
  }
  return store;
}

Transport TransportNamed(const std::string& text) {
  if (text == "tree") return Transport::kTree;
  return text == "multicast" ? Transport::kMulticast : Transport::kAuto;
}

StagerMachine OwnMachine() {
  return {MakeHere, [](const std::string& parent) { return PrivateDir::Create(parent); },
          [](std::function<void()> task) { std::thread(std::move(task)).detach(); }};
}

Stager::Stager(EventLoop& loop, UniqueFd socket, StagerMachine machine,
               std::function<void()> on_end)
    : loop_(loop),
      machine_(std::move(machine)),
      on_end_(std::move(on_end)),
      channel_(loop, std::move(socket), kMostStagerBytes,
               {[this](uint8_t, FrameClass, const std::string& payload) { OnMessage(payload); },
                [this](const Error&) { on_end_(); }}) {}

Stager::~Stager() {
  *alive_ = false;
  sent_.clear();
  fetched_.clear();
  if (memory_) memory_->Remove();
  if (disk_) disk_->Remove();
}

void Stager::OnMessage(const std::string& payload) {
  const auto message = DecodeStagerMessage(payload);
  if (!message) {
    Log(LogLevel::kError, message.error().text);
    return on_end_();
  }
  switch (message->kind) {
    case REX_STAGER_MAKE:
      return Make(*message);
    case REX_STAGER_START:
      return Start(*message);
    case REX_STAGER_LOST:
      if (const auto sent = sent_.find(message->job); sent != sent_.end() && sent->second.source) {
        sent->second.source->OnNodesLost({NodeId{message->node}});
      }
      return;
    case REX_STAGER_END:
      return End(message->job);
    case REX_STAGER_BEGIN:
      return Begin(*message);
    case REX_STAGER_PEER:
      return OnPeer(*message);
    case REX_STAGER_MADE:
    case REX_STAGER_NOT_MADE:
    case REX_STAGER_ACCOUNT:
    case REX_STAGER_READY:
    case REX_STAGER_FAILED:
    case REX_STAGER_OFFER:
    case REX_STAGER_HERE:
    case REX_STAGER_CANCEL:
      Log(LogLevel::kWarn, "a message that is not for a stager: kind " +
                               std::to_string(static_cast<int>(message->kind)));
      return;
  }
}

void Stager::Reply(rex_stager_kind kind, uint32_t job, NodeId node,
                   std::vector<std::string> words) {
  channel_.Send(kFrameKind, FrameClass::kControl,
                EncodeStagerMessage({kind, job, Index(node), std::move(words)}));
}

void Stager::Fail(uint32_t job, NodeId node, const std::string& detail, const std::string& remedy) {
  Reply(REX_STAGER_FAILED, job, node, {detail, remedy});
}

// ---- mpirun's end

void Stager::Make(const StagerMessage& message) {
  if (!std::exchange(has_key_, true)) key_ = MakeLinkKey();
  sent_[message.job] = Sent{};
  sent_[message.job].transport = TransportNamed(message.words[2]);
  // `make` is a copy: this may be gone meanwhile.
  machine_.in_background([this, loop = &loop_, alive = alive_, make = machine_.make_image,
                          job = message.job, order = ReadMakeOrder(message)] {
    auto made = std::make_shared<Result<MadeImage>>(make(order.query, order.store));
    loop->Post([this, alive, job, made] {
      if (*alive) OnMade(job, std::move(*made));
    });
  });
}

void Stager::OnMade(uint32_t job, Result<MadeImage> made) {
  const auto sent = sent_.find(job);
  if (sent == sent_.end()) return;  // ended meanwhile
  if (!made) {
    Reply(REX_STAGER_NOT_MADE, job, kHeadNode,
          {made.error().text,
           "make it readable, or leave it to the nodes: --mca filem_rex_stage never"});
    return;
  }
  Image& image = made->image;
  const std::string flags = WhoseProgramsAreIn(image);
  std::string wire;
  std::string note = "nothing to be sent";
  if (!image.files.empty()) {
    sent->second.image = std::make_shared<const Image>(std::move(image));
    wire = ToWire(*sent->second.image);
    note = ContentText(*sent->second.image);
  }
  Reply(REX_STAGER_MADE, job, kHeadNode, {KeyText(key_), wire, note, flags});
}

void Stager::Start(const StagerMessage& message) {
  const auto found = sent_.find(message.job);
  if (found == sent_.end() || !found->second.image) return;
  Sent& sent = found->second;
  std::vector<NodeId> nodes;
  for (const std::string& word : message.words) {
    const size_t blank = std::min(word.find(' '), word.size());
    nodes.push_back(NodeId{static_cast<uint32_t>(std::atoll(word.c_str()))});
    sent.names[nodes.back()] = word.substr(std::min(blank + 1, word.size()));
  }
  sent.source = std::make_unique<ImageSource>(
      loop_, PortFor(message.job), sent.image, Creation::kGroup, sent.transport,
      ImageSource::Handlers{
          [names = &sent.names](NodeId id) -> const std::string& { return (*names)[id]; },
          [this, job = message.job](NodeId at, const ImageFailed& failed) {
            Fail(job, at, failed.detail, failed.remedy);
          }});
  sent.source->Begin(message.job, nodes);
  for (const StagerMessage& early : std::exchange(sent.early, {})) OnPeer(early);
}

void Stager::End(uint32_t job) {
  if (const auto sent = sent_.find(job); sent != sent_.end()) {
    std::string note;
    if (sent->second.source) note = sent->second.source->account().note;
    sent_.erase(sent);
    Reply(REX_STAGER_ACCOUNT, job, kHeadNode, {note});
  }
  fetched_.erase(job);
}

// ---- a node's end

Status Stager::MakeDirs() {
  if (memory_ || disk_) return Ok{};
  RemoveStaleDirs(kShmParent);
  RemoveStaleDirs(TempParent());
  if (auto memory = machine_.make_dir(kShmParent)) memory_ = std::move(*memory);
  auto disk = machine_.make_dir(TempParent());
  if (disk) disk_ = std::move(*disk);
  return memory_ || disk_ ? Status(Ok{}) : Status(disk.error());
}

void Stager::Begin(const StagerMessage& message) {
  self_ = NodeId{message.node};
  name_ = message.words[0];
  head_name_ = message.words[1];
  const std::string& key = message.words[2];
  if (key.size() != key_.bytes.size()) {
    return Fail(message.job, self_, "the image's key is none", "this is a bug");
  }
  std::memcpy(key_.bytes.data(), key.data(), key.size());
  const Status begun = Fetch(message.job, message.words[3]);
  if (!begun) {
    fetched_.erase(message.job);
    Fail(message.job, self_, begun.error().text, "make room there, or another TMPDIR");
  }
}

Status Stager::Fetch(uint32_t job, const std::string& image) {
  if (const Status made = MakeDirs(); !made) return made;
  const std::string below = "/" + std::to_string(job) + "/image";
  const std::string disk = (disk_ ? disk_ : memory_)->path() + below;
  const std::string memory = (memory_ ? memory_ : disk_)->path() + below;
  Fetched& fetched = fetched_[job];
  fetched.apps.clear();
  fetched.images = std::make_unique<ImageNode>(loop_, PortFor(job));
  ImageFetch::Handlers handlers;
  handlers.on_planned = [this, job](const std::vector<StagedApp>& apps) {
    fetched_[job].apps = apps;
  };
  handlers.on_placed = [this, job](const std::string& note) {
    std::vector<std::string> words{note};
    for (const StagedApp& app : fetched_[job].apps) words.push_back(PartsOf(app));
    Reply(REX_STAGER_READY, job, self_, std::move(words));
  };
  handlers.on_failed = [this, job](const StageProblem& problem) {
    Fail(job, self_, problem.detail, problem.remedy);
  };
  return fetched.images->Begin({job, {memory, disk}, "", ""}, image, std::move(handlers));
}

// ---- both

void Stager::OnPeer(const StagerMessage& message) {
  if (message.words[0].size() != 1) return;
  const auto kind = static_cast<uint8_t>(message.words[0][0]);
  Status taken = Ok{};
  const auto sent = sent_.find(message.job);
  if (sent != sent_.end() && !sent->second.source) {
    if (sent->second.early.size() < kMostEarlyMessages) sent->second.early.push_back(message);
  } else if (sent != sent_.end()) {
    taken = sent->second.source->OnMessage(NodeId{message.node}, kind, message.words[1]);
  } else if (const auto fetched = fetched_.find(message.job); fetched != fetched_.end()) {
    taken = fetched->second.images->OnMessage(kind, message.words[1]);
  }
  if (taken) return;
  Fail(message.job, NodeId{message.node}, taken.error().text, "this is a bug");
}

LinkParams Stager::ParamsFor(NodeId peer, const std::string& name) const {
  LinkParams params;
  params.role = LinkRole::kChild;
  params.self = self_;
  params.peer = peer;
  params.key = &key_;
  params.version = REX_VERSION;
  params.peer_name = name;
  return params;
}

// Outlived by this.
ImagePort Stager::PortFor(uint32_t job) {
  ImagePort port;
  port.self = self_;
  port.name = name_;
  port.send = [this, job](NodeId to, uint8_t kind, FrameClass, const std::string& payload) {
    Reply(REX_STAGER_PEER, job, to, {std::string(1, static_cast<char>(kind)), payload});
  };
  port.queued = [this](NodeId) { return channel_.QueuedBytes(); };
  port.listen = [this](LinkListener::Wanted wanted, LinkListener::OnChild on_child) {
    return LinkListener::Open(loop_, self_, DvmId{}, key_, REX_VERSION, std::move(wanted),
                              std::move(on_child));
  };
  port.dial = [this](NodeId peer, const std::string& name, std::vector<std::string> addresses,
                     uint16_t number, std::chrono::milliseconds bound,
                     std::function<void(Result<AuthenticatedStream>)> done) {
    return std::make_unique<LinkDialer>(loop_, ParamsFor(peer, "node " + name),
                                        std::move(addresses), number, bound, std::move(done));
  };
  port.addresses = [] { return LinkListener::OwnAddresses(); };
  port.key = [this](const TransferId& id) { return MakeTransferKey(key_.bytes, id); };
  return port;
}

}  // namespace rex::openmpi
