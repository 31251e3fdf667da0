#include "launcher/agent/head.h"

#include <signal.h>

#include <algorithm>

#include "launcher/agent/described_nodes.h"
#include "launcher/base/log.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kFlushBound{2000};
}

Head::Head(EventLoop& loop, UniqueFd launch_fd, NodeOptions options)
    : loop_(loop),
      launch_fd_(std::move(launch_fd)),
      children_(loop),
      core_(loop, children_, std::move(options), false, MakeHandlers()),
      sigterm_(loop, SIGTERM, [this] { OnTerminate(); }) {}

Status Head::Start() {
  const Status started = core_.Start();
  if (!started) return started;
  client_ = std::make_unique<LaunchClient>(
      loop_, std::move(launch_fd_),
      LaunchClient::Handlers{
          [this](const JobSpec& spec) { return OnLaunchJob(spec); },
          [this](LaunchMessage kind, const std::string& payload) { return OnOther(kind, payload); },
          [this](const Error& error) { OnNonsense(error); },
          [this](const Error& error) { OnClientGone(error); }});
  return Ok{};
}

// ---- rexlaunch

void Head::OnNonsense(const Error& error) {
  Log(LogLevel::kError, "bad message from rexlaunch why=" + error.text);
  Failure failure;
  failure.kind = FailureKind::kRefused;
  failure.detail = error.text;
  failure.remedy = "use rexlaunch and rexd of the same installation";
  EndWith(failure, false);
}

// There is no job: the nodes are looked at, or it has ended while this was under way.
Status Head::OnOther(LaunchMessage kind, const std::string& payload) {
  if (!check_ || kind != LaunchMessage::kEndJob) return Ok{};
  const auto m = FromWire<EndJob>(payload);
  if (!m) return m.error();
  Failure failure;
  failure.kind = FailureKind::kUserSignal;
  failure.signo = m->signo;
  EndWith(failure, true);
  return Ok{};
}

Status Head::OnLaunchJob(const JobSpec& spec) {
  core_.node().job_begin = loop_.clock().Now();
  if (spec.check) return StartCheck(spec);
  if (!spec.described.empty()) {
    ShowDescribed(spec);
    return Ok{};
  }
  client_->MakeJobs(core_.jobs(), [this](JobEnded m) { OnEnded(std::move(m)); }).Start(spec);
  return core_.StartNodes(spec.dvm, spec.slots, StartOptionsOf(spec));
}

Status Head::StartCheck(const JobSpec& spec) {
  check_ = std::make_unique<Check>(loop_, spec, core_.node().facts().slots,
                                   core_.node().facts().session_dir,
                                   [this](const CheckReport& report) { EndCheck(report); });
  return core_.StartNodes(
      spec.dvm, spec.slots, StartOptionsOf(spec),
      {[this](NodeId from, uint8_t kind, const std::string& payload) {
         return check_->OnMessage(from, kind, payload);
       },
       [this](const StartFailure& failure) { check_->OnStartFailed(failure); }});
}

void Head::EndCheck(const CheckReport& report) {
  client_->Send(LaunchMessage::kCheckReport, report);
  JobEnded ended;
  for (const CheckProblem& problem : report.problems) {
    if (!problem.note) ended.exit_code = kExitCheck;
  }
  client_->Send(LaunchMessage::kJobEnded, ended);
  loop_.Post([this] { Finish(); });
}

// Nothing runs: the answer is all there is.
void Head::ShowDescribed(const JobSpec& spec) {
  auto shown = PlaceOnDescribed(spec);
  if (const Failure* failure = std::get_if<Failure>(&shown)) return EndWith(*failure, false);
  for (const Notice& notice : std::get<std::vector<Notice>>(shown)) {
    client_->Send(LaunchMessage::kNotice, notice);
  }
  client_->Send(LaunchMessage::kJobEnded, JobEnded{});
  Finish();
}

void Head::OnEnded(JobEnded ended) {
  if (auto phase = core_.has_dvm() ? core_.dvm().LinksPhase() : std::nullopt) {
    ended.phases.push_back(*std::move(phase));
  }
  client_->SendEnded(ended);
  // The job is on the stack below us: end it in a turn of its own.
  loop_.Post([this] { Finish(); });
}

void Head::OnClientGone(const Error& error) {
  Log(LogLevel::kInfo, "rexlaunch is gone why=" + error.text);
  EndWith(InternalFailure("rexlaunch is gone", ""), true);
}

// ---- the job

// Of a one-shot DVM only the first job looks at loads; jobs that it spawns go to the nodes that it
// kept.
void Head::OnLaunch(JobNumber job, const LaunchPart& launch) {
  if (job != kFirstJob) return;
  core_.node().StopWatchingLoad();
  core_.jobs().OnNodesReleased(core_.dvm().KeepOnly(launch.map->nodes()));
}

// ---- the nodes

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

HeadCore::Handlers Head::MakeHandlers() {
  return {[this] { OnNodesReady(); },
          [this](const Failure& failure) { core_.jobs().OnLost(failure, false); },
          [this](const std::vector<NodeId>& nodes, const Failure& failure) {
            OnNodesLost(nodes, failure);
          },
          [this](NodeId node, const Failure& failure) { OnNonsenseOfNode(node, failure); },
          [this](const Notice& notice) {
            if (client_->jobs() != nullptr) client_->Send(LaunchMessage::kNotice, notice);
          },
          [this] { OnKeeperLost(); },
          [](const Failure&) {},
          [this](JobNumber job, LaunchPart* launch) { OnLaunch(job, *launch); }};
}

void Head::OnNodesReady() {
  if (check_) return check_->OnNodesReady(core_.dvm());
  if (client_->jobs() == nullptr) return;
  if (auto phase = core_.dvm().StartPhase()) client_->jobs()->AddPhase(*std::move(phase));
  core_.GiveNodes();
}

void Head::OnNodesLost(const std::vector<NodeId>& nodes, const Failure& failure) {
  if (check_) check_->OnNodesLost(nodes, failure);
}

void Head::OnNonsenseOfNode(NodeId node, const Failure& failure) {
  if (check_) return check_->OnNodesLost({node}, InternalFailure(failure.detail, ""));
  core_.jobs().OnLost(failure, false);
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
  if (client_->jobs() != nullptr) return client_->jobs()->OnLost(failure, quick);
  client_->Send(LaunchMessage::kJobEnded, EndedBy(failure));
  Finish();
}

void Head::Finish() {
  client_->DropJobs();
  check_.reset();
  client_->Flush(kFlushBound);
  core_.Close();
  loop_.Stop();
}

}  // namespace rex
