#include "pmix-server/host/own_collectives.h"

#include <algorithm>
#include <utility>

#include "launcher/base/log.h"

namespace rex::pmix {

OwnCollectives::OwnCollectives(Deps deps)
    : deps_(std::move(deps)), timer_(deps_.loop, [this] {
        collectives_->Expire(deps_.loop.clock().Now());
        SetTimer();
      }) {}

void OwnCollectives::SetTimer() {
  const std::optional<Clock::Time> next =
      collectives_ ? collectives_->NextDeadline() : std::nullopt;
  if (!next) return timer_.Cancel();
  timer_.Set(std::max(*next - deps_.loop.clock().Now(), Clock::Time(0)));
}

// A node that has nobody below.
ExchangePort OwnCollectives::MakePort(NodeId self, NodeId parent) {
  ExchangePort port;
  port.self = self;
  port.parent = parent;
  port.children = [] { return std::vector<NodeId>{}; };
  port.send = [this](NodeId, uint8_t kind, FrameClass frame_class, std::string payload) {
    if (uplink_) uplink_->Send(kind, frame_class, std::move(payload));
  };
  return port;
}

rex::Status OwnCollectives::OnGiven(const SeriesGiven& given) {
  const auto next = DecodeCollective(given.header);
  if (!next) return next.error();
  if (!collectives_) {
    port_ = MakePort(NodeId{given.self}, NodeId{given.parent});
    collectives_.emplace(Collectives::Deps{
        *port_, no_maps_, [this](const HostMessage& message) { deps_.answer(message); },
        given.max_modex_bytes});
  }
  collectives_->Adopt(next->header);
  return Ok{};
}

rex::Status OwnCollectives::OnUplink(const UseUplink& uplink, UniqueFd connection) {
  if (!connection) return Error{Errc::kProtocol, "an uplink without its connection"};
  LinkParams params;
  params.role = LinkRole::kChild;
  params.self = NodeId{uplink.self};
  params.peer = NodeId{uplink.peer};
  params.max_message_bytes = uplink.max_message_bytes;
  params.node_timeout = uplink.node_timeout;
  params.peer_name = uplink.peer_name;
  AuthenticatedStream stream;
  stream.socket = std::move(connection);
  stream.keys.down.bytes = uplink.key_down;
  stream.keys.up.bytes = uplink.key_up;
  Link::Handlers handlers;
  handlers.on_message = [this](uint8_t kind, FrameClass /*frame_class*/, std::string payload) {
    const bool down = kind == static_cast<uint8_t>(ExchangeMessage::kCollectiveDown);
    const rex::Status taken = down ? OnDown(std::move(payload))
                                   : rex::Status(Error{Errc::kProtocol, "a message of no use"});
    if (!taken) LoseUplink("it brought nonsense: " + taken.error().text);
  };
  handlers.on_closed = [this](const Error& why) { LoseUplink(why.text); };
  uplink_ =
      std::make_unique<Link>(deps_.loop, std::move(params), std::move(stream), std::move(handlers));
  return Ok{};
}

// What was said by it may have been lost with it; whether that matters the agent knows.
void OwnCollectives::LoseUplink(const std::string& why) {
  uplink_.reset();
  deps_.tell_agent(UplinkLost{why});
}

bool OwnCollectives::Take(Fence& fence) {
  if (!collectives_ || !collectives_->ContributeIfKnown(fence, deps_.loop.clock().Now())) {
    return false;
  }
  SetTimer();
  return true;
}

rex::Status OwnCollectives::OnDown(std::string payload) {
  if (!collectives_) return Ok{};
  const rex::Status taken = collectives_->OnDown(port_->parent, std::move(payload));
  SetTimer();
  return taken;
}

void OwnCollectives::OnNamespaceGone(const std::string& name) {
  if (!collectives_) return;
  collectives_->OnNamespaceGone(name);
  SetTimer();
}

}  // namespace rex::pmix
