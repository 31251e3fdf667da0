#include "launcher/agent/head_image.h"

#include <algorithm>
#include <thread>

#include "launcher/ranks/part_plan.h"
#include "launcher/staging/own_image.h"

namespace rex {

StoreOptions StoreOf(const StageSpec& stage) {
  return {static_cast<StoreKind>(stage.store), stage.store_dir, stage.store_bytes};
}

namespace {
// Looks for the programs, and reads what belongs to them.
Result<MadeImage> Make(const JobSpec& spec) {
  ImageQuery query;
  query.always = spec.stage.mode == StageRequest::kAlways;
  query.send_interpreters = true;
  query.preload_files = spec.stage.preload_files;
  for (const AppSpec& app : spec.apps) {
    FoundProgram found = FindAppProgram(spec, app);
    query.apps.push_back({std::move(found.path), std::move(found.env)});
  }
  const bool any = std::any_of(query.apps.begin(), query.apps.end(), [&](const auto& app) {
    return !app.program.empty() && (query.always || !IsSystemPath(app.program));
  });
  if (!any && query.preload_files.empty()) return MadeImage{};
  return MakeOwnImage(std::move(query), StoreOf(spec.stage), spec.env);
}
}  // namespace

bool MayStage(const JobSpec& spec, bool elsewhere) {
  if (!elsewhere || spec.do_not_launch || spec.check) return false;
  // Virtual nodes have this machine's files.
  if (spec.dvm.bootstrap == Bootstrap::kVirtual) return spec.stage.mode == StageRequest::kAlways;
  return spec.stage.mode != StageRequest::kNever;
}

HeadImage::HeadImage(EventLoop& loop, const JobSpec& spec, std::function<void()> on_made,
                     std::function<void(const Failure&)> on_failed)
    : loop_(loop),
      stage_(spec.stage),
      program_(spec.apps.front().argv.front()),
      on_made_(std::move(on_made)),
      on_failed_(std::move(on_failed)),
      begin_(loop.clock().Now()) {
  std::thread([this, loop = &loop_, alive = alive_, spec] {
    auto made = std::make_shared<Result<MadeImage>>(Make(spec));
    loop->Post([this, alive, made] {
      if (*alive) OnMade(std::move(*made));
    });
  }).detach();
}

void HeadImage::OnMade(Result<MadeImage> made) {
  made_at_ = loop_.clock().Now();
  if (!made) {
    Failure failure;
    failure.kind = FailureKind::kProgramNotRunnable;
    failure.program = program_;
    failure.detail = made.error().text;
    failure.remedy = "make it readable, or leave it to the nodes: --stage=never";
    return on_failed_(failure);
  }
  for (std::string& text : made->notes) notes_.push_back({Notice::Level::kInfo, std::move(text)});
  for (std::string& text : made->details) {
    notes_.push_back({Notice::Level::kDetail, std::move(text)});
  }
  plug_ins_ = made->plug_ins;
  Image& image = made->image;
  if (!image.files.empty()) {
    image.hold = stage_.hold;
    image.private_copies = stage_.creation == CreationRequest::kSingle;
    image_ = std::make_shared<const Image>(std::move(image));
    wire_ = ToWire(*image_);
  }
  std::exchange(on_made_, nullptr)();
}

void HeadImage::Launch(uint32_t job, const std::vector<NodeId>& nodes,
                       const std::vector<uint32_t>& ranks, ImagePort port,
                       std::function<const std::string&(NodeId)> name_of,
                       std::function<void(const Notice&)> on_notice) {
  if (wire_.empty() || nodes.empty()) return;
  name_of_ = std::move(name_of);
  on_notice_ = std::move(on_notice);
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    for (const Notice& note : std::exchange(notes_, {})) on_notice_(note);
  });
  if (stage_.creation != CreationRequest::kSingle) {
    return AddSource(ImageKey(job, 0), kHeadNode, nodes, port);
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (uint32_t rank = 0; rank < ranks[i]; ++rank) {
      AddSource(ImageKey(job, rank), nodes[i], {nodes[i]}, port);
    }
  }
}

void HeadImage::AddSource(uint64_t key, NodeId at, const std::vector<NodeId>& nodes,
                          const ImagePort& port) {
  const bool group = stage_.creation == CreationRequest::kGroup;
  auto source = std::make_unique<ImageSource>(
      loop_, port, image_, group ? Creation::kGroup : Creation::kMultiple,
      static_cast<Transport>(stage_.transport),
      ImageSource::Handlers{
          name_of_,
          [this](NodeId node, const ImageFailed& failed) { OnSourceFailed(node, failed); },
          [this](const std::string& text) {
            on_notice_({Notice::Level::kInfo, text});
          }});
  source->Begin(key, nodes);
  sources_[{key, at}] = std::move(source);
}

void HeadImage::OnSourceFailed(NodeId at, const ImageFailed& failed) {
  Failure failure;
  failure.kind = at == kHeadNode ? FailureKind::kProgramNotRunnable : FailureKind::kNodeFailed;
  failure.node = name_of_(at);
  failure.program = program_;
  failure.detail = failed.detail;
  failure.remedy = failed.remedy;
  on_failed_(failure);
}

Status HeadImage::OnMessage(NodeId from, uint64_t key, uint8_t kind, const std::string& payload) {
  for (const NodeId at : {kHeadNode, from}) {
    const auto source = sources_.find({key, at});
    if (source != sources_.end()) return source->second->OnMessage(from, kind, payload);
  }
  // Of pieces that nobody was told of: any of ours can say what follows.
  const bool failed = kind == kImageFailedKind && !sources_.empty();
  return failed ? sources_.begin()->second->OnMessage(from, kind, payload) : Status(Ok{});
}

bool HeadImage::Knows(const TransferId& id) const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [&id](const auto& entry) { return entry.second->Knows(id); });
}

void HeadImage::OnNodesLost(const std::vector<NodeId>& nodes) {
  for (const auto& [key, source] : sources_) source->OnNodesLost(nodes);
}

std::vector<Phase> HeadImage::Phases(const std::string& node) const {
  std::vector<Phase> phases;
  if (!image_) return phases;
  std::string content = ContentText(*image_);
  if (plug_ins_ > 0) content += ", " + std::to_string(plug_ins_) + " of them plug-ins seen before";
  phases.push_back({"closure", begin_, made_at_, node, "agent", content});
  for (const auto& [key, source] : sources_) {
    const ImageSource::Account account = source->account();
    const Clock::Time end = account.end.count() > 0 ? account.end : loop_.clock().Now();
    phases.push_back({"image sent", account.begin, end, node, "agent", account.note});
  }
  return phases;
}

}  // namespace rex
