#include "launcher/link/link_core.h"

#include <array>
#include <cstring>
#include <span>

#include "launcher/link/little_endian.h"
#include "launcher/link/tcp.h"

namespace rex {

namespace {
constexpr size_t kFirstReadBytes = 4 << 10;  // most turns bring one short message
constexpr size_t kReadBytes = 64 << 10;
constexpr int kReadsPerTurn = 16;  // then other watchers get their turn
constexpr std::chrono::seconds kEndingBound{1};

HandshakeParams ChannelHandshake(const LinkParams& link) {
  HandshakeParams params;
  params.role = link.role;
  params.stream = LinkStream::kChannel;
  params.self = link.self;
  params.peer = link.peer;
  params.dvm = link.dvm;
  params.key = link.key;
  params.version = link.version;
  return params;
}
}  // namespace

LinkCore::LinkCore(EventLoop& loop, LinkParams params, Link::Handlers handlers)
    : loop_(loop),
      params_(std::move(params)),
      handlers_(std::make_shared<const Link::Handlers>(std::move(handlers))),
      reader_(params_.max_message_bytes),
      heartbeat_timer_(loop, [this] { OnHeartbeatTimer(); }),
      end_timer_(loop, [this] { Close(*ending_); }) {}

void LinkCore::Start(UniqueFd in, UniqueFd out, std::chrono::milliseconds bound) {
  channel_ = std::make_unique<Leg>(loop_, std::move(in), std::move(out));
  writing_ = reading_ = channel_.get();
  Handshake handshake(ChannelHandshake(params_), MakeHandshakeNonce());
  greeting_ = std::make_unique<HandshakeRun>(
      loop_, channel_->stream, std::move(handshake), bound,
      [this](Result<HandshakeRun::Done> result) { OnGreeted(std::move(result)); });
}

void LinkCore::Abandon() {
  handlers_.reset();
  Forget();
}

// Everything goes but the object itself, which may be in the middle of a callback.
void LinkCore::Forget() {
  state_ = State::kClosed;
  alive_ = false;
  heartbeat_timer_.Cancel();
  end_timer_.Cancel();
  greeting_.reset();
  writing_ = reading_ = nullptr;
  channel_.reset();
  tcp_.reset();
  queue_.Clear();
}

void LinkCore::OnGreeted(Result<HandshakeRun::Done> result) {
  const auto self = shared_from_this();
  greeting_.reset();
  if (!result) {
    Error error = result.error();
    if (error.code != Errc::kProtocol) error.text = PeerText() + ": " + error.text;
    return Close(error);
  }
  Key(*channel_, std::move(result.value().keys));
  WatchLeg(*channel_);
  BeUp();
  TellUp();
}

// As if both ends had moved already.
void LinkCore::StartOnTcp(AuthenticatedStream stream) {
  tcp_adopted_ = moved_read_ = true;
  TuneTcp(stream.socket.get());
  tcp_ = std::make_unique<Leg>(loop_, std::move(stream.socket), UniqueFd());
  Key(*tcp_, std::move(stream.keys));
  writing_ = reading_ = tcp_.get();
  WatchLeg(*tcp_);
  BeUp();
  loop_.Post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && !self->closed()) self->TellUp();
  });
}

void LinkCore::BeUp() {
  state_ = State::kUp;
  heartbeat_.emplace(loop_.clock(), params_.node_timeout);
  heartbeat_->StartQuickPings();
  ping_due_ = true;
  SetHeartbeatTimer();
}

void LinkCore::TellUp() {
  const auto handlers = handlers_;
  if (handlers->on_up) handlers->on_up();
  Pump();
}

void LinkCore::Key(Leg& leg, SessionKeys keys) {
  const bool parent = params_.role == LinkRole::kParent;
  leg.sealer.emplace(parent ? keys.down : keys.up);
  leg.opener.emplace(parent ? std::move(keys.up) : std::move(keys.down));
}

void LinkCore::WatchLeg(Leg& leg) {
  leg.stream.SetHandlers({[this, &leg] { OnReadable(leg); }, [this] { Pump(); }});
}

void LinkCore::Send(uint8_t kind, FrameClass frame_class, std::string payload) {
  if (closed() || ending_) return;
  queue_.Push(kind, frame_class, std::move(payload));
  Pump();
}

void LinkCore::EnableReading(bool on) {
  reading_enabled_ = on;
  if (on && !held_.empty()) SettleSoon();
}

