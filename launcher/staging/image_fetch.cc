#include "launcher/staging/image_fetch.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "launcher/base/log.h"
#include "launcher/link/tcp.h"
#include "launcher/staging/fault.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kPoll{50};

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }
}  // namespace

ImageFetch::ImageFetch(EventLoop& loop, const ImagePort& port, FollowerPort& followers, Place place,
                       Image image, Handlers handlers)
    : loop_(loop),
      port_(port),
      follower_port_(followers),
      place_(std::move(place)),
      image_(std::move(image)),
      geometry_(image_.MakeGeometry()),
      handlers_(std::move(handlers)),
      stall_(loop,
             [this] {
               Fail({"nothing of the program came for a long time",
                     "look at the network between the nodes, and at the node before it", false});
             }),
      connect_(loop,
               [this] {
                 followers_awaited_ = false;
                 Throttle();
               }),
      poll_(loop, [this] { PollOthers(); }) {
  std::thread([this, loop = &loop_, alive = alive_, image = image_, dirs = place_.dirs,
               suffix = place_.store_suffix] {
    auto checked = std::make_shared<CheckedImage>(CheckImage(image, dirs, suffix));
    loop->Post([this, alive, checked] {
      if (*alive) OnChecked(checked);
    });
  }).detach();
}

void ImageFetch::Take(FetchStep step) {
  if (const auto next = Next(state_, step)) state_ = *next;
}

void ImageFetch::Fail(StageProblem problem) {
  if (!Next(state_, FetchStep::kFail)) return;
  Take(FetchStep::kFail);
  stall_.Cancel();
  poll_.Cancel();
  source_.reset();
  dialer_.reset();
  loop_.Post([this, alive = alive_, problem = std::move(problem)] {
    if (*alive) handlers_.on_failed(problem);
  });
}

// ---- what is there

void ImageFetch::OnChecked(std::shared_ptr<CheckedImage> checked) {
  checked_ = std::move(checked);
  own_ = PieceLedger(geometry_, checked_->wanted);
  SendNeed();
  if (checked_->problem) return Fail(*checked_->problem);
  blocks_left_.resize(image_.files.size());
  bool others = false;
  for (uint32_t i = 0; i < image_.files.size(); ++i) {
    others |= checked_->files[i].place == FilePlace::kElsewhere;
    for (uint64_t b = geometry_.FirstBlock(i); b < geometry_.FirstBlock(i + 1); ++b) {
      if (checked_->wanted.Has(b)) ++blocks_left_[i];
    }
  }
  const bool all = checked_->wanted.empty() && !others;
  Take(all ? FetchStep::kAllThere : FetchStep::kSomeMissing);
  const std::shared_ptr<bool> alive = alive_;
  handlers_.on_planned(StagedApps(image_, *checked_));
  if (!*alive) return;
  if (all) return Settle();
  if (others) poll_.Set(kPoll);
  stall_.Set(kRouteBound);
}

// The head waits for every node's word before it sends anything.
void ImageFetch::SendNeed() {
  ImageNeed need{place_.job, checked_->wanted, 0, {}};
  if (!need.wanted.empty()) {
    const auto opened = follower_port_.Open();
    if (opened) need.port = *opened;
    need.addresses = port_.addresses();
    if (FaultOf(image_.fault, port_.name, "deaf") > 0) need.port = 1;
  }
  port_.send(kHeadNode, kImageNeedKind, FrameClass::kControl, ToWire(need));
}

// ---- the way

void ImageFetch::OnRoute(const ImageRoute& route) {
  if (routed_ || !checked_) return;
  routed_ = true;
  route_ = route;
  key_ = port_.key(route_.transfer);
  pass_ = PieceLedger(geometry_, route_.coming);
  followers_awaited_ = !route_.followers.empty();
  if (followers_awaited_) connect_.Set(kConnectBound);
  if (state_ == FetchState::kAwaiting) stall_.Set(kStallBound);
  follower_port_.Offer();
  Connect();
}

void ImageFetch::OnCast(const ImageCast& cast, std::function<void(Record)> on_record) {
  const auto heard = [this](uint32_t probe) {
    port_.send(kHeadNode, kImageHeardKind, FrameClass::kControl,
               ToWire(ImageHeard{place_.job, probe}));
  };
  CastReceiver::Handlers handlers;
  handlers.on_probe = heard;
  handlers.on_record = std::move(on_record);
  handlers.on_gaps = [this](const ImageGaps& gaps) {
    port_.send(kHeadNode, kImageGapsKind, FrameClass::kControl, ToWire(gaps));
  };
  auto opened = CastReceiver::Open(loop_, cast, geometry_, port_.one_machine,
                                   FaultOf(image_.fault, port_.name, "lose"), std::move(handlers));
  if (!opened) return Log(LogLevel::kInfo, "image multicast why=" + opened.error().text);
  cast_ = std::move(*opened);
  if (FaultOf(image_.fault, port_.name, "deaf") == 0) heard(0);
}

