#include "launcher/agent/launch_client.h"

namespace rex {

LaunchClient::LaunchClient(EventLoop& loop, UniqueFd socket, Handlers handlers)
    : handlers_(std::move(handlers)) {
  channel_ = std::make_unique<FrameChannel>(
      loop, std::move(socket), kMaxLaunchMessageBytes,
      FrameChannel::Handlers{[this](uint8_t kind, FrameClass, const std::string& payload) {
                               OnMessage(kind, payload);
                             },
                             [this](const Error& error) { OnClosed(error); }});
  Send(LaunchMessage::kHello, Hello{std::string(kProtocolVersion)});
}

void LaunchClient::OnClosed(const Error& error) {
  gone_ = true;
  handlers_.on_gone(error);
}

void LaunchClient::OnMessage(uint8_t kind, const std::string& payload) {
  const Status done = Dispatch(static_cast<LaunchMessage>(kind), payload);
  if (!done) handlers_.on_nonsense(done.error());
}

Status LaunchClient::Dispatch(LaunchMessage kind, const std::string& payload) {
  if (kind == LaunchMessage::kHello) return OnHello(payload);
  if (!hello_seen_) return Error{Errc::kProtocol, "message before Hello"};
  if (kind == LaunchMessage::kLaunchJob) {
    if (launched_) return Error{Errc::kProtocol, "a second job on one connection"};
    auto spec = FromWire<JobSpec>(payload);
    if (!spec) return spec.error();
    launched_ = true;
    return handlers_.on_launch(*std::move(spec));
  }
  return jobs_ ? ToJobs(kind, payload) : handlers_.on_other(kind, payload);
}

Status LaunchClient::OnHello(const std::string& payload) {
  const auto hello = FromWire<Hello>(payload);
  if (!hello) return hello.error();
  if (hello->version != kProtocolVersion) {
    return Error{Errc::kProtocol, "rexlaunch is version " + hello->version + ", this agent is " +
                                      std::string(kProtocolVersion)};
  }
  hello_seen_ = true;
  return Ok{};
}

Status LaunchClient::ToJobs(LaunchMessage kind, const std::string& payload) {
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

Jobs& LaunchClient::MakeJobs(DvmJobs& dvm, std::function<void(JobEnded)> on_ended) {
  jobs_ = std::make_unique<Jobs>(
      dvm,
      Jobs::Client{[this](const Notice& m) { Send(LaunchMessage::kNotice, m); },
                   [this](const Progress& m) { Send(LaunchMessage::kProgress, m); },
                   [this](const JobStarted& m) { Send(LaunchMessage::kJobStarted, m); },
                   [this](std::string payload) {
                     if (gone_) return;
                     channel_->Send(static_cast<uint8_t>(LaunchMessage::kOutput),
                                    FrameClass::kStdio, std::move(payload));
                   },
                   [this](uint64_t bytes) { Send(LaunchMessage::kStdinCredit, Credit{bytes}); },
                   std::move(on_ended)});
  return *jobs_;
}

void LaunchClient::SendEnded(const JobEnded& ended) {
  if (gone_) return;
  channel_->Send(static_cast<uint8_t>(LaunchMessage::kJobEnded), FrameClass::kStdio, ToWire(ended));
}

void LaunchClient::Flush(std::chrono::milliseconds bound) {
  if (!gone_) channel_->Flush(bound);
}

}  // namespace rex
