#include "launcher/staging/cast_sender.h"

#include <sys/socket.h>

#include <algorithm>

namespace rex {

namespace {
constexpr std::chrono::milliseconds kTick{2};
constexpr int kBurstsPerTurn = 16;
constexpr double kMostBurstSeconds = 0.01;
constexpr double kSlowest = 1e6;  // bytes/s
constexpr double kFastest = 1.2e9;
// A network that loses at random loses at any pace; one that is overrun loses more.
constexpr double kOverrun = 0.15;
constexpr double kFine = 0.02;
}  // namespace

CastSender::CastSender(EventLoop& loop, const ImageCast& cast, const Geometry& geometry,
                       UniqueFd socket, std::set<NodeId> nodes, Handlers handlers)
    : loop_(loop),
      cast_(cast),
      geometry_(geometry),
      socket_(std::move(socket)),
      nodes_(std::move(nodes)),
      handlers_(std::move(handlers)),
      pieces_(PiecesOf(geometry_, cast_.coming)),
      tick_(loop, [this] { OnTick(); }),
      mark_(loop, [this] { Mark(); }),
      writable_(loop, socket_.get(), [this] {
        writable_.Enable(false);
        OnTick();
      }) {
  last_tick_ = loop_.clock().Now();
  BeginWindow();
}

void CastSender::BeginWindow() {
  round_ = 0;
  records_.clear();
  queue_.clear();
  const size_t begin = size_t{window_} * kWindowPieces;
  if (begin >= pieces_.size() || nodes_.empty()) return End();
  const size_t end = std::min(begin + kWindowPieces, pieces_.size());
  for (size_t i = begin; i < end; ++i) {
    for (size_t n = 0; n < FragmentsOf(pieces_[i].record_bytes); ++n) {
      queue_.push_back({pieces_[i].piece, static_cast<uint16_t>(n)});
    }
  }
  round_fragments_ = queue_.size();
  round_begin_ = loop_.clock().Now();
  round_sent_ = 0;
  tick_.Set(std::chrono::milliseconds(0));
}

void CastSender::OnTick() {
  if (ended_ || queue_.empty()) return;
  const Clock::Time now = loop_.clock().Now();
  const double seconds = std::chrono::duration<double>(now - last_tick_).count();
  last_tick_ = now;
  budget_ = std::min(budget_ + seconds * bytes_per_second_, bytes_per_second_ * kMostBurstSeconds);
  for (int n = 0; n < kBurstsPerTurn && budget_ > 0 && !queue_.empty(); ++n) {
    if (!SendBurst()) return;
  }
  if (!queue_.empty()) return tick_.Set(kTick);
  marks_ = 0;
  silent_ = nodes_;
  union_.clear();
  worst_ = 0;
  Mark();
}

// False: the queue of this machine is full, or the transfer has failed.
bool CastSender::SendBurst() {
  const double most = std::max(budget_ / static_cast<double>(kFragmentBytes), 1.0);
  for (const Fragment& fragment : queue_) {
    if (!burst_.HasRoom() || static_cast<double>(burst_.count()) >= most) break;
    const std::string* record = RecordOf(fragment.piece);
    if (record == nullptr) return false;
    burst_.Add(cast_.transfer, {DatagramKind::kFragment, fragment.number, fragment.piece, round_,
                                std::string_view(*record).substr(fragment.number * kFragmentBytes,
                                                                 kFragmentBytes)});
  }
  const CastBurst::Sent sent = burst_.Send(socket_);
  const size_t bytes = burst_.BytesOf(sent.datagrams);
  budget_ -= static_cast<double>(bytes);
  sent_ += bytes;
  round_sent_ += bytes;
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(sent.datagrams));
  if (sent.why == ENOBUFS) {
    tick_.Set(kTick);
  } else if (sent.why != 0) {
    writable_.Enable(true);
  }
  return sent.why == 0;
}

const std::string* CastSender::RecordOf(uint32_t piece) {
  auto found = records_.find(piece);
  if (found == records_.end()) {
    std::vector<Record> sealed;
    const uint64_t block = piece / kPiecesPerBlock;
    if (!handlers_.seal(block, &sealed)) {
      ended_ = true;
      return nullptr;
    }
    for (size_t i = 0; i < sealed.size(); ++i) {
      records_[static_cast<uint32_t>(block * kPiecesPerBlock + i)] = sealed[i];
    }
    found = records_.find(piece);
    if (found == records_.end()) return nullptr;
  }
  return found->second.get();
}

void CastSender::Mark() {
  if (ended_) return;
  if (silent_.empty() || marks_++ >= kMarks) return EndRound();
  const std::string text =
      EncodeDatagram(cast_.transfer, {DatagramKind::kMark, 0, window_, round_, {}});
  (void)::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  sent_ += text.size();
  mark_.Set(kMarkPause);
}

void CastSender::OnGaps(NodeId from, const ImageGaps& gaps) {
  if (ended_ || gaps.window != window_ || gaps.round != round_ || !queue_.empty()) return;
  if (silent_.erase(from) == 0) return;
  size_t lacks = 0;
  for (const auto& [piece, missing] : gaps.missing) {
    if (!records_.contains(piece)) continue;
    union_[piece] |= missing;
    lacks += static_cast<size_t>(__builtin_popcountll(missing));
  }
  worst_ = std::max(worst_, lacks);
  if (silent_.empty()) EndRound();
}

// Nodes that have not answered will ask over the tree.
void CastSender::EndRound() {
  mark_.Cancel();
  if (round_fragments_ > 0)
    Adapt(static_cast<double>(worst_) / static_cast<double>(round_fragments_));
  if (union_.empty() || ++round_ >= kRounds) {
    ++window_;
    return BeginWindow();
  }
  for (const auto& [piece, missing] : union_) {
    const size_t count = FragmentsOf(records_.at(piece)->size());
    for (size_t n = 0; n < count; ++n) {
      if ((missing >> n & 1) != 0) queue_.push_back({piece, static_cast<uint16_t>(n)});
    }
  }
  round_fragments_ = queue_.size();
  round_begin_ = loop_.clock().Now();
  round_sent_ = 0;
  if (queue_.empty()) {
    ++window_;
    return BeginWindow();
  }
  tick_.Set(std::chrono::milliseconds(0));
}

// Of a round that was long enough to say something.
void CastSender::Adapt(double loss) {
  constexpr size_t kTelling = 500;
  if (round_fragments_ < kTelling) return;
  const double seconds = std::chrono::duration<double>(loop_.clock().Now() - round_begin_).count();
  const double reached = static_cast<double>(round_sent_) / std::max(seconds, 1e-6);
  if (loss > kOverrun) {
    bytes_per_second_ = std::max(kSlowest, std::min(reached, bytes_per_second_) * (1 - loss));
  } else if (loss < kFine) {
    bytes_per_second_ = std::min(kFastest, bytes_per_second_ * 1.25);
  }
}

void CastSender::OnNodeLost(NodeId node) {
  nodes_.erase(node);
  if (silent_.erase(node) > 0 && silent_.empty() && queue_.empty() && !ended_) EndRound();
}

void CastSender::End() {
  if (std::exchange(ended_, true)) return;
  tick_.Cancel();
  mark_.Cancel();
  if (const auto on_end = handlers_.on_end) on_end();
}

}  // namespace rex
