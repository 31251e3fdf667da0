#include "launcher/agent/head_core.h"

#include "launcher/agent/load_news.h"

namespace rex {

namespace {
constexpr uint64_t kMaxHostfileBytes = 16 << 20;
constexpr std::chrono::milliseconds kWriteBound{500};  // of what is remembered for later launches

Result<std::string> ReadHostfile(const std::string& path) {
  auto text = ReadFile(path);
  if (!text) return text.error();
  if (text->size() > kMaxHostfileBytes) return Error{Errc::kInvalid, "'" + path + "' is too large"};
  return *std::move(text);
}
}  // namespace

HeadCore::HeadCore(EventLoop& loop, ChildTable& children, NodeOptions options, bool persistent,
                   Handlers handlers)
    : loop_(loop),
      children_(children),
      handlers_(std::move(handlers)),
      node_(loop, children, std::move(options),
            {[this](JobNumber job, PartEvent event) { OnPartEvent(job, std::move(event)); },
             [this] { handlers_.on_keeper_lost(); },
             [this](NodeId from, pmix::HostMessage m) { OnHostRequest(from, std::move(m)); },
             [this](const Failure& failure) { handlers_.on_host_lost(failure); }}),
      jobs_(MakeServices(persistent)),
      images_(loop,
              {[this](JobNumber job, const Failure& failure) { jobs_.OnJobLost(job, failure); },
               [this](JobNumber job, const Notice& notice) { jobs_.Tell(job, notice); }}) {}

DvmJobs::Services HeadCore::MakeServices(bool persistent) {
  return {loop_,
          [this](JobNumber job, NodeId node, PartCommand m) { Command(job, node, std::move(m)); },
          [this](JobNumber job, PartCommand m) { CommandAll(job, std::move(m)); },
          [this](NodeId node, const pmix::HostMessage& m) { node_.exchange().AnswerTo(node, m); },
          [this] { return dvm_ ? dvm_->MissingNodes() : std::vector<std::string>{}; },
          [this] { return dvm_ ? dvm_->Answered() : std::pair<uint32_t, uint32_t>(); },
          [this](NodeId node) { return dvm_->OffsetTo(node); },
          ReadHostfile,
          persistent,
          [this](std::vector<JobNode>* nodes) {
            if (dvm_) FillLoads(dvm_->loads(), loop_.clock().Now(), nodes);
          },
          [this](NodeId node, int64_t threads) { dvm_->AddRanks(node, threads); },
          [this](JobNumber job, const JobSpec& spec, bool elsewhere, std::function<void()> then) {
            return images_.Prepare(job, spec, elsewhere, std::move(then));
          },
          [this](JobNumber job) {
            plug_ins_.OnEnd(job);
            return images_.End(job, node_.facts().name);
          }};
}

void HeadCore::OnHostRequest(NodeId from, pmix::HostMessage message) {
  const auto* tool = std::get_if<pmix::ToolConnected>(&message);
  if (tool == nullptr) return jobs_.OnHostRequest(from, std::move(message));
  const int32_t status =
      handlers_.on_tool ? handlers_.on_tool(from, *tool) : pmix::kErrNotSupported;
  node_.exchange().AnswerTo(from, pmix::OpDone{tool->request, status});
}

// ---- jobs

void HeadCore::Command(JobNumber job, NodeId node, PartCommand command) {
  if (node == kHeadNode) {
    REX_CHECK(node_.Command(job, std::move(command)).has_value());
    return;
  }
  PartFrame frame = EncodePart(job, command);
  dvm_->Send(node, frame.kind, frame.frame_class, std::move(frame.payload));
}

void HeadCore::CommandAll(JobNumber job, PartCommand command) {
  if (auto* launch = std::get_if<LaunchPart>(&command)) {
    handlers_.on_launch(job, launch);
    plug_ins_.OnLaunch(job, launch->spec);
    images_.Launch(job, *dvm_, launch);
  }
  if (dvm_->size() > 1) {
    const PartFrame frame = EncodePart(job, command);
    dvm_->Broadcast(frame.kind, frame.frame_class, frame.payload);
  }
  REX_CHECK(node_.Command(job, std::move(command)).has_value());
}

void HeadCore::OnPartEvent(JobNumber job, PartEvent event) {
  REX_CHECK(TakePartEvent(job, kHeadNode, std::move(event)).has_value());
}

Status HeadCore::TakePartEvent(JobNumber job, NodeId from, PartEvent event) {
  if (auto* seen = std::get_if<PartPlugIns>(&event)) return plug_ins_.OnSeen(job, std::move(*seen));
  return jobs_.OnPart(job, from, std::move(event));
}

// ---- nodes

Status HeadCore::StartNodes(const DvmSpec& spec, uint32_t slots, const Dvm::StartOptions& options,
                            Look look) {
  named_slots_ = slots;
  look_ = std::move(look);
  const uint32_t cores = node_.facts().slots;
  JobNode here{kHeadNode, node_.facts().name, cores, cores, true, 0};
  here.hardware = node_.facts().hardware;
  dvm_ = std::make_unique<Dvm>(loop_, children_, spec, std::move(here), MakeHandlers());
  const Status started = dvm_->Start(options);
  if (dvm_->awaits_own_load()) {
    node_.WatchLoad([this](const FoundLoad& found) { dvm_->OnOwnLoad(found); });
  }
  // Before a node can say anything: its host may be lost while others are still being started.
  if (started && dvm_->size() > 1) {
    node_.SetUp(kHeadNode, dvm_->NameOf(kHeadNode), dvm_->Port(), spec.max_modex_bytes);
  }
  return started;
}

Dvm::Handlers HeadCore::MakeHandlers() {
  return {
      [this] { handlers_.on_ready(); },
      [this](const Failure& failure) { handlers_.on_failed(failure); },
      [this](const std::vector<NodeId>& nodes, const Failure& failure) { OnLost(nodes, failure); },
      [this](NodeId from, uint8_t kind, std::string payload) {
        OnMessage(from, kind, std::move(payload));
      },
      [this](const Notice& notice) { handlers_.notice(notice); },
      [this](NodeId child, uint8_t kind, std::string payload) {
        return node_.OnUplinkMessage(child, kind, std::move(payload));
      },
      look_.on_each_failed,
      [this] { jobs_.OnLoads(); }};
}

void HeadCore::OnLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  node_.OnNodesLost(nodes);
  jobs_.OnNodesLost(nodes, failure);
  images_.OnNodesLost(nodes);
  handlers_.on_lost(nodes, failure);
}

