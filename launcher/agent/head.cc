#include "launcher/agent/head.h"

#include <signal.h>

#include <algorithm>

#include "launcher/agent/described_nodes.h"
#include "launcher/agent/load_news.h"
#include "launcher/base/log.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kFlushBound{2000};
constexpr uint64_t kMaxHostfileBytes = 16 << 20;

Result<std::string> ReadHostfile(const std::string& path) {
  auto text = ReadFile(path);
  if (!text) return text.error();
  if (text->size() > kMaxHostfileBytes) return Error{Errc::kInvalid, "'" + path + "' is too large"};
  return *std::move(text);
}
}  // namespace

Head::Head(EventLoop& loop, UniqueFd launch_fd, NodeOptions options)
    : loop_(loop),
      launch_fd_(std::move(launch_fd)),
      children_(loop),
      node_(loop, children_, std::move(options),
            {[this](JobNumber job, PartEvent event) {
               OnPartEvent(job, kHeadNode, std::move(event));
             },
             [this] { OnKeeperLost(); },
             [this](NodeId from, pmix::HostMessage m) {
               if (jobs_) jobs_->OnHostRequest(from, std::move(m));
             }}),
      sigterm_(loop, SIGTERM, [this] { OnTerminate(); }) {}

Status Head::Start() {
  const Status started = node_.Start();
  if (!started) return started;
  launch_ = std::make_unique<FrameChannel>(
      loop_, std::move(launch_fd_), kMaxLaunchMessageBytes,
      FrameChannel::Handlers{[this](uint8_t kind, FrameClass, std::string payload) {
                               OnLaunchMessage(kind, std::move(payload));
                             },
                             [this](const Error& error) { OnClientGone(error); }});
  SendControl(*launch_, LaunchMessage::kHello, Hello{std::string(kProtocolVersion)});
  return Ok{};
}

// ---- rexlaunch

void Head::OnLaunchMessage(uint8_t kind, std::string payload) {
  const Status done = Dispatch(static_cast<LaunchMessage>(kind), std::move(payload));
  if (done) return;
  Log(LogLevel::kError,
      "bad message from rexlaunch kind=" + std::to_string(kind) + " why=" + done.error().text);
  Failure failure;
  failure.kind = FailureKind::kRefused;
  failure.detail = done.error().text;
  failure.remedy = "use rexlaunch and rexd of the same installation";
  EndWith(failure, false);
}

Status Head::Dispatch(LaunchMessage kind, std::string payload) {
  if (kind == LaunchMessage::kHello) return OnHello(payload);
  if (!hello_seen_) return Error{Errc::kProtocol, "message before Hello"};
  if (kind == LaunchMessage::kLaunchJob) return OnLaunchJob(payload);
  if (check_ && kind == LaunchMessage::kEndJob) {
    const auto m = FromWire<EndJob>(payload);
    if (!m) return m.error();
    Failure failure;
    failure.kind = FailureKind::kUserSignal;
    failure.signo = m->signo;
    EndWith(failure, true);
    return Ok{};
  }
  if (!jobs_) return Ok{};  // the job has ended while this was under way
  switch (kind) {
    case LaunchMessage::kSignal: {
      const auto m = FromWire<SignalRanks>(payload);
      if (!m) return m.error();
      jobs_->OnSignal(m->signo);
      return Ok{};
    }
    case LaunchMessage::kEndJob: {
      const auto m = FromWire<EndJob>(payload);
      if (!m) return m.error();
      jobs_->OnEndJob(m->signo);
      return Ok{};
    }
    case LaunchMessage::kOutputCredit: {
      const auto m = FromWire<Credit>(payload);
      if (!m) return m.error();
      jobs_->OnOutputCredit(m->bytes);
      return Ok{};
    }
    case LaunchMessage::kStdin:
      return jobs_->OnStdin(payload);
    case LaunchMessage::kStdinEnd:
      jobs_->OnStdinEnd();
      return Ok{};
    default:
      return Error{Errc::kProtocol, "unknown message"};
  }
}