void ImageFetch::Connect() {
  if (route_.port == 0) return;  // pieces come over the tree
  dialer_ =
      port_.dial(route_.source, route_.source_name, route_.addresses, route_.port, kConnectBound,
                 [this](Result<AuthenticatedStream> stream) { OnSource(std::move(stream)); });
}

void ImageFetch::OnSource(Result<AuthenticatedStream> stream) {
  dialer_.reset();
  if (!stream) return OnSourceGone(stream.error());
  // Sixteen bytes fit into an empty socket.
  const auto written =
      ::write(stream->socket.get(), route_.transfer.data(), route_.transfer.size());
  if (written != static_cast<ssize_t>(route_.transfer.size())) {
    return OnSourceGone({Errc::kClosed, "it hung up"});
  }
  source_ = std::make_unique<PieceReceiver>(
      loop_, std::move(stream->socket),
      PieceReceiver::Handlers{[this](Record record) { OnRecord(std::move(record)); },
                              [this](const Error& why) { OnSourceGone(why); }});
  Throttle();
}

void ImageFetch::OnSourceGone(const Error& why) {
  loop_.Post([this, alive = alive_] {
    if (*alive) source_.reset();
  });
  BlockSet missing = own_.Missing();
  missing.AddAll(pass_.Missing());
  if (missing.empty()) return;
  Log(LogLevel::kInfo, "image source lost node=" + route_.source_name + " why=" + why.text);
  AskFor(missing, "from " + route_.source_name + ": " + why.text);
}

void ImageFetch::AskFor(const BlockSet& missing, const std::string& why) {
  port_.send(kHeadNode, kImageRepairKind, FrameClass::kControl,
             ToWire(ImageRepair{place_.job, route_.transfer, missing, why}));
}

// ---- pieces

void ImageFetch::OnRecord(Record record) {
  const auto header = DecodePieceHeader(*record);
  if (!header || !routed_) return;
  if (header->piece == kEndOfPieces) return OnSourceGone({Errc::kClosed, "it had no more"});
  ++records_;
  if (state_ == FetchState::kAwaiting) stall_.Set(kStallBound);
  const uint32_t mute = FaultOf(image_.fault, port_.name, "mute");
  if (mute > 0 && records_ > mute) return;
  if (records_ == FaultOf(image_.fault, port_.name, "damage")) {
    auto damaged = std::make_shared<std::string>(*record);
    damaged->back() = static_cast<char>(~damaged->back());
    record = std::move(damaged);
  }
  OnPiece(header->piece, record);
}

void ImageFetch::OnPiece(uint32_t piece, const Record& record) {
  if (!own_.Lacks(piece) && !pass_.Lacks(piece)) return;
  const bool opened = OpenPiece(key_, route_.transfer, *record, &content_);
  const auto place = geometry_.PiecePlace(piece);
  if (!opened || content_.size() != place->bytes) {
    ++damaged_;
    Log(LogLevel::kWarn, "image piece damaged piece=" + std::to_string(piece));
    BlockSet block(geometry_.blocks());
    block.Add(piece / kPiecesPerBlock);
    return AskFor(block, "a piece did not open");
  }
  if (pass_.Take(piece)) PassOn(record);
  if (own_.Take(piece) && state_ == FetchState::kAwaiting) {
    if (const Status kept = Keep(piece, content_); !kept) return Fail(ProblemOf(kept.error()));
  }
  if (pass_.complete()) EndFollowers();
  CheckWhole();
}

Status ImageFetch::Keep(uint32_t piece, const std::string& content) {
  const auto place = geometry_.PiecePlace(piece);
  received_ += content.size();
  const auto& incoming = checked_->files[place->file].incoming;
  if (!incoming) return Ok{};
  if (const Status written = incoming->Write(place->offset, content); !written) return written;
  if (!own_.HasBlock(piece / kPiecesPerBlock)) return Ok{};
  return --blocks_left_[place->file] == 0 ? Publish(place->file) : Status(Ok{});
}

