// Passes the parts' output on to rexlaunch within the credit that it has given, and gives the parts
// new credit as it goes. Order within a part is kept. Loop thread only; no I/O of its own.
//
// Memory: each part may send a window's worth that has not been passed on; nothing beyond it can
// come here, so at most nodes x window bytes wait.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"

namespace rex {

class OutputRelay {
 public:
  struct Sink {
    std::function<void(std::string payload)> pass;            // to rexlaunch
    std::function<void(NodeId, uint64_t bytes)> give_credit;  // to a part
    std::function<void(uint64_t bytes)> want;  // so much credit lets all pass; may be empty
  };
  explicit OutputRelay(Sink sink) : sink_(std::move(sink)) {}

  // Opens every part's window.
  void Start(const std::vector<NodeId>& parts);
  // `payload`: EncodeOutput's. Credit counts its bytes without the header.
  void OnOutput(NodeId from, std::string payload);
  // rexlaunch takes that many more bytes.
  void AddCredit(uint64_t bytes);
  // Everything that waits goes now, whatever the credit: the job is over.
  void Flush();
  // rexlaunch is gone: what waits and what comes is dropped.
  void Discard();

  static uint64_t WindowFor(size_t parts);

 private:
  void Want();
  void PassFirst();
  struct Waiting {
    NodeId from;
    std::string payload;
  };
  void Pass(Waiting waiting);

  Sink sink_;
  std::deque<Waiting> waiting_;
  uint64_t waiting_bytes_ = 0;
  int64_t credit_ = 0;  // may go below zero by one message
  bool discard_ = false;
};

}  // namespace rex
