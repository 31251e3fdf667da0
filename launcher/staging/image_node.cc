#include "launcher/staging/image_node.h"

#include <cstring>

#include "launcher/base/log.h"
#include "launcher/staging/fault.h"

namespace rex {

ImageNode::ImageNode(EventLoop& loop, ImagePort port)
    : loop_(loop),
      port_(std::move(port)),
      followers_(loop, port_,
                 {[this](const TransferId& id, NodeId node, UniqueFd& socket) {
                    ImageFetch* fetch = Expecting(id);
                    if (fetch != nullptr) fetch->OnFollower(node, std::move(socket));
                    return fetch != nullptr;
                  },
                  [this](const TransferId& id, NodeId node) {
                    OnExpired(id, "node " + std::to_string(Index(node)) + " asked for pieces");
                  }}),
      late_(loop, [this] {
        if (late_route_) TakeRoute(*std::exchange(late_route_, std::nullopt));
      }) {}

ImageFetch* ImageNode::Expecting(const TransferId& id) const {
  for (const auto& [job, fetch] : fetches_) {
    if (fetch->Expects(id)) return fetch.get();
  }
  return nullptr;
}

Status ImageNode::Begin(const ImageFetch::Place& place, const std::string& wire,
                        ImageFetch::Handlers handlers) {
  auto image = ImageFromWire<Image>(wire);
  if (!image) return image.error();
  hold_ = image->hold;
  followers_.SetHold(hold_);
  fetches_[place.job] = std::make_unique<ImageFetch>(loop_, port_, followers_, place,
                                                     *std::move(image), std::move(handlers));
  return Ok{};
}

void ImageNode::End(uint64_t job) { fetches_.erase(job); }

Status ImageNode::OnMessage(uint8_t kind, std::string payload) {
  if (kind == kImageRouteKind) return OnRoute(payload);
  if (kind == kImagePieceKind) return OnPieces(payload);
  if (kind == kImageCastKind) return OnCast(payload);
  return Error{Errc::kProtocol, "an unknown message about an image"};
}

Status ImageNode::OnRoute(const std::string& payload) {
  const auto route = ImageFromWire<ImageRoute>(payload);
  if (!route) return route.error();
  const auto fetch = fetches_.find(route->job);
  if (fetch == fetches_.end()) return Ok{};  // the job has ended here
  const uint32_t late = FaultOf(fetch->second->fault(), port_.name, "late");
  if (late > 0) {
    late_route_ = *route;
    late_.Set(std::chrono::milliseconds(late));
  } else {
    TakeRoute(*route);
  }
  return Ok{};
}

void ImageNode::TakeRoute(const ImageRoute& route) {
  const auto fetch = fetches_.find(route.job);
  if (fetch == fetches_.end()) return;
  fetch->second->OnRoute(route);
  const auto held = held_.find(route.transfer);
  if (held == held_.end()) return;
  const std::deque<Record> records = std::move(held->second.records);
  held_.erase(held);
  for (const Record& record : records) {
    held_bytes_ -= record->size();
    fetch->second->OnRecord(record);
  }
}

Status ImageNode::OnCast(const std::string& payload) {
  const auto cast = ImageFromWire<ImageCast>(payload);
  if (!cast) return cast.error();
  const auto fetch = fetches_.find(cast->job);
  if (fetch == fetches_.end()) return Ok{};
  fetch->second->OnCast(
      *cast, [this, id = cast->transfer](Record record) { OnRecord(id, std::move(record)); });
  return Ok{};
}

// The transfer's id, then one piece.
Status ImageNode::OnPieces(const std::string& payload) {
  TransferId id;
  if (payload.size() < id.size() + kPieceHeaderBytes) return Error{Errc::kProtocol, "a cut piece"};
  std::memcpy(id.data(), payload.data(), id.size());
  auto record = std::make_shared<const std::string>(payload, id.size());
  const auto header = DecodePieceHeader(*record);
  if (!header) return header.error();
  if (header->bytes != record->size() - kPieceHeaderBytes) {
    return Error{Errc::kProtocol, "a piece of another size than it says"};
  }
  OnRecord(id, std::move(record));
  return Ok{};
}

void ImageNode::OnRecord(const TransferId& id, Record record) {
  ImageFetch* fetch = Expecting(id);
  if (fetch != nullptr) return fetch->OnRecord(std::move(record));
  Hold(id, std::move(record));
}

void ImageNode::Hold(const TransferId& id, Record record) {
  if (held_bytes_ + record->size() > kMostHeldBytes) return;  // asked for again in time
  Held& held = held_[id];
  if (!held.timer) {
    held.timer = std::make_unique<Timer>(loop_, [this, id] { OnExpired(id, "pieces came"); });
    held.timer->Set(hold_);
  }
  held_bytes_ += record->size();
  held.records.push_back(std::move(record));
}

void ImageNode::OnExpired(const TransferId& id, const std::string& what) {
  const auto held = held_.find(id);
  if (held != held_.end()) {
    for (const Record& record : held->second.records) held_bytes_ -= record->size();
    held_.erase(held);
  }
  Log(LogLevel::kWarn, "image pieces dropped why=no launch in time");
  ImageFailed failed;
  failed.transfer = id;
  failed.detail = what + " of a program that the node was not told of in " +
                  std::to_string(hold_.count() / 1000) + " s: dropped";
  failed.remedy = "the network delays the head's messages; a longer --image-hold waits for them";
  port_.send(kHeadNode, kImageFailedKind, FrameClass::kControl, ToWire(failed));
}

}  // namespace rex
