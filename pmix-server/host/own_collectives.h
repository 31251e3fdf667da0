// The collectives that are the host's own: those that its agent has given it, because nobody below
// the node needs to be heard (docs/design/uplinks.md). A node's own ones end here; the others go to
// the agent above by the uplink, a link that this process holds.
//
// Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launcher/exchange/collectives.h"
#include "launcher/link/link.h"

namespace rex::pmix {

class OwnCollectives {
 public:
  struct Deps {
    EventLoop& loop;
    // A FenceDone for a request of this host.
    std::function<void(HostMessage)> answer;
    // UplinkLost.
    std::function<void(const HostMessage&)> tell_agent;
  };
  explicit OwnCollectives(Deps deps);

  // The agent's word. Errors: kProtocol.
  rex::Status OnUplink(const UseUplink& uplink, UniqueFd connection);
  rex::Status OnGiven(const SeriesGiven& given);
  // A CollectiveDown, by the uplink or by the agent.
  rex::Status OnDown(std::string payload);
  // What is under way with its ranks is answered kErrLostConnection.
  void OnNamespaceGone(const std::string& name);

  // False: it is not of a series that was given here, and `fence` is as it was.
  bool Take(Fence& fence);

 private:
  ExchangePort MakePort(NodeId self, NodeId parent);
  void LoseUplink(const std::string& why);
  void SetTimer();

  Deps deps_;
  const NamespaceMaps no_maps_;  // the agent has those; series come with their nodes
  std::optional<ExchangePort> port_;
  std::optional<Collectives> collectives_;
  std::unique_ptr<Link> uplink_;
  Timer timer_;
};

}  // namespace rex::pmix
