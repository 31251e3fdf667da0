// What this agent sends to nodes without rex, read once, when a first node needs it: its own
// installation. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/ship/ship_bundle.h"

namespace rex {

class ShipSource {
 public:
  using Bundle = Result<std::shared_ptr<const ShipBundle>>;

  explicit ShipSource(EventLoop& loop) : loop_(loop) {}
  ShipSource(const ShipSource&) = delete;
  ShipSource& operator=(const ShipSource&) = delete;

  // The shell's part of the remote command. Begins to read the rest, in a thread of its own.
  // Errors: rex-stage0 can't be read.
  Result<std::string> Script();
  // After Script().
  std::shared_ptr<const Stage0> stage0() const { return stage0_; }
  // `then` gets all the rest from the loop, in another turn, when it is read. Not called once this
  // is destroyed.
  void Await(std::function<void(const Bundle&)> then);

 private:
  Status Begin();
  void OnBundle(Bundle bundle);

  EventLoop& loop_;
  std::string directory_;
  std::shared_ptr<const Stage0> stage0_;
  std::optional<Bundle> bundle_;
  std::vector<std::function<void(const Bundle&)>> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rex
