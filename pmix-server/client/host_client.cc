#include "pmix-server/client/host_client.h"

namespace rex::pmix {

namespace {
constexpr uint8_t kHostMessageKind = 1;  // the only kind on this channel; host_process.cc agrees
}  // namespace

HostClient::HostClient(EventLoop& loop, UniqueFd socket, OnMessage on_message, OnClosed on_closed)
    : on_message_(std::move(on_message)), on_closed_(std::move(on_closed)) {
  FrameChannel::Handlers handlers;
  handlers.on_message = [this](uint8_t kind, FrameClass /*frame_class*/, std::string payload) {
    OnFrame(kind, payload);
  };
  handlers.on_closed = [this](const Error& error) { Close(error); };
  channel_ = std::make_unique<FrameChannel>(loop, std::move(socket), kMaxHostMessageBytes,
                                            std::move(handlers));
}

void HostClient::Send(const HostMessage& message) {
  if (!closed_) {
    channel_->Send(kHostMessageKind, ClassOf(message), EncodeHostMessage(message));
  }
}

void HostClient::SendUplink(UseUplink uplink, UniqueFd connection) {
  if (closed_) return;
  channel_->SendWithFd(kHostMessageKind, FrameClass::kControl, EncodeHostMessage(uplink),
                       std::move(connection));
}

void HostClient::SetHandlers(OnMessage on_message, OnClosed on_closed) {
  on_message_ = std::move(on_message);
  on_closed_ = std::move(on_closed);
}

void HostClient::OnFrame(uint8_t kind, const std::string& payload) {
  if (closed_) return;
  if (kind != kHostMessageKind) return Close(Error{Errc::kProtocol, "a frame of unknown kind"});
  auto message = DecodeHostMessage(payload);
  if (!message) return Close(message.error());
  const auto on_message = on_message_;  // survives our destruction
  on_message(std::move(*message));
}

void HostClient::Close(const Error& error) {
  if (closed_) return;
  closed_ = true;
  channel_->EnableReading(false);
  const auto on_closed = on_closed_;
  on_closed(error);
}

}  // namespace rex::pmix
