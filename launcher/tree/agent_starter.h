// What starts the agents of a tree's nodes. Starter does it with one process a node (ssh, virtual),
// SrunStarter with one for all. Each tells its owner of the first news through its own handlers.
//
// Loop thread only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "launcher/link/link_key.h"
#include "launcher/tree/start_state.h"
#include "launcher/tree/tree_options.h"

namespace rex {

// What a started agent is told by the one that starts it.
struct StarterIdentity {
  NodeId self{};
  DvmId dvm;
  const LinkKey* key = nullptr;  // borrowed; outlives the starter
  std::string version;
};

class AgentStarter {
 public:
  virtual ~AgentStarter() = default;

  // One that has failed here may be added again.
  virtual void Add(const NodeSpec& node) = 0;
  // What became of the link. OnFacts is false when the node does not count any more (its bound ran
  // out) or has reported before. OnLinkClosed: before the node was ready, its start has failed.
  virtual void OnHandshake(NodeId node) = 0;
  virtual bool OnFacts(NodeId node) = 0;
  virtual void OnLinkClosed(NodeId node, const Error& why) = 0;

  // A node that was ready is lost: `done` gets `what` with the last words of its keeper and of what
  // started it behind it, as soon as these are known, at the latest after half a second.
  virtual void ExplainLoss(NodeId node, std::string what,
                           std::function<void(std::string)> done) = 0;

  // How far the node's start has come. nullopt: it is not started here.
  virtual std::optional<StartStage> Stage(NodeId node) const = 0;

  // From here on nothing is started, reported or passed on.
  virtual void Close() = 0;
  virtual std::vector<pid_t> ProcessIds() const = 0;  // not yet reaped
  size_t running() const { return ProcessIds().size(); }
  virtual void SignalAll(int signo) = 0;
};

}  // namespace rex
