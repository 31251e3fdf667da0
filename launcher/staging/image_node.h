// The images of a node's jobs, and what comes for them: from the head over the tree, and from other
// nodes over connections of their own. RHODOS' order rule lives here: pieces, and followers, of a
// transfer that this node was not told of are held for a while, then dropped, and the head is told.
// Loop thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "launcher/staging/image_fetch.h"

namespace rex {

class ImageNode {
 public:
  ImageNode(EventLoop& loop, ImagePort port);
  ImageNode(const ImageNode&) = delete;
  ImageNode& operator=(const ImageNode&) = delete;

  // Begins to look for, and to fetch, a job's image; `wire` is LaunchPart's. Errors: kProtocol.
  Status Begin(const ImageFetch::Place& place, const std::string& wire,
               ImageFetch::Handlers handlers);
  // The job needs it no more; what others still get through this node goes on.
  void End(uint64_t job);
  // A message of the head's, kFirstImageKind to kLastImageKind. Errors: kProtocol.
  Status OnMessage(uint8_t kind, std::string payload);

  static constexpr size_t kMostHeldBytes = 64 << 20;
  static constexpr std::chrono::milliseconds kHold{10'000};

 private:
  struct Held {
    std::deque<Record> records;
    std::unique_ptr<Timer> timer;
  };
  Status OnRoute(const std::string& payload);
  void TakeRoute(const ImageRoute& route);
  Status OnCast(const std::string& payload);
  void OnRecord(const TransferId& id, Record record);
  Status OnPieces(const std::string& payload);
  void Hold(const TransferId& id, Record record);
  void OnExpired(const TransferId& id, const std::string& what);
  ImageFetch* Expecting(const TransferId& id) const;

  EventLoop& loop_;
  const ImagePort port_;
  FollowerPort followers_;
  std::map<uint64_t, std::unique_ptr<ImageFetch>> fetches_;  // by job
  std::map<TransferId, Held> held_;
  size_t held_bytes_ = 0;
  std::chrono::milliseconds hold_ = kHold;
  std::optional<ImageRoute> late_route_;  // by a fault
  Timer late_;
};

}  // namespace rex