void HeadCore::OnMessage(NodeId from, uint8_t kind, std::string payload) {
  const Status taken = Take(from, kind, std::move(payload));
  if (taken) return;
  Failure failure =
      InternalFailure("a message of the node's agent makes no sense: " + taken.error().text,
                      "use one version of rex on all nodes");
  failure.kind = FailureKind::kNodeFailed;
  failure.node = dvm_->NameOf(from);
  handlers_.on_nonsense(from, failure);
}

Status HeadCore::Take(NodeId from, uint8_t kind, std::string payload) {
  if (kind >= kFirstExchangeKind && kind <= kLastExchangeKind) {
    return node_.OnExchange(from, kind, std::move(payload));
  }
  if (kind == kLoadNewsKind) return dvm_->OnLoadNews(from, payload);
  if (look_.on_message) return look_.on_message(from, kind, payload);
  if (kind >= kFirstImageKind && kind <= kLastImageKind) {
    return images_.OnMessage(from, kind, payload);
  }
  auto event = DecodeEvent(kind, payload);
  if (!event) return event.error();
  return TakePartEvent(event->job, from, std::move(event->body));
}

void HeadCore::Close() {
  plug_ins_.Finish(kWriteBound);
  images_.Clear();
  if (dvm_) dvm_->Close();
  node_.CleanUp();
}

}  // namespace rex
