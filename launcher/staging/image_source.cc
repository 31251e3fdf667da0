#include "launcher/staging/image_source.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "launcher/base/log.h"
#include "launcher/image/shape.h"
#include "launcher/staging/own_image.h"

namespace rex {

namespace {
constexpr size_t kTreeHighBytes = 256 << 10;  // waiting on a link: repairs pause
constexpr std::chrono::milliseconds kRepairTick{5};

Error Changed(const std::string& path) {
  return {Errc::kInvalid, "'" + path + "' changed while it was sent"};
}
}  // namespace

// ---- the files

ImageReader::ImageReader(std::shared_ptr<const Image> image)
    : image_(std::move(image)), geometry_(image_->MakeGeometry()) {}

Result<std::string> ImageReader::Read(uint64_t block) {
  const Geometry::Place place = geometry_.BlockPlace(block);
  const ImageFile& file = image_->files[place.file];
  if (open_file_ != place.file) {
    fd_.Reset(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd_) return Error::FromErrno(errno, "open '" + file.path + "'");
    open_file_ = place.file;
  }
  std::string content(place.bytes, '\0');
  const Status read = ReadRange(fd_.get(), place.offset, content.data(), content.size());
  if (!read && read.error().sys_errno != 0) {
    return Error{read.error().code, "'" + file.path + "': " + read.error().text};
  }
  const uint64_t index = block - geometry_.FirstBlock(place.file);
  if (!read || BlockDigest(content) != file.digest.blocks[index]) return Changed(file.path);
  return content;
}

// ---- what nodes lack

ImageSource::ImageSource(EventLoop& loop, ImagePort port, std::shared_ptr<const Image> image,
                         Creation creation, Transport transport, Handlers handlers)
    : loop_(loop),
      port_(std::move(port)),
      image_(std::move(image)),
      geometry_(image_->MakeGeometry()),
      creation_(creation),
      transport_(transport),
      handlers_(std::move(handlers)),
      reader_(image_),
      follower_port_(loop, port_,
                     {[this](const TransferId& id, NodeId node, UniqueFd& socket) {
                        return OnFollower(id, node, socket);
                      },
                      {}}),
      repair_timer_(loop, [this] { PumpRepairs(); }),
      probe_timer_(loop, [this] { OnProbesOver(); }) {}

void ImageSource::Begin(uint64_t job, const std::vector<NodeId>& nodes) {
  job_ = job;
  begin_ = loop_.clock().Now();
  unanswered_.insert(nodes.begin(), nodes.end());
  awaited_ = unanswered_;
}

Status ImageSource::OnMessage(NodeId from, uint8_t kind, const std::string& payload) {
  switch (kind) {
    case kImageNeedKind:
      return OnNeed(from, payload);
    case kImageRepairKind:
      return OnRepair(from, payload);
    case kImageDoneKind:
      return OnDone(from, payload);
    case kImageHeardKind:
      return OnHeard(from, payload);
    case kImageGapsKind: {
      const auto gaps = ImageFromWire<ImageGaps>(payload);
      if (!gaps) return gaps.error();
      if (caster_) caster_->OnGaps(from, *gaps);
      return Ok{};
    }
    case kImageFailedKind: {
      const auto failed = ImageFromWire<ImageFailed>(payload);
      if (!failed) return failed.error();
      Fail(from, *failed);
      return Ok{};
    }
    default:
      return Error{Errc::kProtocol, "an unknown message about an image"};
  }
}

Status ImageSource::OnNeed(NodeId from, const std::string& payload) {
  auto need = ImageFromWire<ImageNeed>(payload);
  if (!need) return need.error();
  if (unanswered_.erase(from) == 0) return Ok{};
  if (need->wanted.empty()) {
    awaited_.erase(from);
    if (awaited_.empty()) end_ = loop_.clock().Now();
  } else {
    needs_[from] = *std::move(need);
  }
  RouteWhenAllAnswered();
  return Ok{};
}

Status ImageSource::OnDone(NodeId from, const std::string& payload) {
  const auto done = ImageFromWire<ImageDone>(payload);
  if (!done) return done.error();
  received_ += done->received;
  awaited_.erase(from);
  if (awaited_.empty()) end_ = loop_.clock().Now();
  return Ok{};
}

void ImageSource::OnNodesLost(const std::vector<NodeId>& nodes) {
  for (const NodeId node : nodes) {
    unanswered_.erase(node);
    awaited_.erase(node);
    std::erase_if(repairs_, [node](const Repair& repair) { return repair.node == node; });
    if (!routed_all_ || probing_) needs_.erase(node);
    if (caster_) caster_->OnNodeLost(node);
  }
  RouteWhenAllAnswered();
}

// ---- who gets pieces from whom

void ImageSource::RouteWhenAllAnswered() {
  if (routed_all_ || failed_ || !unanswered_.empty() || begin_.count() == 0) return;
  routed_all_ = true;
  if (needs_.empty()) return;
  if (WantsCast()) return BeginCast();
  Route();
}

// ---- multicast

bool ImageSource::WantsCast() const {
  if (creation_ != Creation::kGroup || transport_ == Transport::kTree) return false;
  return transport_ == Transport::kMulticast || needs_.size() >= kAutoCastNodes;
}

void ImageSource::BeginCast() {
  BlockSet all(geometry_.blocks());
  for (const auto& [node, need] : needs_) all.AddAll(need.wanted);
  Transfer& transfer = NewTransfer(all);
  transfer.first = kHeadNode;  // nobody connects
  // 239/8: of an organisation's own, RFC 2365. Groups and ports of other jobs are others.
  const auto random = [&](size_t i) { return uint32_t{transfer.id[i]}; };
  cast_ = {job_, transfer.id, 0xef000000U | random(8) << 16 | random(9) << 8 | random(10),
           static_cast<uint16_t>(32768 + (random(11) << 8 | random(12)) % 28000), all};
  probing_ = true;
  for (const auto& [node, need] : needs_) {
    heard_[node] = 0;
    port_.send(node, kImageCastKind, FrameClass::kControl, ToWire(cast_));
  }
  for (const CastInterface& interface : CastInterfaces(port_.one_machine)) {
    if (probes_.size() + 1 >= 64) break;
    auto socket = OpenCastSender(cast_, interface);
    if (socket) probes_.push_back(std::move(*socket));
  }
  probe_timer_.Set(kProbeBound);
}

Status ImageSource::OnHeard(NodeId from, const std::string& payload) {
  const auto heard = ImageFromWire<ImageHeard>(payload);
  if (!heard) return heard.error();
  if (!probing_ || heard->probe >= 64 || !heard_.contains(from)) return Ok{};
  heard_[from] |= uint64_t{1} << heard->probe;
  uint64_t all = ~uint64_t{0};
  for (const auto& [node, need] : needs_) all &= heard_[node];
  if (probe_rounds_ == 0 && (all & 1) != 0) {
    SendProbes();
  } else if (all >> 1 != 0) {
    StartCast(static_cast<uint32_t>(__builtin_ctzll(all >> 1)) + 1);
  }
  return Ok{};
}

void ImageSource::SendProbes() {
  ++probe_rounds_;
  for (size_t i = 0; i < probes_.size(); ++i) {
    const std::string text = EncodeDatagram(
        cast_.transfer, {DatagramKind::kProbe, static_cast<uint16_t>(i + 1), 0, 0, {}});
    (void)::send(probes_[i].get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  probe_timer_.Set(kProbePause);
}

void ImageSource::OnProbesOver() {
  if (!probing_) return;
  constexpr int kProbeRounds = 10;
  if (probe_rounds_ > 0 && probe_rounds_ < kProbeRounds) return SendProbes();
  for (const auto& [node, need] : needs_) {
    if (heard_[node] <= 1)
      return GiveUpCast("node " + handlers_.name_of(node) + " does not hear it");
  }
  GiveUpCast("no network reaches all nodes by it");
}

void ImageSource::GiveUpCast(const std::string& why) {
  probing_ = false;
  probe_timer_.Cancel();
  probes_.clear();
  const std::string text =
      "multicast is not carried to the nodes (" + why + "); the program goes from node to node";
  if (handlers_.on_notice) {
    loop_.Post([this, alive = alive_, text] {
      if (*alive) handlers_.on_notice(text);
    });
  }
  if (!needs_.empty()) Route();
}

void ImageSource::StartCast(uint32_t probe) {
  probing_ = false;
  probe_timer_.Cancel();
  UniqueFd socket = std::move(probes_[probe - 1]);
  probes_.clear();
  std::set<NodeId> nodes;
  for (const auto& [node, need] : needs_) {
    nodes.insert(node);
    routed_[node] = cast_.transfer;
    ImageRoute route;
    route.job = job_;
    route.transfer = cast_.transfer;
    route.coming = cast_.coming;
    route.source_name = port_.name;
    port_.send(node, kImageRouteKind, FrameClass::kControl, ToWire(route));
  }
  CastSender::Handlers handlers;
  handlers.seal = [this](uint64_t block, std::vector<Record>* records) {
    return !failed_ && SealBlock(*Find(cast_.transfer), block, records);
  };
  // Whoever still lacks something asks: the end of pieces is told over the tree.
  handlers.on_end = [this] {
    std::string end(reinterpret_cast<const char*>(cast_.transfer.data()), cast_.transfer.size());
    end += EndRecord();
    for (const NodeId node : awaited_) {
      if (routed_.contains(node)) port_.send(node, kImagePieceKind, FrameClass::kControl, end);
    }
  };
  caster_ = std::make_unique<CastSender>(loop_, cast_, geometry_, std::move(socket), nodes,
                                         std::move(handlers));
}

ImageSource::Transfer& ImageSource::NewTransfer(const BlockSet& coming) {
  auto transfer = std::make_unique<Transfer>();
  transfer->id = MakeTransferId();
  transfer->key = port_.key(transfer->id);
  transfer->coming = coming;
  Transfer& made = *transfer;
  transfers_[made.id] = std::move(transfer);
  return made;
}

void ImageSource::Route() {
  if (creation_ == Creation::kMultiple) {
    for (const auto& [node, need] : needs_) {
      Transfer& transfer = NewTransfer(need.wanted);
      transfer.first = node;
      SendRoute(transfer, node, kHeadNode, {});
    }
    return;
  }
  BlockSet all(geometry_.blocks());
  std::vector<NodeId> nodes;
  for (const auto& [node, need] : needs_) {
    all.AddAll(need.wanted);
    nodes.push_back(node);
  }
  fan_out_ = BestFanOut(nodes.size(), all.count() * kPiecesPerBlock);
  const std::vector<int> parents = ImageParents(nodes.size(), fan_out_);
  Transfer& transfer = NewTransfer(all);
  transfer.first = nodes.front();
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::vector<NodeId> followers;
    for (size_t j = 0; j < nodes.size(); ++j) {
      if (parents[j] == static_cast<int>(i)) followers.push_back(nodes[j]);
    }
    SendRoute(transfer, nodes[i], i == 0 ? kHeadNode : nodes[static_cast<size_t>(parents[i])],
              followers);
  }
}

void ImageSource::SendRoute(const Transfer& transfer, NodeId to, NodeId source,
                            const std::vector<NodeId>& followers) {
  ImageRoute route;
  route.job = job_;
  route.transfer = transfer.id;
  route.coming = transfer.coming;
  route.source = source;
  route.followers = followers;
  if (source == kHeadNode) {
    route.source_name = port_.name;
    route.port = follower_port_.Open().has_value() ? *follower_port_.Open() : 0;
    route.addresses = port_.addresses();
  } else {
    const ImageNeed& need = needs_.at(source);
    route.source_name = handlers_.name_of(source);
    route.port = need.port;
    route.addresses = need.addresses;
  }
  routed_[to] = transfer.id;
  port_.send(to, kImageRouteKind, FrameClass::kControl, ToWire(route));
  if (source == kHeadNode && route.port == 0) {
    // There is no other way than the tree's links.
    for (uint64_t block = 0; block < geometry_.blocks(); ++block) {
      if (transfer.coming.Has(block)) repairs_.push_back({to, transfer.id, block});
    }
    repair_timer_.Set(kRepairTick);
  }
}

ImageSource::Transfer* ImageSource::Find(const TransferId& id) {
  const auto found = transfers_.find(id);
  return found == transfers_.end() ? nullptr : found->second.get();
}

// ---- sending

bool ImageSource::OnFollower(const TransferId& id, NodeId node, UniqueFd& socket) {
  Transfer* transfer = Find(id);
  if (transfer == nullptr || node != transfer->first) return false;
  transfer->sender = std::make_unique<PieceSender>(
      loop_, std::move(socket), PieceSender::Handlers{[this, transfer] { Pump(transfer); }, {}});
  Pump(transfer);
  return true;
}

// A file that changes, or can't be read any more, ends the launch.
bool ImageSource::SealBlock(const Transfer& transfer, uint64_t block,
                            std::vector<Record>* records) {
  const auto content = reader_.Read(block);
  if (!content) {
    ImageFailed failed;
    failed.detail = content.error().text;
    failed.remedy = "launch again when nobody writes to it";
    Fail(kHeadNode, failed);
    return false;
  }
  for (uint64_t at = 0; at < content->size(); at += kPieceBytes) {
    const auto piece = static_cast<uint32_t>(block * kPiecesPerBlock + at / kPieceBytes);
    records->push_back(std::make_shared<const std::string>(SealPiece(
        transfer.key, transfer.id, piece, std::string_view(*content).substr(at, kPieceBytes))));
  }
  return true;
}

void ImageSource::Pump(Transfer* transfer) {
  while (!failed_ && !transfer->ended && !transfer->sender->gone() &&
         transfer->sender->queued() < kFollowerHighBytes) {
    while (transfer->next_block < geometry_.blocks() &&
           !transfer->coming.Has(transfer->next_block)) {
      ++transfer->next_block;
    }
    if (transfer->next_block >= geometry_.blocks()) {
      transfer->ended = true;
      return transfer->sender->End();
    }
    std::vector<Record> records;
    if (!SealBlock(*transfer, transfer->next_block, &records)) return;
    ++transfer->next_block;
    for (Record& record : records) {
      sent_direct_ += record->size();
      transfer->sender->Send(std::move(record));
    }
  }
}

Status ImageSource::OnRepair(NodeId from, const std::string& payload) {
  const auto repair = ImageFromWire<ImageRepair>(payload);
  if (!repair) return repair.error();
  Log(LogLevel::kInfo, "image repair node=" + std::to_string(Index(from)) + " blocks=" +
                           std::to_string(repair->missing.count()) + " why=" + repair->why);
  if (!awaited_.contains(from)) awaited_.insert(from);  // another launch had promised it
  if (!routed_.contains(from)) {
    Transfer& transfer = NewTransfer(repair->missing);
    transfer.first = kHeadNode;  // nobody connects
    routed_[from] = transfer.id;
    ImageRoute route;
    route.job = job_;
    route.transfer = transfer.id;
    route.coming = repair->missing;
    route.source_name = port_.name;
    port_.send(from, kImageRouteKind, FrameClass::kControl, ToWire(route));
  }
  for (uint64_t block = 0; block < geometry_.blocks(); ++block) {
    if (repair->missing.Has(block)) repairs_.push_back({from, routed_.at(from), block});
  }
  repair_timer_.Set(std::chrono::milliseconds(0));
  return Ok{};
}

// Over the tree, behind everything else there, and never much of it at once.
void ImageSource::PumpRepairs() {
  for (size_t tried = 0; !failed_ && tried < repairs_.size();) {
    const Repair repair = repairs_.front();
    repairs_.pop_front();
    if (port_.queued(repair.node) >= kTreeHighBytes) {
      repairs_.push_back(repair);  // others may be free
      ++tried;
      continue;
    }
    std::vector<Record> records;
    if (!SealBlock(*Find(repair.transfer), repair.block, &records)) return;
    for (const Record& record : records) {
      sent_by_tree_ += record->size();
      std::string message(reinterpret_cast<const char*>(repair.transfer.data()),
                          repair.transfer.size());
      port_.send(repair.node, kImagePieceKind, FrameClass::kImage, message + *record);
    }
  }
  if (!failed_ && !repairs_.empty()) repair_timer_.Set(kRepairTick);
}

void ImageSource::Fail(NodeId at, ImageFailed failed) {
  if (std::exchange(failed_, true)) return;
  repairs_.clear();
  loop_.Post([this, alive = alive_, at, failed = std::move(failed)] {
    if (*alive) handlers_.on_failed(at, failed);
  });
}

ImageSource::Account ImageSource::account() const {
  Account account{begin_, end_, ""};
  account.note = ContentText(*image_);
  if (needs_.empty() && sent_by_tree_ == 0) {
    account.note += ", all there: 0 bytes sent";
    return account;
  }
  const uint64_t by_cast = caster_ ? caster_->sent() : 0;
  account.note += ", " + std::to_string(sent_direct_ + sent_by_tree_ + by_cast) +
                  " bytes sent for " + std::to_string(needs_.size()) + " nodes (" +
                  (caster_                            ? std::string("multicast")
                   : creation_ == Creation::kMultiple ? std::string("one each")
                   : fan_out_ == 1                    ? std::string("chain")
                                                      : std::to_string(fan_out_) + "-ary") +
                  ")";
  if (sent_by_tree_ > 0)
    account.note += ", " + std::to_string(sent_by_tree_) + " of them over the tree";
  return account;
}

}  // namespace rex
