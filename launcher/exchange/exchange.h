// PMIx between the hosts of different nodes: collectives up and down the tree, a rank's data from
// its own node, and what only the head can answer. One Exchange per agent. It does no I/O: it talks
// through ExchangePort (to other agents) and `to_host` (to this node's host).
//
// Deps: the loop's thread calls everything; nothing here blocks; the callbacks may be called from
// inside any of the calls and must not call back into the same Exchange before they return, except
// AnswerTo from inside to_head.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/base/event_loop.h"
#include "launcher/exchange/exchange_port.h"
#include "pmix-server/proto/host_types.h"
#include "sched/placement/job_map.h"

namespace rex {

class Exchange {
 public:
  struct Deps {
    EventLoop& loop;
    ExchangePort port;
    std::function<void(const pmix::HostMessage&)> to_host;
    // Head only: what the host of `from` asked of the head: Publish, Lookup, Unpublish, Query,
    // Abort, JobControl, Spawn, Group, and what concerns tools. Answered by AnswerTo with the same
    // request number; numbers are the host's, so a request is known by (from, number). Events do
    // not come here: see RaiseEvent.
    std::function<void(NodeId from, pmix::HostMessage)> to_head;
    uint64_t max_modex_bytes;  // of one collective, over all nodes
    // A series of collectives that meets so often becomes the host's own; 0: never.
    uint32_t give_after = 0;
    // One could, if the host had an uplink. Called each time; answered, if at all, by SetUplink.
    std::function<void()> want_uplink = {};
  };
  explicit Exchange(Deps deps);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // On every node with ranks of it and on the head, before any of its ranks runs. Agents that only
  // relay need not know it.
  void AddNamespace(const std::string& name, std::shared_ptr<const JobMap> map);
  // What is under way with its ranks fails (kErrLostConnection).
  void RemoveNamespace(const std::string& name);

  // True: it was one of ours (Fence, DirectModex, ModexDone, Publish, Lookup, Unpublish, Query,
  // Abort, JobControl, EventRaised, Spawn, Group).
  bool FromHost(const pmix::HostMessage& message);
  // The same, without copying a fence's data. `message` is as it was when it was not ours.
  bool FromHost(pmix::HostMessage&& message);
  // kProtocol: nonsense, which costs the link to the node that it came over.
  Status FromNode(NodeId from, uint8_t kind, std::string payload);

  // The same, from the host of a child's node over its uplink.
  Status FromUplink(NodeId child, uint8_t kind, std::string payload);
  // Whether this node's host has an uplink.
  void SetUplink(bool stands);

  // Head only: the answer to a to_head (OpDone, LookupDone, QueryDone, SpawnDone, GroupDone), or an
  // event for the ranks of `node`.
  void AnswerTo(NodeId node, const pmix::HostMessage& message);
  // Head only: an event for every node that the event's range takes in, but for `except`, whose
  // host has raised it already. An event that a host raises is spread this way, and its host gets
  // its OpDone, without to_head.
  void RaiseEvent(const pmix::EventRaised& event, NodeId except);

  // Collectives and modexes that need one of them fail (kErrLostConnection), now and later.
  void OnNodesLost(const std::vector<NodeId>& nodes);
  // The same for this node's host; until the next AddNamespace, before which there is a new one.
  void OnHostLost();

  struct Counts {  // for tests and queries: what is held for things under way
    size_t collectives = 0;
    size_t modexes = 0;  // asked for and served
    size_t bytes = 0;    // of collectives' data
  };
  Counts counts() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace rex
