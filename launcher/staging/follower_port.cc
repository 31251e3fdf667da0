#include "launcher/staging/follower_port.h"

#include <unistd.h>

#include <cstring>

namespace rex {

namespace {
constexpr std::chrono::seconds kNameBound{5};
}  // namespace

FollowerPort::FollowerPort(EventLoop& loop, const ImagePort& port, Handlers handlers)
    : loop_(loop), port_(port), handlers_(std::move(handlers)) {}

Result<uint16_t> FollowerPort::Open() {
  if (!listener_) {
    auto listener = port_.listen([](NodeId, LinkStream which) { return which == LinkStream::kTcp; },
                                 [this](NodeId node, LinkStream, AuthenticatedStream stream) {
                                   OnStream(node, std::move(stream.socket));
                                 });
    if (!listener) return listener.error();
    listener_ = std::move(*listener);
  }
  return listener_->port();
}

void FollowerPort::OnStream(NodeId node, UniqueFd socket) {
  waiting_.emplace_back();
  const Place place = std::prev(waiting_.end());
  place->node = node;
  place->socket = std::move(socket);
  place->watcher = std::make_unique<ReadWatcher>(loop_, place->socket.get(),
                                                 [this, place] { OnReadable(place); });
  place->timer = std::make_unique<Timer>(loop_, [this, place] { OnTimer(place); });
  place->timer->Set(kNameBound);
}

TransferId FollowerPort::IdOf(const Waiting& waiting) {
  TransferId id;
  std::memcpy(id.data(), waiting.name.data(), id.size());
  return id;
}

void FollowerPort::OnReadable(Place place) {
  TransferId bytes;
  const size_t want = bytes.size() - place->name.size();
  const ssize_t n = ::read(place->socket.get(), bytes.data(), want);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    waiting_.erase(place);
    return;
  }
  place->name.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(n));
  if (place->name.size() == bytes.size()) OnNamed(place);
}

void FollowerPort::OnNamed(Place place) {
  place->watcher->Enable(false);
  if (handlers_.on_follower(IdOf(*place), place->node, place->socket)) {
    waiting_.erase(place);
    return;
  }
  place->held = true;
  place->timer->Set(hold_);
}

void FollowerPort::OnTimer(Place place) {
  const bool held = place->held;
  const NodeId node = place->node;
  const TransferId id = held ? IdOf(*place) : TransferId{};
  waiting_.erase(place);
  if (held && handlers_.on_expired) handlers_.on_expired(id, node);
}

void FollowerPort::Offer() {
  for (Place place = waiting_.begin(); place != waiting_.end();) {
    const Place here = place++;
    if (!here->held) continue;
    if (handlers_.on_follower(IdOf(*here), here->node, here->socket)) waiting_.erase(here);
  }
}

}  // namespace rex