Status Head::OnHello(const std::string& payload) {
  const auto hello = FromWire<Hello>(payload);
  if (!hello) return hello.error();
  if (hello->version != kProtocolVersion) {
    return Error{Errc::kProtocol, "rexlaunch is version " + hello->version + ", this agent is " +
                                      std::string(kProtocolVersion)};
  }
  hello_seen_ = true;
  return Ok{};
}

Status Head::OnLaunchJob(const std::string& payload) {
  if (jobs_ || check_) return Error{Errc::kProtocol, "a second job on one connection"};
  auto spec = FromWire<JobSpec>(payload);
  if (!spec) return spec.error();
  node_.job_begin = loop_.clock().Now();
  if (spec->check) return StartCheck(*spec);
  if (!spec->described.empty()) {
    ShowDescribed(*spec);
    return Ok{};
  }
  jobs_ = std::make_unique<Jobs>(MakeServices(), MakeClient());
  jobs_->Start(*spec);
  if (MayStage(*spec)) {
    image_ = std::make_unique<HeadImage>(loop_, *spec, [this](const Failure& failure) {
      if (jobs_) jobs_->OnLost(failure, false);
    });
  }
  return StartNodes(*spec);
}

Status Head::StartCheck(const JobSpec& spec) {
  check_ = std::make_unique<Check>(loop_, spec, node_.facts().slots, node_.facts().session_dir,
                                   [this](const CheckReport& report) { EndCheck(report); });
  return StartNodes(spec);
}

void Head::EndCheck(const CheckReport& report) {
  SendControl(*launch_, LaunchMessage::kCheckReport, report);
  JobEnded ended;
  for (const CheckProblem& problem : report.problems) {
    if (!problem.note) ended.exit_code = kExitCheck;
  }
  SendControl(*launch_, LaunchMessage::kJobEnded, ended);
  loop_.Post([this] { Finish(); });
}

// Nothing runs: the answer is all there is.
void Head::ShowDescribed(const JobSpec& spec) {
  auto shown = PlaceOnDescribed(spec);
  if (const Failure* failure = std::get_if<Failure>(&shown)) return EndWith(*failure, false);
  for (const Notice& notice : std::get<std::vector<Notice>>(shown)) {
    SendControl(*launch_, LaunchMessage::kNotice, notice);
  }
  SendControl(*launch_, LaunchMessage::kJobEnded, JobEnded{});
  Finish();
}

Jobs::Client Head::MakeClient() {
  return Jobs::Client{
      [this](const Notice& m) { SendControl(*launch_, LaunchMessage::kNotice, m); },
      [this](const Progress& m) { SendControl(*launch_, LaunchMessage::kProgress, m); },
      [this](const JobStarted& m) { SendControl(*launch_, LaunchMessage::kJobStarted, m); },
      [this](std::string payload) {
        launch_->Send(static_cast<uint8_t>(LaunchMessage::kOutput), FrameClass::kStdio,
                      std::move(payload));
      },
      [this](uint64_t bytes) { SendControl(*launch_, LaunchMessage::kStdinCredit, Credit{bytes}); },
      [this](JobEnded m) {
        if (auto phase = dvm_ ? dvm_->LinksPhase() : std::nullopt)
          m.phases.push_back(*std::move(phase));
        if (image_) {
          for (Phase& phase : image_->Phases(node_.facts().name)) {
            m.phases.push_back(std::move(phase));
          }
        }
        // Behind the output, in its class: JobEnded is the last thing rexlaunch hears.
        launch_->Send(static_cast<uint8_t>(LaunchMessage::kJobEnded), FrameClass::kStdio,
                      ToWire(m));
        // The job is on the stack below us: end it in a turn of its own.
        loop_.Post([this] { Finish(); });
      }};
}

void Head::OnClientGone(const Error& error) {
  client_lost_ = true;
  Log(LogLevel::kInfo, "rexlaunch is gone why=" + error.text);
  EndWith(InternalFailure("rexlaunch is gone", ""), true);
}

// ---- the job