size_t LinkCore::queued_bytes() const { return queue_.bytes(); }

std::optional<ClockOffset> LinkCore::offset() const {
  return heartbeat_ ? heartbeat_->offset() : std::nullopt;
}

void LinkCore::AdoptTcp(AuthenticatedStream stream) {
  if (closed() || tcp_adopted_) return;
  tcp_adopted_ = true;
  TuneTcp(stream.socket.get());
  tcp_ = std::make_unique<Leg>(loop_, std::move(stream.socket), UniqueFd());
  Key(*tcp_, std::move(stream.keys));
  WatchLeg(*tcp_);
  if (moved_read_) {
    reading_ = tcp_.get();
    OnMovedOneWay();
  } else if (params_.role == LinkRole::kParent) {
    tcp_->stream.EnableReading(false);  // the child's records there come behind its `moved`
  }
  Pump();
}

// ---- reading ----

void LinkCore::OnReadable(Leg& leg) {
  const auto self = shared_from_this();
  if (&leg == tcp_.get() && reading_ != &leg) return LookAtUnusedTcp();
  ReadTurn(leg);
  Pump();  // acknowledgements and pongs
}

// The parent moves first, so that a child whose TCP the parent gave up stays on the channel.
void LinkCore::LookAtUnusedTcp() {
  tcp_->stream.EnableReading(false);
  if (!tcp_->stream.Peek().end) return;  // the parent has moved; its `moved` is on its way
  tcp_.reset();
  news_.moved = false;
  SettleSoon();
}

void LinkCore::ReadTurn(Leg& leg) {
  std::array<char, kFirstReadBytes> few;
  std::unique_ptr<char[]> many;
  std::span<char> bytes = few;
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    const ByteStream::Read read = leg.stream.ReadSome(bytes.data(), bytes.size());
    if (read.end) return OnEndOfStream(leg, read.error);
    if (read.bytes == 0) return;
    leg.opener->Feed({bytes.data(), read.bytes});
    TakeRecords(leg);
    if (!alive_) return;                    // `leg` is gone
    if (read.bytes < bytes.size()) return;  // that was all; what comes now wakes us again
    if (!many) many = std::make_unique_for_overwrite<char[]>(kReadBytes);
    bytes = {many.get(), kReadBytes};
  }
}

void LinkCore::OnEndOfStream(Leg& leg, int error) {
  leg.stream.EnableReading(false);
  const bool of_channel = &leg == channel_.get();
  if (&leg == reading_) return Fail(EndError(error, of_channel));
  StartEnding(EndError(error, of_channel));  // TCP may have the peer's last words
}

void LinkCore::TakeRecords(Leg& leg) {
  while (alive_) {
    if (&leg != reading_) {
      if (leg.opener->empty()) return;
      return Fail({Errc::kProtocol, PeerText() + " sent more on the channel after it had left it"});
    }
    auto record = leg.opener->Next();
    if (record && !record->has_value()) return;
    if (record && heartbeat_->OnHeard()) {
      news_.late = false;
      SettleSoon();
    }
    const Status taken = record ? TakeRecord(std::move(**record)) : Status(record.error());
    if (!taken) return Fail({taken.error().code, PeerText() + " sent " + taken.error().text});
  }
}

Status LinkCore::TakeRecord(Record record) {
  constexpr size_t kSizes[] = {0, 8, 8, 16, 0};  // by type; frames vary
  const std::string& contents = record.contents;
  if (record.type != RecordType::kFrame &&
      contents.size() != kSizes[static_cast<size_t>(record.type)]) {
    return Error{Errc::kProtocol, "a record of the wrong length"};
  }
  switch (record.type) {
    case RecordType::kFrame:
      return TakeFrame(std::move(record.contents));
    case RecordType::kAck:
      return send_credit_.Acknowledged(ReadLe<uint64_t>(contents), loop_.clock().Now());
    case RecordType::kPing:
      pong_due_ = ReadLe<uint64_t>(contents);
      return Ok{};
    case RecordType::kPong:
      return TakePong(contents);
    case RecordType::kMoved:
      return TakeMoved();
  }
  return Ok{};
}

Status LinkCore::TakePong(std::string_view contents) {
  const auto news =
      heartbeat_->OnPong(ReadLe<uint64_t>(contents), ReadLe<uint64_t>(contents.substr(8)));
  ping_due_ = ping_due_ || news.ping;
  if (news.clock) {
    news_.clock = true;
    SettleSoon();
  }
  return Ok{};
}

