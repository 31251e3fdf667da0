#include "launcher/agent/own_uplink.h"

#include <utility>

#include "launcher/base/log.h"

namespace rex {

namespace {
// When the agent above has gone, the agents' link says so within this time.
constexpr std::chrono::seconds kBetterReason{1};
}  // namespace

OwnUplink::OwnUplink(EventLoop& loop, UplinkPort port, Handlers handlers)
    : port_(std::move(port)), handlers_(std::move(handlers)), lost_(loop, [this] {
        state_ = State::kNone;
        handlers_.on_lost(why_);
      }) {}

void OwnUplink::Want() {
  if (state_ != State::kNone || !port_.may_dial()) return;
  state_ = State::kDialling;
  port_.dial([this](Result<AuthenticatedStream> stream) { OnDialled(std::move(stream)); });
}

void OwnUplink::OnDialled(Result<AuthenticatedStream> stream) {
  if (state_ != State::kDialling) return;  // for a host that has gone
  if (!stream) {
    state_ = State::kRefused;
    return Log(LogLevel::kInfo, "the host gets no uplink: " + stream.error().text);
  }
  pmix::UseUplink uplink;
  uplink.self = Index(port_.self);
  uplink.peer = Index(port_.parent);
  uplink.peer_name = "node " + port_.parent_name;
  uplink.key_down = stream->keys.down.bytes;
  uplink.key_up = stream->keys.up.bytes;
  uplink.node_timeout = port_.node_timeout;
  uplink.max_message_bytes = port_.max_message_bytes;
  state_ = State::kStanding;
  handlers_.give(std::move(uplink), std::move(stream->socket));
  handlers_.on_change(true);
}

void OwnUplink::OnHostSaysLost(const std::string& why) {
  if (state_ != State::kStanding) return;
  Log(LogLevel::kInfo, "the host's uplink is lost: " + why);
  state_ = State::kLost;
  why_ = why;
  handlers_.on_change(false);
  lost_.Set(kBetterReason);
}

void OwnUplink::OnHostGone() {
  const bool stood = state_ == State::kStanding;
  state_ = State::kNone;
  lost_.Cancel();
  if (stood) handlers_.on_change(false);
}

}  // namespace rex
