#include "launcher/agent/head_images.h"

#include "launcher/base/log.h"

namespace rex {

bool HeadImages::Prepare(JobNumber job, const JobSpec& spec, bool elsewhere,
                         std::function<void()> then) {
  if (!MayStage(spec, elsewhere)) return false;
  images_[job] = std::make_unique<HeadImage>(
      loop_, spec, std::move(then),
      [this, job](const Failure& failure) { handlers_.on_failed(job, failure); });
  return true;
}

void HeadImages::Launch(JobNumber job, const Dvm& dvm, LaunchPart* launch) {
  const auto image = images_.find(job);
  if (image == images_.end()) return;
  launch->image = image->second->wire();
  std::vector<NodeId> nodes = launch->map->nodes();
  std::erase(nodes, kHeadNode);
  if (nodes.empty()) return;
  std::vector<uint32_t> ranks;
  for (const NodeId node : nodes) ranks.push_back(launch->map->CountOn(node));
  image->second->Launch(
      job, nodes, ranks, dvm.MakeImagePort(),
      [&dvm](NodeId node) -> const std::string& { return dvm.NameOf(node); },
      [this, job](const Notice& notice) { handlers_.notice(job, notice); });
}

Status HeadImages::OnMessage(NodeId from, uint8_t kind, const std::string& payload) {
  const auto key = ImageKeyOf(kind, payload);
  if (!key) return key.error();
  if (const auto image = images_.find(JobOfImageKey(*key)); image != images_.end()) {
    return image->second->OnMessage(from, *key, kind, payload);
  }
  if (kind != kImageFailedKind) return Ok{};  // last words: the job has ended
  const auto failed = ImageFromWire<ImageFailed>(payload);
  if (!failed) return failed.error();
  for (const auto& [job, image] : images_) {
    if (image->Knows(failed->transfer)) return image->OnMessage(from, *key, kind, payload);
  }
  return Ok{};
}

void HeadImages::OnNodesLost(const std::vector<NodeId>& nodes) {
  for (const auto& [job, image] : images_) image->OnNodesLost(nodes);
}

std::vector<Phase> HeadImages::End(JobNumber job, const std::string& node) {
  auto image = images_.extract(job);
  if (image.empty()) return {};
  std::vector<Phase> phases = image.mapped()->Phases(node);
  over_.push_back(std::move(image.mapped()));
  loop_.Post([this] { over_.clear(); });
  return phases;
}

void HeadImages::Clear() {
  images_.clear();
  over_.clear();
}

}  // namespace rex
