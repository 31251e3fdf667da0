// What a Link is made of. Held by the Link, and by each of its own callbacks while that runs, so
// that a handler may destroy the Link. Handlers are called from the loop only; what a call of the
// owner's gives rise to (news, messages that were held back, an end) is settled a little later.
//
//   state     leaves on                                     to
//   greeting  the channel's handshake is done, or a         up
//             connection came whose own is
//             it failed                                     closed
//   up        the stream that is read ends; a bad record;   closed
//             node_timeout
//             the silent channel ends; a write fails        ending
//   ending    1 s, for what has arrived to be read; else    closed
//             as up
//   closed
#pragma once

#include <deque>

#include "launcher/link/byte_stream.h"
#include "launcher/link/credit.h"
#include "launcher/link/handshake_run.h"
#include "launcher/link/heartbeat.h"
#include "launcher/link/link.h"
#include "launcher/link/record.h"

namespace rex {

class LinkCore : public std::enable_shared_from_this<LinkCore> {
 public:
  LinkCore(EventLoop& loop, LinkParams params, Link::Handlers handlers);
  LinkCore(const LinkCore&) = delete;
  LinkCore& operator=(const LinkCore&) = delete;

  void Start(UniqueFd in, UniqueFd out, std::chrono::milliseconds bound);
  void StartOnTcp(AuthenticatedStream stream);
  // The owner is gone: no handler is called any more, the descriptors close.
  void Abandon();

  void Send(uint8_t kind, FrameClass frame_class, std::string payload);
  void EnableReading(bool on);
  void Flush(std::chrono::milliseconds bound);
  void AdoptTcp(AuthenticatedStream stream);

  size_t queued_bytes() const;
  std::optional<ClockOffset> offset() const;
  bool up() const { return state_ == State::kUp || state_ == State::kEnding; }
  bool on_tcp() const { return tcp_ && writing_ == tcp_.get() && reading_ == tcp_.get(); }
  bool closed() const { return state_ == State::kClosed; }

 private:
  enum class State : uint8_t { kGreeting, kUp, kEnding, kClosed };
  // One of the two streams of the link.
  struct Leg {
    Leg(EventLoop& loop, UniqueFd in, UniqueFd out)
        : stream(loop, std::move(in), std::move(out), {}) {}
    ByteStream stream;
    std::optional<RecordSealer> sealer;  // both are there once its handshake is done
    std::optional<RecordOpener> opener;
  };
  struct News {
    std::optional<bool> late;
    std::optional<bool> moved;
    bool clock = false;
  };

  void OnGreeted(Result<HandshakeRun::Done> result);
  void BeUp();
  void TellUp();
  void Key(Leg& leg, SessionKeys keys);
  void WatchLeg(Leg& leg);

  // Reading.
  void OnReadable(Leg& leg);
  void ReadTurn(Leg& leg);
  void LookAtUnusedTcp();
  void OnEndOfStream(Leg& leg, int error);
  void TakeRecords(Leg& leg);
  Status TakeRecord(Record record);
  Status TakeFrame(std::string frame);
  Status TakeMoved();
  Status TakePong(std::string_view contents);
  Status DeliverFrame(std::string_view frame);
  Status DeliverHeld();

  // Writing.
  void Pump();
  bool FillOutput();
  bool SealNext(std::string& out);
  bool SealSmall(std::string& out);
  bool SealFrame(std::string& out);
  bool MoveIsDue() const;
  void OnMovedOneWay();
  void OnWriteFailed(int error);
  bool NothingToWrite() const;

  // Flushing.
  void WaitForRoomOrNews(std::chrono::milliseconds most);
  bool PeerKernelHasAll() const;

  void OnHeartbeatTimer();
  void SetHeartbeatTimer();
  void SettleSoon();
  void Settle();
  void GiveNews();
  void StartEnding(Error error);
  void Fail(Error error);
  void Close(const Error& error);
  void Forget();
  std::string PeerText() const;
  Error EndError(int error, bool of_channel) const;

  EventLoop& loop_;
  const LinkParams params_;
  std::shared_ptr<const Link::Handlers> handlers_;  // null: the owner is gone
  State state_ = State::kGreeting;
  bool alive_ = true;  // not closed; read by FrameReader between messages

  std::unique_ptr<Leg> channel_;
  std::unique_ptr<Leg> tcp_;
  bool tcp_adopted_ = false;
  Leg* writing_ = nullptr;
  Leg* reading_ = nullptr;  // null: `moved` was read, TCP has not been adopted yet
  bool moved_read_ = false;
  bool moved_sealed_ = false;  // and not written yet

  FrameQueue queue_;
  SendCredit send_credit_;
  bool ping_due_ = false;
  std::optional<uint64_t> pong_due_;

  FrameReader reader_;
  ReceiveCredit receive_credit_;
  bool reading_enabled_ = true;
  bool flushing_ = false;
  std::deque<std::string> held_control_;  // frames, while flushing
  std::deque<std::string> held_;          // frames below control, also while reading is off

  std::optional<Heartbeat> heartbeat_;
  News news_;
  bool settle_posted_ = false;
  std::optional<Error> ending_;
  Timer heartbeat_timer_;
  Timer end_timer_;
  std::unique_ptr<HandshakeRun> greeting_;
};

}  // namespace rex