Jobs::Services Head::MakeServices() {
  return {
      loop_,
      [this](JobNumber job, NodeId node, PartCommand m) { Command(job, node, std::move(m)); },
      [this](JobNumber job, PartCommand m) { CommandAll(job, std::move(m)); },
      [this](NodeId node, const pmix::HostMessage& m) { node_.exchange().AnswerTo(node, m); },
      [this] { return dvm_ ? dvm_->MissingNodes() : std::vector<std::string>{}; },
      [this] { return dvm_ ? dvm_->Answered() : std::pair<uint32_t, uint32_t>(); },
      [this](NodeId node) { return dvm_->OffsetTo(node); },
      ReadHostfile,
      [this](std::vector<JobNode>* nodes) { FillLoads(dvm_->loads(), loop_.clock().Now(), nodes); },
      [this](NodeId node, int64_t threads) {
        dvm_->loads().AddRanks(node, threads);
        if (threads < 0 && jobs_) jobs_->OnLoads();
      }};
}

void Head::Command(JobNumber job, NodeId node, PartCommand command) {
  if (node == kHeadNode) {
    REX_CHECK(node_.Command(job, std::move(command)).has_value());
    return;
  }
  PartFrame frame = EncodePart(job, command);
  dvm_->Send(node, frame.kind, frame.frame_class, std::move(frame.payload));
}

void Head::CommandAll(JobNumber job, PartCommand command) {
  if (auto* launch = std::get_if<LaunchPart>(&command)) OnLaunch(job, launch);
  if (dvm_->size() > 1) {
    const PartFrame frame = EncodePart(job, command);
    dvm_->Broadcast(frame.kind, frame.frame_class, frame.payload);
  }
  REX_CHECK(node_.Command(job, std::move(command)).has_value());
}

// Of a one-shot DVM only the first job looks at loads, and has its programs sent; jobs that it
// spawns go to the nodes that it kept.
void Head::OnLaunch(JobNumber job, LaunchPart* launch) {
  if (job != kFirstJob) return;
  node_.StopWatchingLoad();
  jobs_->OnNodesReleased(dvm_->KeepOnly(launch->map->nodes()));
  if (image_) SendImage(job, launch);
}

void Head::SendImage(JobNumber job, LaunchPart* launch) {
  launch->image = image_->wire();
  std::vector<NodeId> nodes = launch->map->nodes();
  std::erase(nodes, kHeadNode);
  if (nodes.empty()) return;
  image_->Launch(job, nodes, dvm_->MakeImagePort(),
                 [this](NodeId node) -> const std::string& { return dvm_->NameOf(node); });
}

void Head::OnPartEvent(JobNumber job, NodeId from, PartEvent event) {
  if (!jobs_) return;
  const Status taken = jobs_->OnPart(job, from, std::move(event));
  REX_CHECK(taken.has_value());
}

// ---- the nodes

Status Head::StartNodes(const JobSpec& spec) {
  named_slots_ = spec.slots;
  const uint32_t cores = node_.facts().slots;
  JobNode here{kHeadNode, node_.facts().name, cores, cores, true, 0};
  here.hardware = node_.facts().hardware;
  dvm_ = std::make_unique<Dvm>(
      loop_, children_, spec.dvm, std::move(here),
      Dvm::Handlers{[this] { OnNodesReady(); },
                    [this](const Failure& failure) {
                      if (jobs_) jobs_->OnLost(failure, false);
                    },
                    [this](const std::vector<NodeId>& nodes, const Failure& failure) {
                      OnNodesLost(nodes, failure);
                    },
                    [this](NodeId from, uint8_t kind, std::string payload) {
                      OnNodeMessage(from, kind, std::move(payload));
                    },
                    [this](const Notice& notice) {
                      if (jobs_) SendControl(*launch_, LaunchMessage::kNotice, notice);
                    },
                    OnEachFailed(),
                    [this] {
                      if (jobs_) jobs_->OnLoads();
                    }});
  const Status started = dvm_->Start(StartOptionsOf(spec));
  if (dvm_->awaits_own_load()) {
    node_.WatchLoad([this](const FoundLoad& found) { dvm_->OnOwnLoad(found); });
  }
  // Before a node can say anything: its host may be lost while others are still being started.
  if (started && dvm_->size() > 1) {
    node_.SetUp(kHeadNode, dvm_->NameOf(kHeadNode), dvm_->Port(), spec.dvm.max_modex_bytes);
  }
  return started;
}

