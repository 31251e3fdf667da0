// The uplink of this node's host as its agent sees it: makes the connection when one is wanted and
// hands it over. docs/design/uplinks.md has the whole.
//
//   state      leaves on                                  to
//   none       wanted, and the parent can be dialled      dialling
//   dialling   connected                                  standing
//              not connected                              refused
//   standing   the host says that it is lost              lost
//   lost       a second later: the owner is told          none
//   any        the host goes                              none
//
// Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "launcher/base/event_loop.h"
#include "launcher/base/node_id.h"
#include "launcher/base/result.h"
#include "launcher/link/authenticated_stream.h"
#include "pmix-server/proto/host_types.h"

namespace rex {

// How the agent above is reached once more.
struct UplinkPort {
  std::function<bool()> may_dial;
  // As Tree::DialUplink.
  std::function<void(std::function<void(Result<AuthenticatedStream>)> on_done)> dial;
  NodeId self{};
  NodeId parent{};
  std::string parent_name;
  std::chrono::seconds node_timeout{0};
  uint64_t max_message_bytes = 0;
};

class OwnUplink {
 public:
  struct Handlers {
    // To the host: its uplink.
    std::function<void(pmix::UseUplink, UniqueFd connection)> give;
    // Whether the host has one, when that changes.
    std::function<void(bool stands)> on_change;
    // It was cut, by nothing that has ended this agent meanwhile.
    std::function<void(const std::string& why)> on_lost;
  };
  OwnUplink(EventLoop& loop, UplinkPort port, Handlers handlers);

  void Want();
  void OnHostSaysLost(const std::string& why);
  void OnHostGone();

 private:
  enum class State : uint8_t { kNone, kDialling, kStanding, kRefused, kLost };
  void OnDialled(Result<AuthenticatedStream> stream);

  UplinkPort port_;
  Handlers handlers_;
  State state_ = State::kNone;
  std::string why_;
  Timer lost_;
};

}  // namespace rex
