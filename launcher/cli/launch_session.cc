#include "launcher/cli/launch_session.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "launcher/base/descendants.h"
#include "launcher/base/private_dir.h"
#include "launcher/base/programs.h"
#include "launcher/cli/detached_thread.h"
#include "launcher/cli/failure_text.h"
#include "launcher/cli/progress_line.h"
#include "launcher/cli/signal_name.h"
#include "launcher/observe/timeline.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

namespace {

constexpr int kExitRexFailed = 123;    // docs/rules.md
constexpr int kExitNoResources = 122;  // docs/rules.md
constexpr int kExitUnread = 128 + SIGPIPE;

constexpr uint64_t kOutputWindowBytes = 1 << 20;  // output on its way to us or in our queues
// A message holds at most a control message of the head; JobEnded's phases are its largest part.
constexpr size_t kMaxFromHeadBytes = 64 << 20;
constexpr size_t kMaxLifelineBytes = 64 << 10;

// From the first sign of the end to the last: longer than the keeper takes to kill and reap
// everything, but for a machine in deep trouble.
constexpr std::chrono::seconds kEndBound{5};
constexpr std::chrono::seconds kLostHeadBound{
    10};                                         // the keeper waits for the agent before it kills
constexpr std::chrono::seconds kLeaveBound{10};  // second signal to leaving without an answer
constexpr std::chrono::milliseconds kKillBound{2000};
constexpr std::chrono::milliseconds kFlushBound{200};
constexpr useconds_t kLastLineMicroseconds = 200'000;  // for a line said while leaving

// As mpirun 4.1 by default.
constexpr std::array<int, 6> kForwarded = {SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2, SIGALRM, SIGABRT};
constexpr std::array<int, 3> kEndSignals = {SIGINT, SIGTERM, SIGHUP};

bool IgnoredAtStart(int signo) {
  struct sigaction action {};
  return ::sigaction(signo, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Ended by OnOutputUnread, which has said so.
bool EndedUnread(const Failure& failure) {
  return failure.kind == FailureKind::kUserSignal && failure.signo == SIGPIPE;
}

}  // namespace

LaunchSession::LaunchSession(EventLoop& loop, SessionOptions options)
    : loop_(loop),
      options_(std::move(options)),
      console_(loop, options_.console,
               {.on_credit =
                    [this](uint64_t bytes) {
                      if (channel_)
                        SendControl(*channel_, LaunchMessage::kOutputCredit, Credit{bytes});
                    },
                .on_unread = [this](OutputStream stream) { OnOutputUnread(stream); },
                .on_idle = [this] { OnOutputIdle(); }}),
      children_(loop),
      end_timer_(loop, [this] { Finish(); }),
      leave_timer_(loop, [this] { Leave(last_end_signal_, "rex's agent does not answer; left"); }) {
  ::signal(SIGPIPE, SIG_IGN);
  BecomeSubreaper();  // should the keeper be killed, what it kept comes to us
  WatchSignals();
}

LaunchSession::~LaunchSession() = default;

// Once, whatever is tried.
void LaunchSession::Introduce() {
  for (const std::string& note : std::exchange(options_.notes, {})) console_.Inform(note);
  for (const std::string& warning : std::exchange(options_.warnings, {})) {
    console_.Say("warning: " + warning);
  }
}

void LaunchSession::StartInDvm(const JobSpec& job, std::optional<JobSpec> own) {
  Introduce();
  in_dvm_ = true;
  own_job_ = std::move(own);
  Connect(std::move(options_.dvm), job);
}

Status LaunchSession::Start(const JobSpec& job) {
  Introduce();
  auto rexd = FindLibexecProgram("rexd");
  if (!rexd) return rexd.error();
  auto launch = MakeStreamPair();
  if (!launch) return launch.error();
  auto lifeline = MakeStreamPair();
  if (!lifeline) return lifeline.error();

  const int launch_fd = launch->second.get();
  const int lifeline_fd = lifeline->second.get();
  std::vector<std::string> argv = {*rexd, "--launch-fd=" + std::to_string(launch_fd),
                                   "--lifeline-fd=" + std::to_string(lifeline_fd)};
  // With other nodes nobody knows yet how many ranks will be on this one.
  if (job.dvm.nodes.empty()) {
    argv.push_back("--one-job-ranks=" + std::to_string(job.TotalRanks()));
  }
  if (options_.console.verbose) argv.push_back("--verbose");
  const auto pid = SpawnProgram(argv, {launch_fd, lifeline_fd});
  if (!pid) return pid.error();
  keeper_ = *pid;
  children_.Adopt(keeper_, [this](const ExitStatus& status) { OnKeeperExit(status); });

  lifeline_ = std::move(lifeline->first);
  lifeline_watcher_ =
      std::make_unique<ReadWatcher>(loop_, lifeline_.get(), [this] { OnLifeline(); });
  Connect(std::move(launch->first), job);
  return Ok{};
}

void LaunchSession::Connect(UniqueFd socket, const JobSpec& job) {
  channel_ = std::make_unique<FrameChannel>(
      loop_, std::move(socket), kMaxFromHeadBytes,
      FrameChannel::Handlers{
          .on_message = [this](uint8_t kind, FrameClass,
                               const std::string& payload) { OnMessage(kind, payload); },
          .on_closed = [this](const Error& error) { OnConnectionLost(error); }});
  SendControl(*channel_, LaunchMessage::kHello, Hello{std::string(kProtocolVersion)});
  SendControl(*channel_, LaunchMessage::kLaunchJob, job);
  SendControl(*channel_, LaunchMessage::kOutputCredit, Credit{kOutputWindowBytes});
}

// ---- the head

void LaunchSession::OnMessage(uint8_t kind, const std::string& payload) {
  const Status taken = Take(static_cast<LaunchMessage>(kind), payload);
  if (!taken) OnConnectionLost(taken.error());
}

Status LaunchSession::Take(LaunchMessage kind, const std::string& payload) {
  switch (kind) {
    case LaunchMessage::kHello:
      return TakeHello(payload);
    case LaunchMessage::kOutput:
      return TakeOutput(payload);
    case LaunchMessage::kStdinCredit:
      return TakeStdinCredit(payload);
    case LaunchMessage::kNotice:
      return TakeNotice(payload);
    case LaunchMessage::kProgress:
      return TakeProgress(payload);
    case LaunchMessage::kJobStarted:
      return TakeJobStarted(payload);
    case LaunchMessage::kCheckReport:
      return TakeCheckReport(payload);
    case LaunchMessage::kJobEnded:
      return TakeJobEnded(payload);
    case LaunchMessage::kDeclined:
      return TakeDeclined(payload);
    default:
      return Error{Errc::kProtocol,
                   "unknown message " + std::to_string(static_cast<int>(kind)) + " from the agent"};
  }
}

Status LaunchSession::TakeHello(const std::string& payload) {
  const auto hello = FromWire<Hello>(payload);
  if (!hello) return hello.error();
  if (hello->version == kProtocolVersion) return Ok{};
  return Error{Errc::kProtocol, "rexlaunch is version " + std::string(kProtocolVersion) +
                                    ", its agent version " + hello->version +
                                    ": the installation is mixed, install rex anew"};
}

Status LaunchSession::TakeOutput(const std::string& payload) {
  std::string_view bytes;
  const auto header = DecodeOutput(payload, &bytes);
  if (!header) return header.error();
  console_.Write(*header, bytes);
  return Ok{};
}

Status LaunchSession::TakeStdinCredit(const std::string& payload) {
  const auto credit = FromWire<Credit>(payload);
  if (!credit) return credit.error();
  const auto send = [this](LaunchMessage kind, std::string bytes) {
    if (channel_) channel_->Send(static_cast<uint8_t>(kind), FrameClass::kStdio, std::move(bytes));
  };
  if (!stdin_) {
    stdin_ = std::make_unique<StdinSource>(
        loop_, STDIN_FILENO,
        StdinSource::Handlers{
            .on_bytes =
                [send](std::string bytes) { send(LaunchMessage::kStdin, std::move(bytes)); },
            .on_end = [send] { send(LaunchMessage::kStdinEnd, ""); }});
  }
  if (!stdin_->AddCredit(credit->bytes)) {
    console_.Say(
        "warning: standard input is not read: the limit of processes is reached; raise it "
        "(ulimit -u)");
    send(LaunchMessage::kStdinEnd, "");
  }
  return Ok{};
}

Status LaunchSession::TakeNotice(const std::string& payload) {
  const auto notice = FromWire<Notice>(payload);
  if (!notice) return notice.error();
  switch (notice->level) {
    case Notice::Level::kInfo:
      console_.Inform(notice->text);
      break;
    case Notice::Level::kWarning:
      console_.Say("warning: " + notice->text);
      break;
    case Notice::Level::kDetail:
      console_.Detail(notice->text);
      break;
    case Notice::Level::kPlain:
      console_.Show(notice->text);
      break;
  }
  return Ok{};
}

Status LaunchSession::TakeProgress(const std::string& payload) {
  const auto progress = FromWire<Progress>(payload);
  if (!progress) return progress.error();
  const std::string line = ProgressLine(*progress);
  if (line.empty() || ended_ || end_signals_ > 0) {
    console_.ClearProgress();
    return Ok{};
  }
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(Now() - options_.begin);
  console_.ShowProgress(line + " (" + std::to_string(since.count()) + " s)");
  return Ok{};
}

Status LaunchSession::TakeJobStarted(const std::string& payload) {
  const auto started = FromWire<JobStarted>(payload);
  if (!started) return started.error();
  console_.SetRanks(started->total, started->job);
  const std::string spawned =
      started->job == kFirstJob ? "" : " (number " + std::to_string(started->job) + ", spawned)";
  console_.Detail("job " + started->name_space + spawned + " started with " +
                  std::to_string(started->total) + (started->total == 1 ? " rank" : " ranks"));
  for (const RankInfo& rank : started->ranks) {
    console_.Detail("rank " + std::to_string(rank.rank) + " on node " + rank.node + ": pid " +
                    std::to_string(rank.pid) + ", born by " + rank.birth);
  }
  return Ok{};
}

Status LaunchSession::TakeCheckReport(const std::string& payload) {
  auto report = FromWire<CheckReport>(payload);
  if (!report) return report.error();
  check_ = *std::move(report);
  return Ok{};
}

Status LaunchSession::TakeJobEnded(const std::string& payload) {
  auto ended = FromWire<JobEnded>(payload);
  if (!ended) return ended.error();
  if (ended_) return Error{Errc::kProtocol, "the job ended twice"};
  ended_ = std::move(*ended);
  ended_at_ = Now();
  leave_timer_.Cancel();
  Advance();
  return Ok{};
}

// The DVM would not have it, and has done nothing: the job gets one of its own.
Status LaunchSession::TakeDeclined(const std::string& payload) {
  const auto declined = FromWire<Declined>(payload);
  if (!declined) return declined.error();
  if (!own_job_) return Error{Errc::kProtocol, "a DVM that must not decline does"};
  console_.Detail("DVM '" + options_.dvm_name + "' is not used: " + declined->reason);
  in_dvm_ = false;
  channel_.reset();
  stdin_.reset();
  const JobSpec job = *std::exchange(own_job_, std::nullopt);
  if (const Status started = Start(job); !started) {
    ReportStart(started.error());
  } else if (end_signals_ > 0) {
    SendControl(*channel_, LaunchMessage::kEndJob, EndJob{last_end_signal_});
  }
  return Ok{};
}

void LaunchSession::ReportStart(const Error& error) {
  console_.Say("cannot start rex's own processes: " + error.text);
  exit_code_ = error.code == Errc::kResource ? kExitNoResources : kExitRexFailed;
  stage_ = Stage::kFlushing;
  OnOutputIdle();
}

void LaunchSession::OnConnectionLost(const Error& error) {
  lost_reason_ = error.text;
  channel_.reset();  // for a peer that spoke nonsense this is the end of file it gets
  stdin_.reset();
  leave_timer_.Cancel();
  Advance();
}

// ---- the keeper

void LaunchSession::OnLifeline() {
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t n = ::recv(lifeline_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) {
      lifeline_watcher_.reset();  // its exit will tell the rest
      break;
    }
    lifeline_text_.append(chunk.data(), static_cast<size_t>(n));
    if (lifeline_text_.size() > kMaxLifelineBytes) lifeline_text_.clear();
  }
  for (size_t end; (end = lifeline_text_.find('\n')) != std::string::npos;) {
    const std::string line = lifeline_text_.substr(0, end);
    lifeline_text_.erase(0, end + 1);
    if (auto news = ParseDaemonEnd(line)) {
      daemon_ends_.push_back(std::move(*news));
    } else if (!line.empty()) {
      console_.Say("rex's keeper: " + line);
    }
  }
}

void LaunchSession::OnKeeperExit(const ExitStatus& status) {
  keeper_status_ = status;
  if (lifeline_watcher_) OnLifeline();
  lifeline_watcher_.reset();
  Advance();
}

// ---- the user

void LaunchSession::WatchSignals() {
  for (const int signo : kEndSignals) {
    // nohup(1) asks for HUP to be ignored. INT is not treated so: shells ignore it for the
    // background jobs of a script, and then `kill -INT` would have no effect.
    if (signo == SIGHUP && IgnoredAtStart(signo)) continue;
    signals_[signo] =
        std::make_unique<SignalWatcher>(loop_, signo, [this, signo] { OnEndSignal(signo); });
  }
  for (const int signo : kForwarded) {
    if (signo == SIGTSTP && IgnoredAtStart(signo)) continue;  // a shell without job control
    signals_[signo] =
        std::make_unique<SignalWatcher>(loop_, signo, [this, signo] { OnForwardedSignal(signo); });
  }
}

void LaunchSession::OnEndSignal(int signo) {
  console_.ClearProgress();
  ++end_signals_;
  last_end_signal_ = signo;
  if (stage_ == Stage::kFlushing) Leave(signo, "output that nobody reads is thrown away");
  if (end_signals_ >= 3) Leave(signo, "left at once; rex's keeper ends what still runs");
  if (end_signals_ == 1 && !ended_) {
    console_.Inform(signo == SIGINT ? "ending the job (press ^C again to kill it at once)"
                                    : "ending the job because of " + SignalText(signo) +
                                          " (send it again to kill it at once)");
  }
  if (channel_) SendControl(*channel_, LaunchMessage::kEndJob, EndJob{signo});
  if (end_signals_ == 2 && channel_ && !ended_) leave_timer_.Set(kLeaveBound);
}

void LaunchSession::OnForwardedSignal(int signo) {
  if (channel_) SendControl(*channel_, LaunchMessage::kSignal, SignalRanks{signo});
  if (signo == SIGTSTP) StopSelf();
  if (signo == SIGCONT && stdin_) stdin_->Nudge();
}

// As a program that writes into a pipe without a reader ends: a job that goes on for nobody, maybe
// for ever, is what nobody expects of `| head`.
void LaunchSession::OnOutputUnread(OutputStream stream) {
  const std::string name =
      stream == OutputStream::kStdout ? "standard output" : "standard error output";
  const bool over = ended_ || !channel_;
  console_.Inform("nobody reads the job's " + name + " any more" +
                  (over ? "" : "; ending the job"));
  if (!over) SendControl(*channel_, LaunchMessage::kEndJob, EndJob{SIGPIPE});
}

void LaunchSession::StopSelf() {
  if (channel_) channel_->Flush(kFlushBound);
  ::raise(SIGSTOP);  // the handler of SIGCONT does what is left when we go on
}

void LaunchSession::Leave(int signo, const std::string& why) {
  const std::string line = (console_.progress_shown() ? "\n" : "") + ConsoleLine(why);
  const int code = 128 + signo;
  // Whoever reads stderr may have stalled, and the line's writer with it: it gets a moment only.
  const bool started = StartDetachedThread([line, code] {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(code);
  });
  if (started) ::usleep(kLastLineMicroseconds);
  ::_exit(code);
}

// ---- the end

void LaunchSession::Advance() {
  if (stage_ > Stage::kEnding) return;
  const bool connection_closed = !lost_reason_.empty();
  const bool head_lost = connection_closed && !ended_;
  if (stage_ == Stage::kRunning) {
    stage_ = Stage::kEnding;
    end_timer_.Set(head_lost ? kLostHeadBound : kEndBound);
  }
  // Output may come in as long as the connection stands; the reasons go after it.
  if (ended_ && (connection_closed || in_dvm_)) ReportEnd();
  if (in_dvm_ ? ended_ || connection_closed : connection_closed && keeper_status_) Finish();
}

void LaunchSession::ReportEnd() {
  if (end_reported_) return;
  end_reported_ = true;
  exit_code_ = ended_->exit_code;
  const bool told = check_ && ended_->failure.kind == FailureKind::kNone;
  if (!told && !EndedUnread(ended_->failure)) console_.SayAll(FailureLines(*ended_));
  for (const std::string& line : ended_->state_report) console_.Say("  " + line);
}

// What became of rex's own processes, when that is worth a line.
void LaunchSession::ReportDaemons() {
  if (in_dvm_) return ReportDvm();
  const bool keeper_killed = keeper_status_ && keeper_status_->signal != 0;
  if (keeper_killed) {
    daemon_ends_.insert(daemon_ends_.begin(), DaemonEnd{"keeper", *keeper_status_, keeper_});
  }
  if (!ended_) {
    exit_code_ = kExitRexFailed;
    const int keeper_code = keeper_status_ ? keeper_status_->code : 0;
    const bool agent_lacked =
        !daemon_ends_.empty() && daemon_ends_.front().status.code == kExitNoResources;
    if (keeper_code == kExitNoResources || agent_lacked) exit_code_ = kExitNoResources;
    const bool could_not_start = keeper_code == kExitRexFailed || keeper_code == kExitNoResources;
    if (could_not_start && daemon_ends_.empty()) {
      console_.Say("rex could not start its own processes (see the line above); nothing was run");
      return;
    }
    console_.SayAll(LostHeadLines(daemon_ends_, lost_reason_));
    return;
  }
  // When the agent has told why the job ended, how its own peers did is still worth a line.
  for (const DaemonEnd& end : daemon_ends_) {
    if (!end.status.ok()) console_.Say("warning: " + DaemonEndText(end));
  }
  if (!keeper_status_) {
    console_.Say("warning: rex's keeper (pid " + std::to_string(keeper_) +
                 ") still cleans up; not waiting for it any longer");
  }
}

void LaunchSession::ReportDvm() {
  if (ended_) return;
  exit_code_ = kExitRexFailed;
  console_.SayAll({"DVM '" + options_.dvm_name + "' has ended (" + lost_reason_ +
                       "); the job was ended with it",
                   "  somebody killed its head, or the kernel did for lack of memory ('dmesg' "
                   "tells); 'rexctl start' starts it anew"});
}

void LaunchSession::Finish() {
  if (stage_ >= Stage::kFlushing) return;
  stage_ = Stage::kFlushing;
  end_timer_.Cancel();
  leave_timer_.Cancel();
  const Clock::Time gone_at = Now();
  if (ended_) ReportEnd();
  ReportDaemons();
  channel_.reset();
  stdin_.reset();
  KillLeftOvers();
  if (ended_) {
    // How a DVM that stays was started is no phase of this job.
    if (in_dvm_) {
      std::erase_if(ended_->phases, [this](const Phase& p) { return p.begin < options_.begin; });
    }
    options_.phases.insert(options_.phases.end(), ended_->phases.begin(), ended_->phases.end());
    options_.phases.push_back(
        {.name = "cleanup", .begin = ended_at_, .end = gone_at, .process = "rexlaunch"});
  }
  options_.phases.push_back(
      {.name = "total", .begin = options_.begin, .end = Now(), .process = "rexlaunch"});
  WriteTimeline();
  OnOutputIdle();
}

// After an orderly end there is nothing; /proc is read only when something went wrong.
void LaunchSession::KillLeftOvers() {
  if (!keeper_status_) return;  // it is at it, and does it even when we are gone
  if (ended_ && keeper_status_->signal == 0) return;
  for (const ProcessInfo& left : KillDescendants(kKillBound)) {
    console_.Say("warning: process " + std::to_string(left.pid) + " (" + left.command +
                 ") does not end; end it with 'kill -9 " + std::to_string(left.pid) + "'");
  }
  // A keeper that was killed before its agent ran has left its directories to nobody.
  if (keeper_status_->signal == 0) return;
  for (const std::string& parent : {TempParent(), std::string("/tmp"), std::string(kShmParent)}) {
    RemoveStaleDirs(parent);
  }
}

void LaunchSession::WriteTimeline() {
  if (options_.timeline == "-") {
    console_.Show(TimelineTable(options_.phases, options_.begin));
  } else if (options_.timeline_file) {
    const Status written =
        WriteAll(options_.timeline_file.get(), TimelineJson(options_.phases, options_.begin));
    if (!written) {
      console_.Say("cannot write the timeline to '" + options_.timeline +
                   "': " + written.error().text);
    }
  }
}

void LaunchSession::OnOutputIdle() {
  if (stage_ != Stage::kFlushing || !console_.idle()) return;
  stage_ = Stage::kDone;
  if (exit_code_ == 0 && console_.output_unread()) exit_code_ = kExitUnread;
  if (exit_code_ == 0 && console_.output_failed()) exit_code_ = kExitNoResources;
  loop_.Stop();
}

}  // namespace rex
