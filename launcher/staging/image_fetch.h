// One job's image on one node: looked for, received, put together; and its pieces passed on to the
// nodes behind this one, also when this one has all it wants. docs/design/image.md, "States".
// Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/image/image_messages.h"
#include "launcher/staging/cast_receiver.h"
#include "launcher/staging/fetch_state.h"
#include "launcher/staging/follower_port.h"
#include "launcher/staging/image_check.h"
#include "launcher/staging/piece_ledger.h"
#include "launcher/staging/piece_stream.h"

namespace rex {

class ImageFetch {
 public:
  // Called from the loop, never from inside a call of the owner's.
  struct Handlers {
    std::function<void(const std::vector<StagedApp>&)> on_planned;  // where things will be
    std::function<void(const std::string& note)> on_placed;         // they are there
    std::function<void(const StageProblem&)> on_failed;
  };
  struct Place {
    uint64_t job = 0;          // ImageKey
    ImageDirs dirs;            // the image's
    std::string session;       // where --preload-files lie by their names
    std::string store_suffix;  // store.h
  };
  // `port` and `followers` are borrowed.
  ImageFetch(EventLoop& loop, const ImagePort& port, FollowerPort& followers, Place place,
             Image image, Handlers handlers);
  ImageFetch(const ImageFetch&) = delete;
  ImageFetch& operator=(const ImageFetch&) = delete;
  ~ImageFetch() { *alive_ = false; }

  void OnRoute(const ImageRoute& route);
  // Joins the group; what it brings goes to `on_record`, whose owner knows what to do with pieces
  // that come before their route.
  void OnCast(const ImageCast& cast, std::function<void(Record)> on_record);
  // A piece that came some way beside our source's connection.
  void OnRecord(Record record);
  bool Expects(const TransferId& id) const { return routed_ && route_.transfer == id; }
  void OnFollower(NodeId node, UniqueFd socket);

  FetchState state() const { return state_; }
  const std::string& fault() const { return image_.fault; }

  static constexpr std::chrono::seconds kStallBound{30};   // without a piece
  static constexpr std::chrono::seconds kRouteBound{600};  // the slowest node's look at its files
  static constexpr std::chrono::seconds kConnectBound{3};  // of followers, and to the source

 private:
  void Take(FetchStep step);
  void OnChecked(std::shared_ptr<CheckedImage> checked);
  void SendNeed();
  void Connect();
  void OnSource(Result<AuthenticatedStream> stream);
  void OnSourceGone(const Error& why);
  void AskFor(const BlockSet& missing, const std::string& why);
  void OnPiece(uint32_t piece, const Record& record);
  Status Keep(uint32_t piece, const std::string& content);
  Status Publish(uint32_t file);
  void PassOn(const Record& record);
  void EndFollowers();
  void Throttle();
  void CheckWhole();
  void Settle();
  void PollOthers();
  void Fail(StageProblem problem);
  std::string Note() const;

  EventLoop& loop_;
  const ImagePort& port_;
  FollowerPort& follower_port_;
  const Place place_;
  const Image image_;
  const Geometry geometry_;
  Handlers handlers_;
  FetchState state_ = FetchState::kChecking;
  std::shared_ptr<CheckedImage> checked_;
  bool routed_ = false;
  ImageRoute route_;
  TransferKey key_;
  PieceLedger own_;                    // what this node keeps
  PieceLedger pass_;                   // what goes by
  std::vector<uint64_t> blocks_left_;  // of each file that is being received
  std::unique_ptr<LinkDialer> dialer_;
  std::unique_ptr<PieceReceiver> source_;
  std::unique_ptr<CastReceiver> cast_;
  std::map<NodeId, std::unique_ptr<PieceSender>> followers_;
  bool followers_awaited_ = false;
  bool ended_ = false;   // followers have been told the end
  std::string content_;  // of the piece at hand
  uint64_t received_ = 0;
  uint32_t records_ = 0;
  uint32_t damaged_ = 0;
  Timer stall_;
  Timer connect_;  // for followers
  Timer poll_;     // for what others receive
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