Dvm::StartOptions Head::StartOptionsOf(const JobSpec& spec) {
  Dvm::StartOptions options;
  options.verbose = spec.verbose;
  const bool looks = spec.WantsLoads() && !spec.check;
  options.looks = looks ? LoadLooks::kUntilLaunch : LoadLooks::kNever;
  const bool counted = std::all_of(spec.apps.begin(), spec.apps.end(),
                                   [](const AppSpec& app) { return app.ranks > 0; });
  options.wanted_slots = counted ? spec.TotalRanks() : 0;
  return options;
}

std::function<void(const StartFailure&)> Head::OnEachFailed() {
  if (!check_) return {};
  return [this](const StartFailure& failure) { check_->OnStartFailed(failure); };
}

void Head::OnNodesReady() {
  if (check_) return check_->OnNodesReady(*dvm_);
  if (!jobs_) return;
  if (auto phase = dvm_->StartPhase()) jobs_->AddPhase(*std::move(phase));
  if (image_) return image_->Await([this] { PlaceJob(); });
  PlaceJob();
}

void Head::PlaceJob() {
  if (jobs_) jobs_->OnNodes(dvm_->JobNodes(named_slots_), dvm_->size());
}

void Head::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  node_.OnNodesLost(nodes);
  if (check_) check_->OnNodesLost(nodes, failure);
  if (image_) image_->OnNodesLost(nodes);
  if (jobs_) jobs_->OnNodesLost(nodes, failure);
}

// A node that can't be understood has another version of rex, or is out of order.
void Head::OnNodeMessage(NodeId from, uint8_t kind, std::string payload) {
  const Status taken = TakeNodeMessage(from, kind, std::move(payload));
  if (taken) return;
  if (check_) return check_->OnNodesLost({from}, InternalFailure(taken.error().text, ""));
  if (!jobs_) return;
  Failure failure =
      InternalFailure("a message of the node's agent makes no sense: " + taken.error().text,
                      "use one version of rex on all nodes");
  failure.kind = FailureKind::kNodeFailed;
  failure.node = dvm_->NameOf(from);
  jobs_->OnLost(failure, false);
}

Status Head::TakeNodeMessage(NodeId from, uint8_t kind, std::string payload) {
  if (kind >= kFirstExchangeKind && kind <= kLastExchangeKind) {
    return node_.OnExchange(from, kind, std::move(payload));
  }
  if (kind == kLoadNewsKind) return dvm_->OnLoadNews(from, payload);
  if (check_) return check_->OnMessage(from, kind, payload);
  if (kind >= kFirstImageKind && kind <= kLastImageKind) {
    return image_ ? image_->OnMessage(from, kind, payload) : Status(Ok{});
  }
  auto event = DecodeEvent(kind, payload);
  if (!event) return event.error();
  return jobs_ ? jobs_->OnPart(event->job, from, std::move(event->body)) : Status(Ok{});
}

// ---- ends

void Head::OnKeeperLost() {
  EndWith(InternalFailure("the keeper (rexd) was killed",
                          "find out who kills processes here (the kernel's OOM killer? `dmesg`)"),
          true);
}

void Head::OnTerminate() {
  EndWith(InternalFailure("the agent (rexd-agent) was told to end (SIGTERM)",
                          "find out who ends processes here (a batch system at its time limit?)"),
          false);
}

void Head::EndWith(const Failure& failure, bool quick) {
  if (jobs_) return jobs_->OnLost(failure, quick);
  if (!client_lost_) {
    JobEnded ended;
    ended.failure = failure;
    ended.exit_code = ExitCodeOf(failure);
    SendControl(*launch_, LaunchMessage::kJobEnded, ended);
  }
  Finish();
}

void Head::Finish() {
  jobs_.reset();
  check_.reset();
  image_.reset();
  if (dvm_) dvm_->Close();
  if (!client_lost_) launch_->Flush(kFlushBound);
  node_.CleanUp();
  loop_.Stop();
}

}  // namespace rex