Status LinkCore::TakeFrame(std::string frame) {
  if (frame.size() < kFrameHeaderBytes) return Error{Errc::kProtocol, "half a frame"};
  const auto header = DecodeFrameHeader(frame);
  if (!header) return header.error();
  if (frame.size() != kFrameHeaderBytes + header->bytes) {
    return Error{Errc::kProtocol, "a frame of another length than its record"};
  }
  const bool control = header->frame_class == FrameClass::kControl;
  if (!control) {
    const Status arrived = receive_credit_.Arrived(frame.size());
    if (!arrived) return arrived;
  }
  auto& held = control ? held_control_ : held_;
  const bool wait = flushing_ || !held.empty() || (!control && !reading_enabled_);
  if (!wait) return DeliverFrame(frame);
  held.push_back(std::move(frame));
  return Ok{};
}

Status LinkCore::DeliverFrame(std::string_view frame) {
  if (frame[5] != static_cast<char>(FrameClass::kControl)) receive_credit_.Took(frame.size());
  const auto handlers = handlers_;
  const auto deliver = [&handlers](uint8_t kind, FrameClass frame_class, std::string payload) {
    if (handlers->on_message) handlers->on_message(kind, frame_class, std::move(payload));
  };
  return reader_.Feed(frame, deliver, alive_);
}

// Those that may be delivered now.
Status LinkCore::DeliverHeld() {
  while (alive_ && !flushing_) {
    auto& held = held_control_.empty() ? held_ : held_control_;
    if (held.empty() || (&held == &held_ && !reading_enabled_)) break;
    const std::string frame = std::move(held.front());
    held.pop_front();
    if (const Status delivered = DeliverFrame(frame); !delivered) return delivered;
  }
  return Ok{};
}

Status LinkCore::TakeMoved() {
  if (reading_ != channel_.get()) return Error{Errc::kProtocol, "that it moved to TCP twice"};
  if (tcp_adopted_ && !tcp_) {
    return Error{Errc::kClosed, "that it moved to TCP after that connection broke"};
  }
  moved_read_ = true;
  reading_ = tcp_.get();
  if (tcp_) tcp_->stream.EnableReading(true);
  OnMovedOneWay();
  return Ok{};
}

// ---- writing ----

void LinkCore::Pump() {
  if (!up() || ending_) return;
  for (;;) {
    if (writing_->stream.wrote_all()) {
      if (std::exchange(moved_sealed_, false)) {
        writing_ = tcp_.get();
        OnMovedOneWay();
      }
      if (!FillOutput()) return;
    }
    const ByteStream::Written written = writing_->stream.Write();
    if (written == ByteStream::Written::kBlocked) return;
    if (written == ByteStream::Written::kFailed)
      return OnWriteFailed(writing_->stream.write_error());
  }
}

bool LinkCore::FillOutput() {
  constexpr size_t kGatherBytes = 4 << 10;  // small records share a system call
  std::string& out = writing_->stream.output();
  while (out.size() < kGatherBytes && SealNext(out)) {
  }
  return !out.empty();
}

bool LinkCore::SealNext(std::string& out) {
  if (moved_sealed_) return false;
  if (MoveIsDue()) {
    writing_->sealer->Seal(RecordType::kMoved, "", out);
    moved_sealed_ = true;
    return true;
  }
  return SealSmall(out) || SealFrame(out);
}

bool LinkCore::MoveIsDue() const {
  return writing_ == channel_.get() && tcp_ && (params_.role == LinkRole::kParent || moved_read_);
}

void LinkCore::OnMovedOneWay() {
  if (!on_tcp()) return;
  heartbeat_->StartQuickPings();  // TCP is faster than ssh: a better look at the peer's clock
  ping_due_ = true;
  news_.moved = true;
  SettleSoon();
}

bool LinkCore::SealSmall(std::string& out) {
  std::string contents;
  RecordType type = RecordType::kAck;
  if (receive_credit_.AcknowledgementIsDue()) {
    AppendLe(contents, receive_credit_.Acknowledge());
  } else if (pong_due_) {
    type = RecordType::kPong;
    AppendLe(contents, *std::exchange(pong_due_, std::nullopt));
    AppendLe(contents, static_cast<uint64_t>(loop_.clock().Now().count()));
  } else if (ping_due_) {
    type = RecordType::kPing;
    ping_due_ = false;
    AppendLe(contents, heartbeat_->OnPing());
  } else {
    return false;
  }
  writing_->sealer->Seal(type, contents, out);
  return true;
}

