#include "launcher/agent/agent.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/base/log.h"
#include "launcher/base/private_dir.h"

namespace rex {

namespace {
constexpr std::chrono::seconds kBirthBound{60};
constexpr std::chrono::milliseconds kFlushBound{2000};
constexpr std::chrono::milliseconds kSweepBound{3000};

Failure Internal(std::string detail, std::string remedy) {
  Failure failure;
  failure.kind = FailureKind::kInternal;
  failure.detail = std::move(detail);
  failure.remedy = std::move(remedy);
  return failure;
}
}  // namespace

Agent::Agent(EventLoop& loop, AgentOptions options)
    : loop_(loop),
      options_(std::move(options)),
      children_(loop),
      sigterm_(loop, SIGTERM, [this] { OnTerminate(); }) {}

Status Agent::Start() {
  auto maker = RankMaker::StartSpawner(loop_, children_, kBirthBound);
  if (!maker) return maker.error();
  maker_ = std::move(*maker);
  launch_ = std::make_unique<FrameChannel>(
      loop_, std::move(options_.launch_fd), kMaxLaunchMessageBytes,
      FrameChannel::Handlers{[this](uint8_t kind, FrameClass, std::string payload) {
                               OnLaunchMessage(kind, std::move(payload));
                             },
                             [this](const Error& error) { OnClientGone(error); }});
  host_ = std::make_unique<pmix::HostClient>(
      loop_, std::move(options_.host_fd),
      [this](pmix::HostMessage message) { OnHostMessage(std::move(message)); },
      [this](const Error& error) { OnHostClosed(error); });
  keeper_watcher_ =
      std::make_unique<ReadWatcher>(loop_, options_.keeper_fd.get(), [this] { OnKeeperGone(); });
  SendControl(*launch_, LaunchMessage::kHello, Hello{std::string(kProtocolVersion)});
  node_ = ReadNodeFacts(options_);
  return Ok{};
}

void Agent::OnLaunchMessage(uint8_t kind, std::string payload) {
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

Status Agent::Dispatch(LaunchMessage kind, std::string payload) {
  if (kind == LaunchMessage::kHello) return OnHello(payload);
  if (!hello_seen_) return Error{Errc::kProtocol, "message before Hello"};
  if (kind == LaunchMessage::kLaunchJob) return OnLaunchJob(payload);
  if (!job_) return Ok{};  // the job has ended while this was under way
  switch (kind) {
    case LaunchMessage::kSignal: {
      const auto m = FromWire<SignalRanks>(payload);
      if (!m) return m.error();
      job_->OnSignal(m->signo);
      return Ok{};
    }
    case LaunchMessage::kEndJob: {
      const auto m = FromWire<EndJob>(payload);
      if (!m) return m.error();
      job_->OnEndJob(m->signo);
      return Ok{};
    }
    case LaunchMessage::kOutputCredit: {
      const auto m = FromWire<Credit>(payload);
      if (!m) return m.error();
      job_->OnOutputCredit(m->bytes);
      return Ok{};
    }
    case LaunchMessage::kStdin:
      return job_->OnStdin(std::move(payload));
    case LaunchMessage::kStdinEnd:
      job_->OnStdinEnd();
      return Ok{};
    default:
      return Error{Errc::kProtocol, "unknown message"};
  }
}

Status Agent::OnHello(const std::string& payload) {
  const auto hello = FromWire<Hello>(payload);
  if (!hello) return hello.error();
  if (hello->version != kProtocolVersion) {
    return Error{Errc::kProtocol, "rexlaunch is version " + hello->version + ", this agent is " +
                                      std::string(kProtocolVersion)};
  }
  hello_seen_ = true;
  return Ok{};
}

Status Agent::OnLaunchJob(const std::string& payload) {
  if (job_) return Error{Errc::kProtocol, "a second job on one connection"};
  auto spec = FromWire<JobSpec>(payload);
  if (!spec) return spec.error();
  job_ = std::make_unique<Job>(JobServices{loop_, children_, *maker_,
                                           [this](const pmix::HostMessage& m) {
                                             if (!host_lost_) host_->Send(m);
                                           },
                                           [this] { return KillLeftovers(); }},
                               node_, std::move(*spec), MakeClient());
  StartUpTimes& times = job_->times();
  if (options_.keeper_begin.count() > 0) {
    times.keeper = {options_.keeper_begin, options_.agent_begin};
  }
  times.agent = {options_.agent_begin, loop_.clock().Now()};
  if (host_ready_) times.host = {host_ready_->init_begin, host_ready_->init_end};
  job_->Start();
  if (!job_) return Ok{};  // it could not even start
  if (host_ready_) job_->OnHostReady();
  if (host_lost_) OnHostClosed(Error{Errc::kClosed, "it ended before the job began"});
  return Ok{};
}

JobClient Agent::MakeClient() {
  return JobClient{
      [this](const Notice& m) { SendControl(*launch_, LaunchMessage::kNotice, m); },
      [this](const JobStarted& m) { SendControl(*launch_, LaunchMessage::kJobStarted, m); },
      [this](std::string payload) {
        launch_->Send(static_cast<uint8_t>(LaunchMessage::kOutput), FrameClass::kStdio,
                      std::move(payload));
      },
      [this](uint64_t bytes) { SendControl(*launch_, LaunchMessage::kStdinCredit, Credit{bytes}); },
      [this](const JobEnded& m) {
        // Behind the output, in its class: JobEnded is the last thing rexlaunch hears.
        launch_->Send(static_cast<uint8_t>(LaunchMessage::kJobEnded), FrameClass::kStdio,
                      ToWire(m));
        // The job is on the stack below us: end it in a turn of its own.
        loop_.Post([this] { Finish(0); });
      }};
}

std::vector<ProcessInfo> Agent::KillLeftovers() {
  std::vector<ProcessInfo> killed;
  const auto deadline = loop_.clock().Now() + kSweepBound;
  for (;;) {
    auto left = FindDescendants(::getpid());
    // What the agent started itself (the spawner, templates about to end) is left to it.
    std::erase_if(left, [this](const ProcessInfo& p) { return children_.Contains(p.pid); });
    if (left.empty() || loop_.clock().Now() >= deadline) return killed;
    for (const ProcessInfo& p : left) {
      ::kill(p.pid, SIGKILL);
      const bool known = std::any_of(killed.begin(), killed.end(),
                                     [&](const ProcessInfo& k) { return k.pid == p.pid; });
      if (!known) killed.push_back(p);
    }
    children_.Reap();
    ::usleep(500);
  }
}

void Agent::OnHostMessage(pmix::HostMessage message) {
  if (auto* ready = std::get_if<pmix::HostReady>(&message)) {
    host_ready_ = *ready;
    if (!job_) return;
    job_->times().host = {ready->init_begin, ready->init_end};
    job_->OnHostReady();
  } else if (job_) {
    job_->OnHostMessage(std::move(message));
  }
}

void Agent::OnHostClosed(const Error& error) {
  host_lost_ = true;
  if (!job_) return;  // told when a job comes
  job_->OnHostLost(Internal("the PMIx host (rexd-pmix) of this node ended: " + error.text,
                            "its last words may stand above; run again with REX_LOG=debug"));
}

void Agent::OnClientGone(const Error& error) {
  client_lost_ = true;
  Log(LogLevel::kInfo, "rexlaunch is gone why=" + error.text);
  EndWith(Internal("rexlaunch is gone", ""), true);
}

void Agent::OnKeeperGone() {
  keeper_watcher_->Enable(false);
  if (keeper_lost_) return;
  keeper_lost_ = true;
  EndWith(Internal("the keeper (rexd) of this node was killed",
                   "find out who kills processes here (the kernel's OOM killer? `dmesg`)"),
          true);
}

void Agent::OnTerminate() {
  Failure failure;
  failure.kind = FailureKind::kInternal;
  failure.detail = "the agent (rexd-agent) was told to end (SIGTERM)";
  EndWith(failure, false);
}

void Agent::EndWith(const Failure& failure, bool quick) {
  if (job_) return job_->OnLost(failure, quick);
  if (!client_lost_) {
    JobEnded ended;
    ended.failure = failure;
    ended.exit_code = ExitCodeOf(failure);
    SendControl(*launch_, LaunchMessage::kJobEnded, ended);
  }
  Finish(0);
}

void Agent::Finish(int exit_code) {
  job_.reset();
  exit_code_ = exit_code;
  if (!client_lost_) launch_->Flush(kFlushBound);
  if (keeper_lost_) {  // its duties fall to us
    KillLeftovers();
    RemoveTree(options_.session_dir);
    RemoveTree(options_.shm_dir);
  }
  loop_.Stop();
}

}  // namespace rex
