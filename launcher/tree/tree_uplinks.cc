// Uplinks: links beside those of the agents, from a child's host (docs/design/uplinks.md).
#include "launcher/base/log.h"
#include "launcher/tree/tree.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kUplinkBound{10};
}

// ---- the parent's end

void Tree::OnUplink(NodeId child, AuthenticatedStream stream) {
  Link::Handlers handlers;
  handlers.on_message = [this, child](uint8_t kind, FrameClass /*frame_class*/,
                                      std::string payload) {
    const Status taken = TakeFromUplink(child, kind, std::move(payload));
    if (!taken) DropUplink(child, LogLevel::kError, "it brought nonsense: " + taken.error().text);
  };
  // That it is cut is its host's to notice, and its agent's to tell.
  handlers.on_closed = [this, child](const Error& why) {
    DropUplink(child, LogLevel::kInfo, why.text);
  };
  Child& below = children_.at(child);
  below.uplink = std::make_unique<Link>(
      loop_, ParamsFor(LinkRole::kParent, child, "the host of node " + below.spec.name),
      std::move(stream), std::move(handlers));
}

Status Tree::TakeFromUplink(NodeId child, uint8_t kind, std::string payload) {
  ++traffic_.messages_received;
  traffic_.bytes_received += payload.size();
  if (!handlers_.on_uplink_message) return Error{Errc::kProtocol, "nothing is expected here"};
  return handlers_.on_uplink_message(child, kind, std::move(payload));
}

void Tree::DropUplink(NodeId child, LogLevel level, const std::string& why) {
  Log(level, "an uplink ended node=" + NameOf(child) + " why=" + why);
  const auto found = children_.find(child);
  if (found != children_.end()) found->second.uplink.reset();
}

bool Tree::HasUplink(NodeId child) const {
  const auto found = children_.find(child);
  return found != children_.end() && found->second.uplink;
}

void Tree::SendByUplink(NodeId child, uint8_t kind, std::string payload) {
  ++traffic_.messages_sent;
  traffic_.bytes_sent += payload.size();
  children_.at(child).uplink->Send(kind, FrameClass::kData, std::move(payload));
}

// ---- the child's end

bool Tree::MayDialUplink() const {
  return parent_link_ && parent_link_->on_tcp() && !parent_address_.empty();
}

void Tree::DialUplink(std::function<void(Result<AuthenticatedStream>)> on_done) {
  uplink_dialer_ = std::make_unique<LinkDialer>(
      loop_, ParamsFor(LinkRole::kChild, parent_, "node " + parent_name_),
      std::vector<std::string>{parent_address_}, parent_port_, kUplinkBound,
      [this, on_done = std::move(on_done)](Result<AuthenticatedStream> stream) {
        const auto done = on_done;  // which the dialer has
        uplink_dialer_.reset();
        done(std::move(stream));
      },
      LinkStream::kUplink);
}

}  // namespace rex
