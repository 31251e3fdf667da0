// A node's end of a multicast: puts records together, and says what is missing when a window is
// over. Loop thread only. Handlers are called from the loop and may destroy it.
#pragma once

#include <functional>
#include <memory>

#include "launcher/base/event_loop.h"
#include "launcher/staging/piece_puzzle.h"
#include "launcher/staging/piece_stream.h"

namespace rex {

class CastReceiver {
 public:
  struct Handlers {
    std::function<void(uint32_t number)> on_probe;  // once for each
    std::function<void(Record)> on_record;
    std::function<void(const ImageGaps&)> on_gaps;
  };
  // `lose`: so many of a hundred datagrams are lost (fault.h). Errors: as OpenCastReceiver.
  static Result<std::unique_ptr<CastReceiver>> Open(EventLoop& loop, const ImageCast& cast,
                                                    const Geometry& geometry, bool one_machine,
                                                    uint32_t lose, Handlers handlers);
  ~CastReceiver();
  CastReceiver(const CastReceiver&) = delete;
  CastReceiver& operator=(const CastReceiver&) = delete;

 private:
  CastReceiver(EventLoop& loop, const ImageCast& cast, const Geometry& geometry, uint32_t lose,
               UniqueFd socket, Handlers handlers);
  struct Batch;
  void OnReadable();
  void Pause();
  void OnMessage(size_t index);
  void OnDatagram(std::string_view text);
  void OnMark(const Datagram& mark);
  bool Loses();

  const ImageCast cast_;
  const uint32_t lose_;
  uint32_t seen_ = 0;  // datagrams, for Loses
  PiecePuzzle puzzle_;
  uint64_t probes_ = 0;  // told of
  Handlers handlers_;
  UniqueFd socket_;
  std::unique_ptr<Batch> batch_;
  std::chrono::microseconds pause_for_{0};
  Timer pause_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ReadWatcher watcher_;
};

}  // namespace rex
