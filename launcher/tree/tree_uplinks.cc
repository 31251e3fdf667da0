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
    const Status taken = handlers_.on_uplink_message
                             ? handlers_.on_uplink_message(child, kind, std::move(payload))
                             : Status(Error{Errc::kProtocol, "nothing is expected here"});
    if (taken) return;
    Log(LogLevel::kError,
        "nonsense by an uplink node=" + NameOf(child) + " why=" + taken.error().text);
    children_.at(child).uplink.reset();
  };
  // That it is cut is its host's to notice, and its agent's to tell.
  handlers.on_closed = [this, child](const Error& why) {
    Log(LogLevel::kInfo, "an uplink ended node=" + NameOf(child) + " why=" + why.text);
    children_.at(child).uplink.reset();
  };
  Child& below = children_.at(child);
  below.uplink = std::make_unique<Link>(
      loop_, ParamsFor(LinkRole::kParent, child, "the host of node " + below.spec.name),
      std::move(stream), std::move(handlers));
}

bool Tree::HasUplink(NodeId child) const {
  const auto found = children_.find(child);
  return found != children_.end() && found->second.uplink;
}

void Tree::SendByUplink(NodeId child, uint8_t kind, std::string payload) {
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
