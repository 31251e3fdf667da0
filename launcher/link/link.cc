#include "launcher/link/link.h"

#include "launcher/link/link_core.h"

namespace rex {

Link::Link(EventLoop& loop, LinkParams params, UniqueFd in, UniqueFd out,
           std::chrono::milliseconds handshake_bound, Handlers handlers)
    : core_(std::make_shared<LinkCore>(loop, std::move(params), std::move(handlers))) {
  core_->Start(std::move(in), std::move(out), handshake_bound);
}

Link::Link(EventLoop& loop, LinkParams params, AuthenticatedStream stream, Handlers handlers)
    : core_(std::make_shared<LinkCore>(loop, std::move(params), std::move(handlers))) {
  core_->StartOnTcp(std::move(stream));
}

Link::~Link() { core_->Abandon(); }

void Link::Send(uint8_t kind, FrameClass frame_class, std::string payload) {
  core_->Send(kind, frame_class, std::move(payload));
}

size_t Link::QueuedBytes() const { return core_->queued_bytes(); }
void Link::EnableReading(bool on) { core_->EnableReading(on); }
void Link::Flush(std::chrono::milliseconds bound) { core_->Flush(bound); }
void Link::AdoptTcp(AuthenticatedStream stream) { core_->AdoptTcp(std::move(stream)); }
std::optional<ClockOffset> Link::offset() const { return core_->offset(); }
bool Link::up() const { return core_->up(); }
bool Link::on_tcp() const { return core_->on_tcp(); }
bool Link::closed() const { return core_->closed(); }

}  // namespace rex