Status ImageFetch::Publish(uint32_t file) {
  CheckedFile& here = checked_->files[file];
  const Status published = here.incoming->Publish(checked_->directory + image_.files[file].place);
  if (!published) return published;
  here.incoming.reset();
  here.place = FilePlace::kStored;
  return Ok{};
}

void ImageFetch::CheckWhole() {
  if (state_ != FetchState::kAwaiting || !own_.complete()) return;
  const bool all = std::all_of(checked_->files.begin(), checked_->files.end(), [](const auto& f) {
    return f.place == FilePlace::kInPlace || f.place == FilePlace::kStored;
  });
  if (!all) return;
  Take(FetchStep::kWhole);
  port_.send(kHeadNode, kImageDoneKind, FrameClass::kControl,
             ToWire(ImageDone{place_.job, received_, damaged_}));
  Settle();
}

// Everything is there. Soon, so that nobody is called back from inside a call.
void ImageFetch::Settle() {
  stall_.Cancel();
  poll_.Cancel();
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    Status linked = LinkInPlace(image_, *checked_);
    for (const ImageFile& file : image_.files) {
      if (!linked || !file.in_session) continue;
      const std::string to = place_.session + "/" + FileName(file.place);
      linked = MakeDirsAbove(to);
      if (linked && ::symlink((checked_->directory + file.place).c_str(), to.c_str()) != 0 &&
          errno != EEXIST) {
        linked = Error::FromErrno(errno, "link '" + to + "'");
      }
    }
    if (!linked) return handlers_.on_failed(ProblemOf(linked.error()));
    handlers_.on_placed(Note());
  });
}

// What another job or agent receives is there when it has published it, or ours to receive when it
// has given up.
void ImageFetch::PollOthers() {
  BlockSet wanted(geometry_.blocks());
  bool others = false;
  for (uint32_t i = 0; i < image_.files.size(); ++i) {
    if (checked_->files[i].place != FilePlace::kElsewhere) continue;
    const Status done = CheckFile(image_, geometry_, i, checked_.get(), &wanted);
    if (!done) return Fail(ProblemOf(done.error()));
    others |= checked_->files[i].place == FilePlace::kElsewhere;
    for (uint64_t b = geometry_.FirstBlock(i); b < geometry_.FirstBlock(i + 1); ++b) {
      if (!wanted.Has(b)) continue;
      ++blocks_left_[i];
      own_.Add(b);
    }
  }
  if (others) poll_.Set(kPoll);
  if (others || !wanted.empty()) stall_.Set(kStallBound);
  if (!wanted.empty()) AskFor(wanted, "another launch gave it up");
  CheckWhole();
}

std::string ImageFetch::Note() const {
  size_t in_place = 0;
  for (const CheckedFile& file : checked_->files) in_place += file.place == FilePlace::kInPlace;
  std::string note = std::to_string(in_place) + " of " + std::to_string(checked_->files.size()) +
                     " files in place, " + std::to_string(received_) + " bytes received";
  if (checked_->reused_bytes > 0) {
    note += ", " + std::to_string(checked_->reused_bytes) + " bytes from other files of the store";
  }
  if (damaged_ > 0) note += ", " + std::to_string(damaged_) + " damaged pieces";
  return note;
}

// ---- followers

void ImageFetch::OnFollower(NodeId node, UniqueFd socket) {
  auto sender = std::make_unique<PieceSender>(
      loop_, std::move(socket),
      PieceSender::Handlers{[this] { Throttle(); }, [this](const Error&) { Throttle(); }});
  // What went by before it came it will ask the head for.
  if (ended_) sender->End();
  followers_[node] = std::move(sender);
  const bool all = std::all_of(route_.followers.begin(), route_.followers.end(),
                               [this](NodeId id) { return followers_.contains(id); });
  if (all) {
    followers_awaited_ = false;
    connect_.Cancel();
  }
  Throttle();
}

void ImageFetch::PassOn(const Record& record) {
  for (const auto& [node, sender] : followers_) sender->Send(record);
  Throttle();
}

void ImageFetch::EndFollowers() {
  if (std::exchange(ended_, true)) return;
  for (const auto& [node, sender] : followers_) sender->End();
}

// Our source is read as long as no follower is behind.
void ImageFetch::Throttle() {
  if (!source_) return;
  bool behind = followers_awaited_;
  for (const auto& [node, sender] : followers_) behind |= sender->queued() >= kFollowerHighBytes;
  source_->EnableReading(!behind);
}

}  // namespace rex
