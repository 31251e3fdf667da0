// Sends rex over one node's bootstrap channel: the dialog with the node's shell and stage-0, and
// the writing. Reading stays with the owner, who feeds it. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "launcher/base/event_loop.h"
#include "launcher/ship/ship_dialog.h"
#include "launcher/tree/ship_source.h"
#include "launcher/tree/start_failure.h"

namespace rex {

class ShipChannel {
 public:
  struct Handlers {
    std::function<void()> on_progress;  // bytes have gone out
    // Our own files can't be read. In a turn of its own; may destroy this.
    std::function<void(const Error&)> on_failed;
  };
  // `out`: the channel's writing end, non-blocking; borrowed until Stop or the end. `source` after
  // Script().
  ShipChannel(EventLoop& loop, int out, ShipSource& source, Handlers handlers);
  ~ShipChannel() { *alive_ = false; }
  ShipChannel(const ShipChannel&) = delete;
  ShipChannel& operator=(const ShipChannel&) = delete;

  // What the node wrote; gives back what is for the greeting's reader. Errors: ShipDialog::Feed's.
  Result<std::string> Feed(std::string_view bytes);
  // Writes no more; the channel may go.
  void Stop();

  // Makes what is known of the bad end of this try say what it was in terms of sending.
  void Explain(StartEvidence* evidence, std::chrono::seconds bound) const;

 private:
  void Flush();

  int out_;  // -1 once stopped
  Handlers handlers_;
  ShipDialog dialog_;
  bool refused_ = false;  // by the dialog
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<WriteWatcher> watcher_;
};

// "machine" of uname(2): "x86_64".
std::string OwnMachine();

}  // namespace rex