bool LinkCore::SealFrame(std::string& out) {
  const size_t most_payload = send_credit_.MostFrameBytes() - kFrameHeaderBytes;
  const auto next = queue_.NextFrame(most_payload);
  if (!next) return false;
  if (next->frame_class != FrameClass::kControl) {
    const size_t frame_bytes = kFrameHeaderBytes + next->bytes;
    if (!send_credit_.Allows(frame_bytes)) return false;
    send_credit_.Sent(frame_bytes, loop_.clock().Now());
  }
  std::string frame;
  queue_.TakeFrame(most_payload, frame);
  writing_->sealer->Seal(RecordType::kFrame, frame, out);
  return true;
}

void LinkCore::OnWriteFailed(int error) {
  queue_.Clear();
  StartEnding(EndError(error == EPIPE ? 0 : error, writing_ == channel_.get()));
}

bool LinkCore::NothingToWrite() const {
  return ending_ || (queue_.empty() && writing_->stream.wrote_all() && !moved_sealed_);
}

// ---- ends, news ----

void LinkCore::OnHeartbeatTimer() {
  const auto self = shared_from_this();
  const Heartbeat::TimerNews news = heartbeat_->OnTimer();
  if (news.lost) {
    return Close({Errc::kTimeout, "no word from " + PeerText() + " for " +
                                      std::to_string(params_.node_timeout.count()) + " s"});
  }
  if (news.late) news_.late = true;
  ping_due_ = ping_due_ || news.ping;
  SetHeartbeatTimer();
  Pump();
  GiveNews();
}

void LinkCore::SetHeartbeatTimer() {
  heartbeat_timer_.Set(heartbeat_->next() - loop_.clock().Now());
}

void LinkCore::SettleSoon() {
  if (std::exchange(settle_posted_, true)) return;
  loop_.Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Settle();
  });
}

void LinkCore::Settle() {
  settle_posted_ = false;
  if (closed()) return;
  GiveNews();
  const Status delivered = DeliverHeld();
  if (!delivered)
    return Fail({delivered.error().code, PeerText() + " sent " + delivered.error().text});
  Pump();  // acknowledgements
}

void LinkCore::GiveNews() {
  const News news = std::exchange(news_, {});
  const auto handlers = handlers_;
  if (alive_ && news.late && handlers->on_late) handlers->on_late(*news.late);
  if (alive_ && news.moved && handlers->on_moved) handlers->on_moved(*news.moved);
  if (alive_ && news.clock && handlers->on_clock) handlers->on_clock();
}

void LinkCore::StartEnding(Error error) {
  if (closed() || ending_) return;
  state_ = State::kEnding;
  ending_ = std::move(error);
  end_timer_.Set(kEndingBound);
}

// While flushing the owner waits for us: then it hears of the end from the loop.
void LinkCore::Fail(Error error) {
  if (!flushing_) return Close(error);
  state_ = State::kEnding;
  ending_ = std::move(error);
  end_timer_.Set(Clock::Time(0));
}

void LinkCore::Close(const Error& error) {
  const auto self = shared_from_this();
  if (closed()) return;
  reading_enabled_ = true;
  (void)DeliverHeld();  // the end that is told is the first one
  if (closed()) return;
  GiveNews();
  const auto handlers = handlers_;
  const Error copy = error;  // `error` may be ours
  Forget();
  if (handlers && handlers->on_closed) handlers->on_closed(copy);
}

std::string LinkCore::PeerText() const {
  if (!params_.peer_name.empty()) return params_.peer_name;
  return "node " + std::to_string(Index(params_.peer));
}

Error LinkCore::EndError(int error, bool of_channel) const {
  const std::string connection = of_channel ? "the channel to " : "the connection to ";
  if (error == 0)
    return Error{Errc::kClosed,
                 PeerText() + " closed " + (of_channel ? "the channel" : "the connection")};
  if (error == ECONNRESET)
    return Error{Errc::kClosed, connection + PeerText() + " was reset", error};
  if (error == ETIMEDOUT) {
    return Error{Errc::kTimeout,
                 connection + PeerText() + " broke: nothing was acknowledged for " +
                     std::to_string(kTcpUserTimeoutSeconds) + " s",
                 error};
  }
  return Error{Errc::kClosed, connection + PeerText() + " broke: " + ::strerror(error), error};
}

}  // namespace rex
