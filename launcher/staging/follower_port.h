// Where nodes connect to be sent pieces: a listening port, opened when it is first needed. A
// follower proves that it belongs to the DVM and names a transfer. Loop thread only.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/staging/image_port.h"

namespace rex {

class FollowerPort {
 public:
  struct Handlers {
    // False: that transfer is not known (yet); the follower is held.
    std::function<bool(const TransferId&, NodeId, UniqueFd&)> on_follower;
    // Its time was up: nobody has told this node of that transfer.
    std::function<void(const TransferId&, NodeId)> on_expired;
  };
  FollowerPort(EventLoop& loop, const ImagePort& port, Handlers handlers);
  FollowerPort(const FollowerPort&) = delete;
  FollowerPort& operator=(const FollowerPort&) = delete;

  // The port's number. Errors: as LinkListener::Open.
  Result<uint16_t> Open();
  void SetHold(std::chrono::milliseconds hold) { hold_ = hold; }
  // Offers what is held once more: a transfer has become known.
  void Offer();

 private:
  struct Waiting {
    NodeId node{};
    UniqueFd socket;
    std::string name;  // of the transfer, as far as it has come
    bool held = false;
    std::unique_ptr<ReadWatcher> watcher;
    std::unique_ptr<Timer> timer;
  };
  using Place = std::list<Waiting>::iterator;
  void OnStream(NodeId node, UniqueFd socket);
  void OnReadable(Place place);
  void OnNamed(Place place);
  void OnTimer(Place place);
  static TransferId IdOf(const Waiting& waiting);

  EventLoop& loop_;
  const ImagePort& port_;
  Handlers handlers_;
  std::chrono::milliseconds hold_{10'000};
  std::list<Waiting> waiting_;
  std::unique_ptr<LinkListener> listener_;
};

}  // namespace rex
