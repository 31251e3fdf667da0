// Sends rexlaunch's stdin to the parts whose ranks get it. rexlaunch is asked for as much as the
// slowest of them can take. Loop thread only; no I/O of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"

namespace rex {

class StdinRouter {
 public:
  struct Sink {
    std::function<void(uint64_t bytes)> give_credit;             // to rexlaunch
    std::function<void(NodeId, const std::string& bytes)> send;  // to a part
    std::function<void(NodeId)> send_end;
  };
  explicit StdinRouter(Sink sink) : sink_(std::move(sink)) {}

  // `targets`: the parts that have ranks which get stdin.
  void Start(const std::vector<NodeId>& targets);
  // The part takes that many more bytes; it is not a target: no effect.
  void OnCredit(NodeId part, uint64_t bytes);
  // The part's ranks take no more, or the part is gone.
  void OnDone(NodeId part);
  // From rexlaunch. Errors: kProtocol: more than was asked for.
  Status OnBytes(const std::string& bytes);
  void OnEnd();

 private:
  void GiveCredit();

  Sink sink_;
  std::map<NodeId, uint64_t> granted_;  // of the targets that still take bytes: bytes ever granted
  uint64_t asked_ = 0;                  // of rexlaunch, ever
  uint64_t received_ = 0;
  bool ended_ = false;
};

}  // namespace rex
