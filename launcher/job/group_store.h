// PMIx groups at the head: every node with members asks once, when all of its members have called;
// when the last one has, all are answered alike. Context ids are counted in the DVM and never come
// again. Pure state: the caller says what time it is and sends what is returned. One thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launcher/base/clock.h"
#include "launcher/base/node_id.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

class GroupStore {
 public:
  struct Reply {
    NodeId node{0};
    pmix::GroupDone message;
  };
  using Replies = std::vector<Reply>;
  // The nodes of these processes; nullopt: one is not known, or has ended.
  using NodesOf =
      std::function<std::optional<std::vector<NodeId>>(const std::vector<pmix::ProcId>&)>;
  explicit GroupStore(NodesOf nodes_of) : nodes_of_(std::move(nodes_of)) {}

  // Answered now or later, once. Status: kErrNotFound (an unknown member), kErrBadParam (other
  // members than the group's other nodes name, or the same node twice), kErrLostConnection,
  // kErrTimeout, kErrOutOfResource (data).
  Replies OnGroup(const pmix::Group& m, NodeId from, Clock::Time now);
  // A member ended, or kRankWildcard: all of a name space: what waits for it fails.
  Replies OnProcGone(const pmix::ProcId& proc);
  Replies Expire(Clock::Time now);
  std::optional<Clock::Time> NextDeadline() const;
  size_t open_count() const { return open_.size(); }

  static constexpr size_t kMaxDataBytes = 256 << 20;  // of one group, all nodes together

 private:
  using Key = std::pair<std::string, pmix::Group::Operation>;
  struct Open {
    std::vector<pmix::ProcId> members;  // sorted
    std::vector<NodeId> missing;
    std::vector<std::pair<NodeId, uint64_t>> asked;  // node and its request
    std::string data;
    bool want_context = false;
    std::optional<Clock::Time> deadline;
  };
  using OpenMap = std::map<Key, Open>;
  Replies End(OpenMap::iterator at, int32_t status);

  NodesOf nodes_of_;
  OpenMap open_;
  uint64_t last_context_ = 0;
};

}  // namespace rex
